"""Whom the controller tells what it sees and does: the log, its metrics, and people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.logs import Log
from gateway.model import RoutingConfig
from monitoring.analysis.drift import drift
from monitoring.analysis.verdict import Kind
from monitoring.controller.herald import Herald
from monitoring.editing import Changed
from monitoring.history.chronicle import Chronicle
from monitoring.judgement.acting import reason_of
from monitoring.judgement.docket import Judgement, Key
from monitoring.judgement.record import CONTROLLER
from monitoring.metrics.collector import Metrics
from monitoring.metrics.standing import Shown
from monitoring.rollout.position import resting_phase

JUDGING: Final = "judging"
RECORDING: Final = "recording"
JUDGED: Final = "judged"
STANDING_BY: Final = "standing_by"

log = Log()


class Witness:
    """Told of everything; changes nothing."""

    def __init__(self, metrics: Metrics, herald: Herald) -> None:
        self._metrics = metrics
        self._herald = herald
        self._troubles: dict[str, str] = {}
        self._failed: set[str] = set()  # edits that could not be made
        self._failing: set[str] = set()  # those of this look
        self._alerts: dict[Key, tuple[int, int]] = {}  # the candidate's requests; how many alerts
        self._known = ""

    def judged(self, judgement: Judgement) -> None:
        """The verdict says something new."""
        route, version = judgement.key
        self._metrics.verdict_changed(route, version, judgement.verdict, judgement.kind)
        log.info(
            "verdict",
            route=route,
            version=version,
            verdict=judgement.kind,
            action=judgement.action,
            why=judgement.verdict.sentence,
            **_numbers(judgement),
        )

    def acted(self, judgement: Judgement, changed: Changed) -> None:
        """The file was edited."""
        route, version = judgement.key
        self.can(_about(judgement))
        self._herald.decided(judgement)
        log.warning(
            "file edited",
            action=judgement.action,
            route=route,
            version=version,
            by=CONTROLLER,
            before=changed.before,
            after=changed.after,
            generation=changed.generation,
            why=reason_of(judgement),
        )

    def served(self, route: str, seconds: float) -> None:
        """All gateways serve the file from which a candidate was taken out."""
        self._metrics.acknowledged(route, seconds)
        log.info("rollback served", route=route, seconds=round(seconds, 3))

    def stepped_aside(self, judgement: Judgement, why: str) -> None:
        """Somebody else has edited the file first."""
        route, version = judgement.key
        log.info("stepped aside", action=judgement.action, route=route, version=version, why=why)

    def failed(self, judgement: Judgement, why: str) -> None:
        """An edit that is called for cannot be made. People hear of it at once."""
        about = _about(judgement)
        self._failing.add(about)
        self.cannot(f"{why} (called for as {judgement.verdict.sentence})", about)
        self._herald.alarm(about)

    def cannot(self, why: str, about: str = JUDGING) -> None:
        """Something keeps us from it. Logged when that begins or changes, not each second; people
        hear of it if it lasts.
        """
        if why != self._troubles.get(about):
            self._troubles[about] = why
            log.error("in trouble", about=about, why=why)

    def can(self, about: str = JUDGING) -> None:
        """Nothing keeps us from it any more."""
        if self._troubles.pop(about, ""):
            log.info("out of trouble", about=about)

    def looked(
        self,
        outcome: str,
        config: RoutingConfig | None,
        judgements: Sequence[Judgement],
        chronicle: Chronicle,
    ) -> None:
        """A look has ended, as ``outcome`` says; ``config`` is the last good file."""
        self._metrics.look(outcome)
        if judgements and outcome == JUDGED:
            for about in self._failed - self._failing:  # nobody asks for them any more
                self.can(about)
            self._failed, self._failing = self._failing, set()
        self._metrics.unrecorded(len(chronicle.owed))
        if config is None:
            return
        if config.generation != self._known:
            self._metrics.known(config.routes)
            self._known = config.generation
        self._metrics.looked(list(_shown(config, judgements, chronicle)))
        self._alert(judgements)
        if outcome == STANDING_BY:  # who acts tells
            return
        try:
            self._herald.follow(config.notify, chronicle, self._troubles)
        except OSError as error:
            self.cannot(f"the history cannot be read or written: {error}", RECORDING)

    def _alert(self, judgements: Sequence[Judgement]) -> None:
        """Tell of alerts if there are more of them than ever in this case, which a look that found
        nothing does not end: they would be told of again after each edit of the file.
        """
        for one in judgements:
            if one.verdict.kind is Kind.ERROR:
                continue
            route, version = one.key
            assigned = one.verdict.candidate.assigned
            then, told = self._alerts.get(one.key, (0, 0))
            told = 0 if assigned < then else told  # it is another case
            if len(one.alerts) > told:
                for alert in one.alerts:
                    log.warning("alert", route=route, version=version, why=alert)
                    self._herald.warn(route, version, alert)
            self._alerts[one.key] = assigned, max(told, len(one.alerts))


def _numbers(judgement: Judgement) -> dict[str, object]:
    """What a verdict is made of, as its row in the history has it."""
    verdict, position = judgement.verdict, judgement.position
    arms = {"candidate": verdict.candidate, "stable": verdict.stable}
    return {
        "weight": position.weight / 100,
        "step": position.step,
        "evidence": round(verdict.evidence, 3),
        "limit": verdict.limit,
        **{
            name: {"assigned": one.assigned, "bad": one.bad, "gone": one.gone}
            for name, one in arms.items()
        },
    }


def _about(judgement: Judgement) -> str:
    return f"{judgement.action} of {' '.join(judgement.key)}"


def _shown(
    config: RoutingConfig, judgements: Sequence[Judgement], chronicle: Chronicle
) -> Iterator[Shown]:
    """Where every version stands."""
    judged = {one.key: one for one in judgements}
    for route in config.routes:
        for version in route.versions:
            key = route.name, version.name
            one = judged.get(key)
            if one is None:
                phase = resting_phase(route, version.name, chronicle.last_action.get(key, ""))
                yield Shown(*key, phase)
                continue
            position = one.position
            watched = one.filed.watch.seconds if one.filed else 0.0
            seen = one.filed.case.seen.values() if one.filed else ()
            yield Shown(
                *key,
                position.phase,
                position.step,
                watched,
                position.pause,
                one.verdict,
                one.kind,
                drift(route.prediction, seen),
            )
