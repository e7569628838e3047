"""The loop that watches and acts: read, collect, judge, edit. It acts only by editing the file.

The file says what is served and where a rollout stands, the history how long it was watched and
what was seen, the gateways' counts what has happened since: killed at any moment and started again,
it goes on. What it decides is :mod:`monitoring.judgement`'s and :mod:`monitoring.rollout`'s affair.
A file that changed after the evidence was read is a conflict: the verdict is dropped, the next look
is at the new file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final

from gateway.config import parse
from gateway.errors import ConfigError, GatewayError, StaleEdit
from gateway.files import routing_file
from gateway.model import RoutingConfig
from monitoring import editing
from monitoring.controller.witness import JUDGED, RECORDING, STANDING_BY, Witness
from monitoring.history.chronicle import Chronicle
from monitoring.judgement.acting import change_of, reason_of
from monitoring.judgement.docket import Docket, Judgement
from monitoring.judgement.record import CONTROLLER
from monitoring.readings.sources import EvidenceSource, SourceError
from monitoring.readings.windows import Document
from monitoring.rollout.rules import Action

TICK: Final = 1.0  # seconds between two looks
HASTE: Final = 0.5  # while something speaks against a candidate
SOON: Final = 0.05  # between two questions whether gateways have taken a rollback; not looks, each
# of which is evidence of its own where stable answers in the place of a candidate
PREPARE: Final = 60.0  # seconds between two looks at the space that a rollback needs
PATIENT_TICKS: Final = 5


class Controller:
    """One file, one source of evidence. ``clock`` is the time of day, ``monotonic`` measures what
    was watched; both in seconds. ``leads`` says whether this is the controller of the file.
    """

    def __init__(
        self,
        path: Path,
        source: EvidenceSource,
        witness: Witness,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._source = source
        self._witness = witness
        self._clock = clock
        self._monotonic = monotonic
        self._leads = leads
        self._chronicle = Chronicle(path, clock)
        self._docket: Docket | None = None
        self._config: RoutingConfig | None = None  # the last good file
        self._content = b""  # its text
        self._looked: float | None = None  # when the last look was that found evidence
        self._suspects = False
        self._prepare_at = -inf
        self._apart = 0  # looks for which a gateway has served another file
        self._unserved: dict[str, tuple[float, str]] = {}  # route: decided when, which generation

    def tick(self) -> list[Judgement]:
        """Look once, and do what the verdicts call for. Errors are told of and change nothing."""
        outcome, judgements = STANDING_BY, list[Judgement]()
        if self._leads():
            outcome, judgements = self._look()
        else:
            self._docket = None  # what the leader does meanwhile is in the history
        self._witness.looked(outcome, self._config, judgements, self._chronicle)
        return judgements

    def run(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Tick until interrupted."""
        while True:
            began = self._monotonic()
            self.tick()
            pause = HASTE if self._suspects else TICK
            while self._unserved and self._monotonic() - began < pause - SOON:
                sleep(SOON)
                with suppress(SourceError):
                    self._settle(self._source.evidence())
            sleep(max(SOON, pause - (self._monotonic() - began)))

    def _look(self) -> tuple[str, list[Judgement]]:
        """What came of it, and the verdicts."""
        now, since = self._monotonic(), self._looked
        self._looked, outcome = None, "bad_file"
        try:
            usable = self._read()
            if self._config is None:
                return outcome, []
            outcome = "no_evidence"
            if self._docket is None:
                self._docket = Docket(self._chronicle.recall())
            if now >= self._prepare_at:
                self._prepare()
            documents = self._documents(self._config)
            elapsed = 0.0 if since is None else now - since
            judgements = self._docket.look(self._config, documents, elapsed)
        except (GatewayError, OSError) as error:
            self._witness.cannot(str(error))
            return outcome, []
        self._looked = now if judgements else None
        self._suspects = any(one.is_suspected for one in judgements)
        if usable:
            self._compare(self._config.generation, documents)
            self._do(self._docket, judgements, self._config.generation)
            return JUDGED, judgements
        for judgement in judgements:  # by what the gateways still serve
            if judgement.action is Action.ROLLBACK:
                why = f"{self._path} as it stands is refused; write `weight: 0` when you mend it"
                self._witness.failed(judgement, why)
        return "bad_file", judgements

    def _read(self) -> bool:
        """Read the file. False if it is refused: then the last good one counts, as for gateways.
        Raises OSError.
        """
        content = routing_file.read(self._path).content
        if self._config is not None and content == self._content:
            return True
        try:
            self._config, self._content = parse(content), content
        except ConfigError as error:
            self._witness.cannot(error.problems[0].render(self._path.name))
            return False
        self._outdate(self._config.generation)
        return True

    def _documents(self, config: RoutingConfig) -> Sequence[Document | None]:
        """Of all gateways, if anything is to be judged."""
        if not any(route.analysis or route.rollouts for route in config.routes):
            return ()
        documents = self._source.evidence()
        self._settle(documents)
        return documents

    def _settle(self, documents: Sequence[Document | None]) -> None:
        """Tell of the rollbacks that all gateways serve by now; leave off asking in the end."""
        now = self._monotonic()
        for route, (decided, generation) in list(self._unserved.items()):
            served = all(one and one.get("generation") == generation for one in documents)
            if served or now - decided > PATIENT_TICKS:
                del self._unserved[route]
            if served:
                self._witness.served(route, now - decided)

    def _outdate(self, generation: str) -> None:
        """The file has changed since: who serves it now serves the rollbacks before it, too."""
        for route, (decided, _) in self._unserved.items():
            self._unserved[route] = decided, generation

    def _do(self, docket: Docket, judgements: Sequence[Judgement], generation: str) -> None:
        """What the verdicts call for, rollbacks first."""
        try:
            self._chronicle.settle()
        except OSError as error:
            self._witness.cannot(f"the history cannot be written: {error}", RECORDING)
        for judgement in sorted(judgements, key=lambda one: one.action is not Action.ROLLBACK):
            recorded = self._note(judgement, generation)
            if recorded or judgement.action is Action.ROLLBACK:
                generation = self._act(docket, judgement, generation)

    def _note(self, judgement: Judgement, generation: str) -> bool:
        """Write down what is new. False if that is not possible: then nothing is done but a
        rollback.
        """
        try:
            if self._chronicle.note(judgement, generation):
                self._witness.judged(judgement)
        except OSError as error:
            self._witness.cannot(f"the history cannot be written: {error}", RECORDING)
            return False
        self._witness.can(RECORDING)
        return True

    def _act(self, docket: Docket, judgement: Judgement, generation: str) -> str:
        """Make the edit, if one is called for; the generation of the file afterwards."""
        change = change_of(judgement)
        if change is None:
            return generation
        decided, urgent = self._monotonic(), judgement.action is Action.ROLLBACK
        try:
            changed = editing.change(
                self._path,
                change,
                by=CONTROLLER,
                reason=reason_of(judgement),
                action=str(judgement.action),
                if_generation=generation,
                even_unrecorded=urgent,
                clock=self._clock,
            )
        except StaleEdit as error:  # somebody else has edited: who is looked at next time
            self._witness.stepped_aside(judgement, str(error))
            return generation
        except (GatewayError, OSError) as error:
            self._witness.failed(judgement, str(error))
            return generation
        self._witness.acted(judgement, changed)
        self._prepare()
        self._outdate(changed.generation)
        if changed.unrecorded is not None:
            self._chronicle.owe(changed.unrecorded)
        if urgent:
            docket.forget(judgement)
            self._chronicle.forget(judgement.key)
            self._unserved[judgement.route.name] = decided, changed.generation
        return changed.generation

    def _prepare(self) -> None:
        """Keep space for a rollback on a full disk."""
        self._prepare_at = self._monotonic() + PREPARE
        if why := editing.prepare(self._path):
            self._witness.cannot(why, "keeping space")
        else:
            self._witness.can("keeping space")

    def _compare(self, file: str, documents: Sequence[Document | None]) -> None:
        """A gateway serves a new file a moment later; for longer it is another file, or refused."""
        served = [one.get("generation") for one in documents if one is not None]
        others = [str(one) for one in served if one != file]
        self._apart = self._apart + 1 if others else 0
        if self._apart >= PATIENT_TICKS:
            self._witness.cannot(
                f"the file is {file}, the gateway serves {others[0]}: is it the same file?"
            )
        elif self._source.silent:
            self._witness.cannot("; ".join(self._source.silent))
        elif not self._apart:
            self._witness.can()
