"""The cases of all candidates, from one look to the next. No clock, no socket, no file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.model import Analysis, OnFailure, Route, RoutingConfig, Version
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.verdict import Kind, Verdict, error, judge
from monitoring.evidence import BadEvidence, Window
from monitoring.windows import Document, past_of, windows_of


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one candidate of one route."""

    route: Route
    candidate: Version
    verdict: Verdict

    @property
    def calls_for_rollback(self) -> bool:
        """Failed, and the file does not ask to be told only."""
        rollout = self.route.rollout(self.candidate.name)
        acts = rollout is None or rollout.on_failure is OnFailure.ROLLBACK
        return self.verdict.kind is Kind.FAILED and acts


@dataclass(frozen=True, slots=True)
class Filed:
    """A case, and the question it was grown for: another question is another case."""

    question: Question
    case: Case

    def is_over(self, windows: Sequence[Window], documents: Sequence[Document]) -> bool:
        """Whether the run it is about has ended and another one has begun, or gateways came or
        went.

        Nothing of it is part of the present run, which has a beginning that is told of. Where it
        has none, the gateway itself began anew in the middle of the run, which goes on.
        """
        if len(documents) != self.case.gateways:
            return True
        if not self.case.seen or any(window.source in self.case.seen for window in windows):
            return False
        told = sum(len(document["generations"]) for document in documents)
        return told > len(windows)


class Docket:
    """One per controller. What it holds is forgotten with the run of a candidate."""

    def __init__(self) -> None:
        self._filed: dict[tuple[str, str], Filed] = {}

    def look(self, config: RoutingConfig, documents: Sequence[Document]) -> list[Judgement]:
        """A verdict on every candidate that gets traffic in a route with ``analysis``.

        Evidence of another generation than the file's is not yet about this file: nothing is
        judged, and nothing is forgotten.
        """
        if any(one.get("generation") != config.generation for one in documents):
            return []
        judged = list(self._judged(config, documents))
        under_way = {(one.route.name, one.candidate.name) for one in judged}
        self._filed = {key: filed for key, filed in self._filed.items() if key in under_way}
        return judged

    def forget(self, judgement: Judgement) -> None:
        """The run has ended: what comes next is another case."""
        self._filed.pop((judgement.route.name, judgement.candidate.name), None)

    def _judged(self, config: RoutingConfig, documents: Sequence[Document]) -> Iterator[Judgement]:
        for route in config.routes:
            for candidate in route.candidates if route.analysis else ():
                if candidate.weight and route.analysis:
                    verdict = self._verdict(route, route.analysis, candidate, documents)
                    yield Judgement(route, candidate, verdict)

    def _verdict(
        self, route: Route, analysis: Analysis, candidate: Version, documents: Sequence[Document]
    ) -> Verdict:
        key = route.name, candidate.name
        question = question_of(route, analysis)
        try:
            windows = windows_of(documents, *key)
            filed = self._filed.get(key)
            if filed is None or filed.question != question or filed.is_over(windows, documents):
                case = Case.opened(past_of(documents, *key), len(documents))
            else:
                case = filed.case
            case = case.grown(question, windows)
        except BadEvidence as problem:
            return error(str(problem), 1 / question.alpha)
        self._filed[key] = Filed(question, case)
        return judge(question, case)
