"""The loop that watches and acts: read, collect, judge, edit. It acts only by editing the file.

The file says what is served and where a rollout stands, the history how long it was watched and
what was seen, the gateways' counts what has happened since: killed at any moment and started again,
it goes on. What it decides is :mod:`monitoring.docket`'s and :mod:`monitoring.rollout`'s affair. A
file that changed after the evidence was read is a conflict: the verdict is dropped, the next look
is at the new file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway import routing_file
from gateway.config import parse
from gateway.errors import GatewayError, StaleEdit
from gateway.model import RoutingConfig
from monitoring import editing
from monitoring.acting import change_of, reason_of
from monitoring.chronicle import Chronicle
from monitoring.docket import Docket, Judgement
from monitoring.rollout.rules import Action
from monitoring.sources import EvidenceSource, SourceError
from monitoring.windows import Document
from monitoring.witness import Witness

TICK: Final = 1.0  # seconds
SOON: Final = 0.05  # between two looks while gateways have not taken a rollback yet
PATIENT_TICKS: Final = 5
ACTOR: Final = "controller"


class Controller:
    """One file, one source of evidence. ``clock`` is the time of day, ``monotonic`` measures what
    was watched; both in seconds.
    """

    def __init__(
        self,
        path: Path,
        source: EvidenceSource,
        *,
        witness: Witness | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._source = source
        self._witness = witness or Witness()
        self._clock = clock
        self._monotonic = monotonic
        self._chronicle = Chronicle(path, clock)
        self._docket: Docket | None = None
        self._looked: float | None = None  # when the last look was that found evidence
        self._apart = 0  # looks for which a gateway has served another file
        self._unserved: dict[str, tuple[float, str]] = {}  # route: decided when, which generation

    def tick(self) -> list[Judgement]:
        """Look once, and do what the verdicts call for. Errors are told of and change nothing."""
        now, since = self._monotonic(), self._looked
        self._looked = None
        try:
            snapshot = routing_file.read(self._path)
            docket = self._recalled()
            config = parse(snapshot.content)
            documents = self._documents(config)
            judgements = docket.look(config, documents, 0.0 if since is None else now - since)
        except (GatewayError, SourceError, OSError) as error:
            self._witness.cannot(str(error))
            return []
        if judgements:
            self._looked = now
        self._compare(config.generation, documents)
        generation = snapshot.generation
        for judgement in sorted(judgements, key=lambda one: one.action is not Action.ROLLBACK):
            generation = self._act(docket, judgement, generation)
        self._witness.looked(config, judgements, self._chronicle)
        return judgements

    def run(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Tick until interrupted."""
        while True:
            began = self._monotonic()
            self.tick()
            pause = SOON if self._unserved else TICK
            sleep(max(SOON, pause - (self._monotonic() - began)))

    def _recalled(self) -> Docket:
        """What an earlier controller knew, looked up once."""
        if self._docket is None:
            self._docket = Docket(self._chronicle.recall())
        return self._docket

    def _documents(self, config: RoutingConfig) -> Sequence[Document | None]:
        """Of all gateways, if anything is to be judged."""
        if not any(route.analysis or route.rollouts for route in config.routes):
            return ()
        documents = self._source.evidence()
        now = self._monotonic()
        for route, (decided, generation) in list(self._unserved.items()):
            served = all(one is not None and one["generation"] == generation for one in documents)
            if served or now - decided > PATIENT_TICKS:
                del self._unserved[route]
            if served:
                self._witness.served(route, now - decided)
        return documents

    def _act(self, docket: Docket, judgement: Judgement, generation: str) -> str:
        """Write down what is new, make the edit; the generation of the file afterwards."""
        urgent = judgement.action is Action.ROLLBACK
        try:
            if self._chronicle.note(judgement, generation):
                self._witness.judged(judgement)
        except OSError as error:
            why = f"the history cannot be written: {error}"
            self._witness.cannot(why, about="recording")
            if not urgent:  # nothing is done that is not written down
                return generation
        else:
            self._witness.can(about="recording")
        change = change_of(judgement)
        if change is None:
            return generation
        decided = self._monotonic()
        try:
            changed = editing.change(
                self._path,
                change,
                by=ACTOR,
                reason=reason_of(judgement),
                action=str(judgement.action),
                if_generation=generation,
                clock=self._clock,
            )
        except StaleEdit as error:  # somebody else has edited: who is looked at next time
            self._witness.stepped_aside(judgement, str(error))
            return generation
        except (GatewayError, OSError) as error:
            self._witness.failed(judgement, str(error))
            return generation
        self._witness.acted(judgement, changed)
        if urgent:
            docket.forget(judgement)
            self._chronicle.forget(judgement.key)
            self._unserved[judgement.route.name] = decided, changed.generation
        return changed.generation

    def _compare(self, file: str, documents: Sequence[Document | None]) -> None:
        """A gateway serves a new file a moment later; for longer it is another file, or refused."""
        served = [one.get("generation") for one in documents if one is not None]
        others = [str(one) for one in served if one != file]
        self._apart = self._apart + 1 if others else 0
        if self._apart >= PATIENT_TICKS:
            self._witness.cannot(
                f"the file is {file}, the gateway serves {others[0]}: is it the same file?"
            )
        elif not self._apart:
            self._witness.can()
