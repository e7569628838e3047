"""The loop that watches and acts: read, collect, judge, edit. It acts only by editing the file.

The file says what is served, the gateway's counts say how it went; between ticks it holds what was
made of them so far.
A candidate that was rolled back has weight 0, and nothing here raises a weight, so a restart needs
no memory. A file that changed after the evidence was read is a conflict: the verdict is dropped
and the next tick looks anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway import routing_file
from gateway.config import parse
from gateway.edit import SetWeight
from gateway.errors import GatewayError
from gateway.logs import Log
from monitoring import editing
from monitoring.analysis.verdict import Kind
from monitoring.docket import Docket, Judgement
from monitoring.sources import EvidenceSource, SourceError

TICK: Final = 1.0  # seconds
PATIENT_TICKS: Final = 5
ACTOR: Final = "controller"

log = Log()


class Controller:
    """One file, one source of evidence."""

    def __init__(
        self, path: Path, source: EvidenceSource, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._source = source
        self._clock = clock
        self._docket = Docket()
        self._said: dict[tuple[str, str], Kind] = {}
        self._trouble = ""
        self._apart = 0  # ticks for which the gateway has served another file

    def tick(self) -> list[Judgement]:
        """Look once, and take out what has failed. Errors are logged and change nothing."""
        try:
            snapshot = routing_file.read(self._path)
            config = parse(snapshot.content)
            documents = self._source.evidence() if any(r.analysis for r in config.routes) else ()
            judgements = self._docket.look(config, documents) if documents else []
            self._compare(config.generation, [one.get("generation") for one in documents])
        except (GatewayError, SourceError, OSError) as error:
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
            self._docket.forget(judgement)
            log.warning("rolled back", route=route, version=version, why=judgement.verdict.sentence)

    def _compare(self, file: str, served: Sequence[str | None]) -> None:
        """A gateway serves a new file a moment later; for longer it is another file, or refused."""
        others = [str(one) for one in served if one != file]
        self._apart = self._apart + 1 if others else 0
        if self._apart >= PATIENT_TICKS:
            self._cannot(
                f"the file is {file}, the gateway serves {others[0]}: is it the same file?"
            )
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
