"""Looks: asks the gateways, reads the file and what was added to its history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gateway.config import parse
from gateway.errors import ConfigError
from gateway.model import RoutingConfig
from monitoring.controller.leader import last_look
from monitoring.history.changes import Entry
from monitoring.history.diary import Diary
from monitoring.judgement.docket import Docket, Judgement, Key
from monitoring.readings.agreement import disagreement
from monitoring.readings.exposition import Counters, read
from monitoring.readings.live import NAMES, Window
from monitoring.readings.sources import GatewaySource, GatewaySources, SourceError
from monitoring.summary import lines_of, newest_of, outcome_of
from monitoring.terminal.sight import Gateway, Sight

Json = Mapping[str, Any]

PATIENCE: Final = 2.0  # seconds for which a gateway may serve another file than the one seen here


@dataclass(slots=True)
class _Told:
    """What one gateway said."""

    status: Json
    counters: Counters
    evidence: Json | None


@dataclass(slots=True)
class _Desk:
    """What the file and its history say."""

    config: RoutingConfig | None = None
    changes: Sequence[Entry] = ()
    outcomes: dict[Key, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    looked: float | None = None


class Lookout:
    """Of one file and the gateways that serve it. ``clock`` is the time of day, ``monotonic``
    measures what lies between two looks; both in seconds.
    """

    def __init__(
        self,
        path: Path,
        sources: GatewaySources,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._path = path
        self._sources = sources
        self._clock = clock
        self._monotonic = monotonic
        self._window = Window()
        self._diary = Diary(path)
        self._statuses: dict[str, Json] = {}
        self._heard: float | None = None
        self._content = b""
        self._config: RoutingConfig | None = None
        self._desk = _Desk()
        self._judgements: dict[Key, Judgement] = {}
        self._apart: tuple[str, float] | None = None  # which file is not served, and since when

    def look(self) -> Sight:
        """Once. Nothing that cannot be had is an error: the look says so."""
        desk = self._read()
        judged = desk.config is not None and any(
            one.weight and (route.analysis or route.rollout(one.name))
            for route in desk.config.routes
            for one in route.candidates
        )
        found = self._sources.each(lambda one: _ask(one, judged=judged))
        addresses = self._sources.addresses
        told = {
            address: one
            for address, one in zip(addresses, found, strict=True)
            if not isinstance(one, SourceError)
        }
        why = {
            address: str(one)
            for address, one in zip(addresses, found, strict=True)
            if isinstance(one, SourceError)
        }
        now = self._clock()
        self._window.sample(self._monotonic(), {name: one.counters for name, one in told.items()})
        self._statuses |= {name: one.status for name, one in told.items()}
        self._heard = now if told else self._heard
        self._judge(desk.config, [told[one].evidence if one in told else None for one in addresses])
        return Sight(
            now,
            tuple(Gateway(one, self._statuses.get(one), why.get(one, "")) for one in addresses),
            self._heard,
            self._window.traffic(),
            self._window.seconds,
            self._window.slices(),
            desk.config,
            self._judgements,
            self._diary.records,
            desk.changes,
            desk.outcomes,
            desk.lines,
            desk.looked,
            self._disagreement(desk.config, told.values()),
        )

    def _disagreement(self, config: RoutingConfig | None, told: Iterable[_Told]) -> str:
        """A gateway takes a file a moment after it was saved; for longer it serves another one."""
        generation = "" if config is None else config.generation
        other = disagreement(self._path, generation, (one.status for one in told))
        if not generation or not other:
            self._apart = None
            return ""
        now = self._monotonic()
        if self._apart is None or self._apart[0] != generation:
            self._apart = generation, now
        return other if now - self._apart[1] >= PATIENCE else ""

    def _judge(self, config: RoutingConfig | None, documents: Sequence[Json | None]) -> None:
        """As ``canary verdict`` does; where nothing can be judged now, what was stays."""
        if config is None:
            self._judgements = {}
            return
        judged = Docket(self._diary.filed).look(config, documents)
        if judged:
            self._judgements = {one.key: one for one in judged}

    def _read(self) -> _Desk:
        """Without a good file of this name nothing is known of rollouts; of one that is refused
        now, what was known when it was good: that is still served.
        """
        looked = last_look(self._path)
        try:
            changes = self._diary.catch_up()
            if self._diary.content != self._content:
                self._config, self._content = parse(self._diary.content), self._diary.content
        except (OSError, ConfigError):
            return replace(self._desk, looked=looked)
        if self._config is None:  # an empty file is refused, so there is one
            return _Desk(looked=looked)
        newest, records = newest_of(changes), self._diary.records
        outcomes = {
            (route.name, version.name): outcome_of(
                route, version, newest.get((route.name, version.name))
            )
            for route in self._config.routes
            for version in route.versions
            if not version.weight
        }
        lines = lines_of(self._config, records, newest, led=looked is not None)
        outcomes = {key: line for key, line in outcomes.items() if line}
        self._desk = _Desk(self._config, changes, outcomes, tuple(lines), looked)
        return self._desk


def _ask(source: GatewaySource, *, judged: bool) -> _Told:
    """Raises SourceError."""
    status = source.status()
    if not {"generation", "since", "file", "routes"} <= status.keys():
        raise SourceError(f"{source.url} is the admin port of something else: it has no routes")
    evidence = source.evidence() if judged else None
    return _Told(status, read(source.metrics(), NAMES), evidence)
