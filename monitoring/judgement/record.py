"""A judgement as a row of the history: all that it was made of, so that it can be made again.

It is what a controller goes on from after a restart, and what ``canary replay`` recomputes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeAlias

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT, OnFailure, OnSuccess, Rollout, Route, Step, Version
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question
from monitoring.analysis.verdict import Verdict, judge
from monitoring.judgement.docket import Filed, Judgement, Key
from monitoring.readings import dumped
from monitoring.rollout.position import Position, position_of
from monitoring.rollout.rules import Action, choose
from monitoring.rollout.watch import Watch

CONTROLLER: Final = "controller"
"""Who acts, in the history and to people, where it is no person."""

VERDICT: Final = "verdict"
"""The kind of a row that says something new: another verdict, or another action."""

WATCH: Final = "watch"
"""The kind of a row that only says how far one has come."""


Says: TypeAlias = tuple[str, str, str, int]
"""What makes a row say something new: verdict, action, stand, and how many alerts there are."""


def says_of(judgement: Judgement) -> Says:
    """What the row of this judgement says."""
    stand, alerts = str(judgement.position.stand), len(judgement.alerts)
    return str(judgement.kind), str(judgement.action), stand, alerts


@dataclass(frozen=True, slots=True)
class Record:
    """A row, read back."""

    id: str
    at: str
    key: Key
    generation: str
    kind: str  # the verdict's on the next weight
    stand: str
    sentence: str
    evidence: float
    action: Action
    alerts: int
    rollout: Rollout | None
    filed: Filed

    @property
    def says(self) -> Says:
        return self.kind, str(self.action), self.stand, self.alerts

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self | None:
        """None if the row is of another kind, holds no case, or is of another version's shape."""
        if row.get("row") not in (VERDICT, WATCH) or not row.get("case"):
            return None
        try:
            question = Question.loaded(row["question"])
            filed = Filed(
                question,
                Case.loaded(row["case"], question),
                Watch.loaded(row["watch"]),
                bool(row["failed"]),
            )
            return cls(
                str(row["id"]),
                str(row["at"]),
                (str(row["route"]), str(row["version"])),
                str(row["generation"]),
                str(row["verdict"]),
                str(row["stand"]),
                str(row["sentence"]),
                float(row["evidence"]),
                Action(row["action"]),
                len(row["alerts"]),
                _rollout_of(row["rollout"]),
                filed,
            )
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            return None

    def again(self) -> tuple[Verdict, Position, Action]:
        """The verdict, where the rollout stood, and the action, recomputed from what was seen."""
        _, candidate = self.key
        watch = self.filed.watch
        route = Route(
            self.key[0],
            watch.stable,
            (Version(watch.stable, ()), Version(candidate, (), watch.weight)),
            rollouts=(self.rollout,) if self.rollout else (),
        )
        verdict = judge(self.filed.question, self.filed.case)
        position = position_of(route, candidate, watch.seconds)
        kind = verdict.on(position.following or FULL_WEIGHT)
        return verdict, position, choose(position.stand, kind, self.rollout)

    def disagreement(self) -> str:
        """In which way it does not come out the same again; empty if it does."""
        verdict, position, action = self.again()
        found = {
            "verdict": (self.kind, str(verdict.on(position.following or FULL_WEIGHT))),
            "sentence": (self.sentence, verdict.sentence),
            "evidence": (self.evidence, verdict.evidence),
            "stand": (self.stand, str(position.stand)),
            "action": (str(self.action), str(action)),
        }
        return "; ".join(
            f"{what} {was!r} is {now!r} now" for what, (was, now) in found.items() if was != now
        )


def row_of(judgement: Judgement, *, kind: str, id: str, at: str, generation: str) -> dict[str, Any]:
    """The judgement as a row of ``kind``."""
    verdict, position, filed = judgement.verdict, judgement.position, judgement.filed
    rollout = judgement.route.rollout(judgement.candidate.name)
    following = position.following
    return {
        "row": kind,
        "id": id,
        "at": at,
        "route": judgement.route.name,
        "version": judgement.candidate.name,
        "generation": generation,
        "verdict": str(judgement.kind),
        "action": str(judgement.action),
        "sentence": verdict.sentence,
        "alerts": list(judgement.alerts),
        "evidence": verdict.evidence,
        "limit": verdict.limit,
        "leading": verdict.leading,
        "stand": str(position.stand),
        "step": position.step,
        "steps": position.steps,
        "weight": percent_text(position.weight),
        "following": None if following is None else percent_text(following),
        "numbers": {
            name: {"assigned": one.assigned, "bad": one.bad, "gone": one.gone}
            for name, one in (("candidate", verdict.candidate), ("stable", verdict.stable))
        },
        "rollout": _dumped(rollout),
        "failed": filed is not None and filed.failed,
        "watch": filed.watch.dumped() if filed else None,
        "question": filed.question.dumped() if filed else None,
        # Nobody can make again what was not made of the case.
        "case": filed.case.dumped() if filed and verdict.allowances else None,
    }


def resumed(record: Record) -> Record:
    """The same, after a person has resumed the candidate in spite of its verdict."""
    return replace(record, filed=replace(record.filed, failed=True))


def _dumped(rollout: Rollout | None) -> dict[str, Any] | None:
    if rollout is None:
        return None
    return {
        "candidate": rollout.candidate,
        "steps": [[step.weight, step.pause] for step in rollout.steps],
        "on_failure": str(rollout.on_failure),
        "on_success": str(rollout.on_success),
        "paused": rollout.paused,
    }


def _step_of(weight: object, pause: object) -> Step:
    seconds = None if pause is None else dumped.number(pause)
    return Step(dumped.whole(weight, FULL_WEIGHT), seconds)


def _rollout_of(document: Mapping[str, Any] | None) -> Rollout | None:
    if document is None:
        return None
    return Rollout(
        str(document["candidate"]),
        tuple(_step_of(*step) for step in document["steps"]),
        OnFailure(document["on_failure"]),
        OnSuccess(document["on_success"]),
        bool(document["paused"]),
    )
