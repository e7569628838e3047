"""The cases of all candidates, from one look to the next. No clock, no socket, no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.model import FULL_WEIGHT, Route, RoutingConfig, Version
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.verdict import Kind, Verdict, error, judge, unjudged
from monitoring.readings.evidence import BadEvidence, Window
from monitoring.readings.windows import Document, has_beginning, past_of, windows_of
from monitoring.rollout.position import Position, Stand, position_of
from monitoring.rollout.rules import Action, choose
from monitoring.rollout.watch import Watch

Key = tuple[str, str]
"""Route and candidate."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A case, the question it was grown for, and what was watched. Another question, another stable
    or another address is another case.
    """

    question: Question
    case: Case
    watch: Watch
    failed: bool = False  # and paused for it: who resumes asks for another verdict

    def after(self, verdict: Verdict) -> Filed:
        """What is remembered of a verdict: that it was a failure."""
        if verdict.kind is not Kind.FAILED:
            return self
        failed = verdict.reasons[0], verdict.sentence
        return replace(self, case=replace(self.case, failed=failed))

    def is_over(self, windows: Sequence[Window], gateways: int, began: bool) -> bool:
        """Whether the run it is about has ended and another one has begun, or gateways came or
        went.

        Nothing of it is part of the present run, which has a beginning that is told of (``began``).
        Where it has none, the gateway itself began anew in the middle of the run, which goes on.
        """
        if gateways != self.case.gateways:
            return True
        if not self.case.seen or any(window.source in self.case.seen for window in windows):
            return False
        return began


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one candidate of one route, and what it calls for. ``filed`` is what it was made
    of; None where nothing could be judged.
    """

    route: Route
    candidate: Version
    verdict: Verdict
    position: Position
    action: Action
    filed: Filed | None = None

    @property
    def key(self) -> Key:
        return self.route.name, self.candidate.name

    @property
    def is_suspected(self) -> bool:
        """Whether something speaks against a candidate that has not failed: worth a look sooner."""
        spell = self.filed is not None and any(self.filed.case.saved.spell)
        return self.verdict.kind is not Kind.FAILED and (self.verdict.evidence >= 2 or spell)

    @property
    def alerts(self) -> tuple[str, ...]:
        """What people are to hear of though nothing is done: a failure where the file asks for an
        alert, and answers that have shifted. Who is paused for a failure was told of by the pause.
        """
        told = self.position.stand is Stand.PAUSED
        failed = (self.verdict.sentence,) if self.action is Action.ALERT and not told else ()
        return (*failed, *self.verdict.alerts)

    @property
    def kind(self) -> Kind:
        """The verdict on the next weight, where there is one."""
        return self.verdict.on(self.position.following or FULL_WEIGHT)


class Docket:
    """One per controller. What it holds is forgotten with the run of a candidate."""

    def __init__(self, filed: Mapping[Key, Filed] | None = None) -> None:
        self._filed = dict(filed or {})

    def look(
        self, config: RoutingConfig, documents: Sequence[Document | None], elapsed: float = 0.0
    ) -> list[Judgement]:
        """A verdict on every candidate that gets traffic, in routes with ``analysis`` or with a
        rollout of it; ``elapsed`` are the seconds since the last look.

        A document of another generation than the file's is not yet about this file. If all are, or
        none is there, nothing is judged, and nothing is forgotten. If some are, what the others
        say may fail a candidate, but proves nothing good.
        """
        present = [
            one if one is not None and one.get("generation") == config.generation else None
            for one in documents
        ]
        if all(one is None for one in present):
            return []
        judged = list(self._judged(config, present, elapsed))
        under_way = {one.key for one in judged}
        self._filed = {key: filed for key, filed in self._filed.items() if key in under_way}
        return judged

    def forget(self, judgement: Judgement) -> None:
        """The run has ended: what comes next is another case."""
        self._filed.pop(judgement.key, None)

    def _judged(
        self, config: RoutingConfig, documents: Sequence[Document | None], elapsed: float
    ) -> Iterator[Judgement]:
        for route in config.routes:
            for candidate in route.candidates:
                named = route.analysis or route.rollout(candidate.name)
                if candidate.weight and named:
                    yield self._judgement(route, candidate, documents, elapsed)

    def _judgement(
        self,
        route: Route,
        candidate: Version,
        documents: Sequence[Document | None],
        elapsed: float,
    ) -> Judgement:
        verdict, filed = self._verdict(route, candidate, documents)
        rollout = route.rollout(candidate.name)
        if filed is None:
            position = position_of(route, candidate.name, 0.0)
            return Judgement(route, candidate, verdict, position, Action.HOLD)
        if verdict.kind is not Kind.ERROR:
            now = Watch.begun(route, candidate.name)
            filed = replace(filed, watch=filed.watch.after(now, elapsed))
        position = position_of(route, candidate.name, filed.watch.seconds)
        paused = position.stand is Stand.PAUSED
        filed = replace(filed, failed=paused and verdict.kind is Kind.FAILED)
        # The row of a failure holds what it was made of, and not that it was one.
        self._filed[route.name, candidate.name] = filed.after(verdict)
        kind = verdict.on(position.following or FULL_WEIGHT)
        action = choose(position.stand, kind, rollout)
        return Judgement(route, candidate, verdict, position, action, filed)

    def _verdict(
        self, route: Route, candidate: Version, documents: Sequence[Document | None]
    ) -> tuple[Verdict, Filed | None]:
        if route.analysis is None:
            return unjudged("nothing is judged: the route has no `analysis`"), None
        key = route.name, candidate.name
        question = question_of(route, route.analysis, candidate.name)
        limit = 1 / question.alpha
        try:
            windows = windows_of(documents, *key)
            filed = self._continued(route, candidate, question, windows, documents)
            filed = replace(filed, case=filed.case.grown(question, windows))
        except BadEvidence as problem:
            known = self._filed.get(key)
            return error(str(problem), limit), known
        verdict = judge(question, filed.case)
        silent = [number for number, one in enumerate(documents, 1) if one is None]
        if silent and verdict.kind is not Kind.FAILED:
            which = ", ".join(str(number) for number in silent)
            why = f"of {len(documents)} gateways number {which} says nothing about this file"
            return error(why, limit), filed
        return verdict, filed

    def _continued(
        self,
        route: Route,
        candidate: Version,
        question: Question,
        windows: Sequence[Window],
        documents: Sequence[Document | None],
    ) -> Filed:
        """What is known of the present run of a candidate, or the beginning of it."""
        now = Watch.begun(route, candidate.name)
        filed = self._filed.get((route.name, candidate.name))
        over = (
            filed is None
            or not filed.question.asks_as(question)
            or not filed.watch.is_same_trial(now)
            or filed.is_over(
                windows, len(documents), has_beginning(documents, route.name, candidate.name)
            )
        )
        rollout = route.rollout(candidate.name)
        resumed = filed is not None and filed.failed and not (rollout and rollout.paused)
        if filed is not None and not over and not resumed:
            return replace(filed, question=question)
        past = past_of(documents, route.name, candidate.name)
        case = Case.opened(past, len(documents))
        # Who resumes has seen the verdict and wants another one: of what comes from here on.
        return Filed(question, case if over else case.from_here(windows), now)
