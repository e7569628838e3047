"""The loop that watches and acts: read, collect, judge, edit. It acts only by editing the file.

It holds nothing between ticks: the file says what is served, the gateway's counts say how it went.
A candidate that was rolled back has weight 0, and nothing here raises a weight, so a restart needs
no memory. A file that changed after the evidence was read is a conflict: the verdict is dropped
and the next tick looks anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway import routing_file
from gateway.config import parse
from gateway.edit import SetWeight
from gateway.errors import GatewayError
from gateway.logs import Log
from gateway.model import FULL_WEIGHT, OnFailure, Route, RoutingConfig, Version
from monitoring import editing
from monitoring.evidence import BadEvidence, windows_of
from monitoring.judge import Kind, Verdict, judge
from monitoring.sources import EvidenceSource, SourceError

TICK: Final = 1.0  # seconds
PATIENT_TICKS: Final = 5
ACTOR: Final = "controller"

log = Log()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one candidate of one route."""

    route: Route
    candidate: Version
    verdict: Verdict

    @property
    def calls_for_rollback(self) -> bool:
        """Failed, and the file does not ask to be told only."""
        rollout = self.route.rollout
        acts = rollout is None or rollout.on_failure is OnFailure.ROLLBACK
        return self.verdict.kind is Kind.FAILED and acts


class Controller:
    """One file, one source of evidence."""

    def __init__(
        self, path: Path, source: EvidenceSource, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._source = source
        self._clock = clock
        self._said: dict[tuple[str, str], Kind] = {}
        self._trouble = ""
        self._apart = 0  # ticks for which the gateway has served another file

    def tick(self) -> list[Judgement]:
        """Look once, and take out what has failed. Errors are logged and change nothing."""
        try:
            snapshot = routing_file.read(self._path)
            config = parse(snapshot.content)
            document = self._source.evidence() if any(r.analysis for r in config.routes) else {}
            judgements = list(judgements_of(config, document))
            self._compare(config.generation, document.get("generation", config.generation))
        except (GatewayError, SourceError, BadEvidence, OSError) as error:
            self._cannot(str(error))
            return []
        for judgement in judgements:
            self._say(judgement)
            if judgement.calls_for_rollback:
                self._roll_back(judgement, snapshot.generation)
        return judgements

    def run(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Tick until interrupted."""
        while True:
            self.tick()
            sleep(TICK)

    def _roll_back(self, judgement: Judgement, generation: str) -> None:
        route, version = judgement.route.name, judgement.candidate.name
        try:
            editing.change(
                self._path,
                SetWeight(route, version, 0),
                by=ACTOR,
                reason=judgement.verdict.sentence,
                action="rollback",
                if_generation=generation,
                clock=self._clock,
            )
        except (GatewayError, OSError) as error:
            log.error("rollback not written", route=route, version=version, why=str(error))
        else:
            log.warning("rolled back", route=route, version=version, why=judgement.verdict.sentence)

    def _compare(self, file: str, served: str) -> None:
        """A gateway serves a new file a moment later; for longer it is another file, or refused."""
        self._apart = 0 if served == file else self._apart + 1
        if self._apart >= PATIENT_TICKS:
            self._cannot(f"the file is {file}, the gateway serves {served}: is it the same file?")
        elif not self._apart and self._trouble:
            self._trouble = ""
            log.info("judging again", generation=file)

    def _cannot(self, why: str) -> None:
        """Log what keeps us from judging when it begins or changes, not each second."""
        if why != self._trouble:
            self._trouble = why
            log.error("no judgement", why=why)

    def _say(self, judgement: Judgement) -> None:
        """Log a verdict when its kind changes, not each second."""
        key = (judgement.route.name, judgement.candidate.name)
        verdict = judgement.verdict
        if self._said.get(key) is not verdict.kind:
            self._said[key] = verdict.kind
            log.info(
                "verdict",
                route=key[0],
                version=key[1],
                verdict=verdict.kind,
                why=verdict.sentence,
            )


def judgements_of(config: RoutingConfig, document: Mapping[str, Any]) -> Iterator[Judgement]:
    """A verdict on every candidate that gets traffic in a route with ``analysis``.

    Evidence of another generation than the file's is not yet about this file: nothing is judged.
    """
    if document.get("generation") != config.generation:
        return
    for route in config.routes:
        if route.analysis is None:
            continue
        for candidate in route.candidates:
            if not candidate.weight:
                continue
            windows = windows_of(document, route.name, candidate.name)
            alpha = route.analysis.max_false_rollback / FULL_WEIGHT
            verdict = judge(windows, alpha=alpha, min_bad=route.analysis.min_bad)
            yield Judgement(route, candidate, verdict)
