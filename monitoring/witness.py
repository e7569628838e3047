"""Whom the controller tells what it sees and does: the log, its metrics, people."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.logs import Log
from gateway.model import RoutingConfig
from monitoring.acting import reason_of
from monitoring.chronicle import Chronicle
from monitoring.docket import Judgement
from monitoring.editing import Changed

log = Log()


class Witness:
    """Told of everything; changes nothing."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}

    def looked(
        self, config: RoutingConfig, judgements: Sequence[Judgement], chronicle: Chronicle
    ) -> None:
        """A look has ended, whatever it found."""

    def judged(self, judgement: Judgement) -> None:
        """The verdict says something new."""
        log.info(
            "verdict",
            route=judgement.route.name,
            version=judgement.candidate.name,
            verdict=judgement.kind,
            action=judgement.action,
            why=judgement.verdict.sentence,
        )

    def acted(self, judgement: Judgement, changed: Changed) -> None:
        """The file was edited."""
        route, version = judgement.key
        self.can(about=f"{judgement.action} of {' '.join(judgement.key)}")
        log.warning(
            "file edited",
            action=judgement.action,
            route=route,
            version=version,
            generation=changed.generation,
            why=reason_of(judgement),
        )

    def served(self, route: str, seconds: float) -> None:
        """All gateways serve the file from which a candidate was taken out."""

    def stepped_aside(self, judgement: Judgement, why: str) -> None:
        """Somebody else has edited the file first."""
        route, version = judgement.key
        log.info("stepped aside", action=judgement.action, route=route, version=version, why=why)

    def failed(self, judgement: Judgement, why: str) -> None:
        """An edit that is called for cannot be made."""
        about = f"{judgement.action} of {' '.join(judgement.key)}"
        self.cannot(f"{about} not written: {why}", about=about)

    def cannot(self, why: str, *, about: str = "judging") -> None:
        """Tell what keeps us from something when it begins or changes, not each second."""
        if why != self._troubles.get(about):
            self._troubles[about] = why
            log.error("in trouble", about=about, why=why)

    def can(self, *, about: str = "judging") -> None:
        """Nothing keeps us from it any more."""
        if self._troubles.pop(about, ""):
            log.info("out of trouble", about=about)
