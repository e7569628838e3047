"""A regressor judged by what it answers: from what a gateway counted to the verdict."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gateway.admin.status import evidence_json
from gateway.counting.report import ReloadStatus, State, gather
from gateway.model import Analysis, RoutingConfig, ShiftAction
from gateway.processes.plane import Solo
from gateway.routing.table import compile_table
from monitoring.analysis import spans
from monitoring.analysis.case import Case
from monitoring.analysis.drift import drift, statistics_of
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.verdict import Kind, Verdict, judge
from monitoring.readings.evidence import BadEvidence, Counts, Window, named, span_of
from monitoring.readings.windows import windows_of
from tests.builders import make_config, make_outcome, make_value

COARSE = (50.0, 100.0, 150.0, 200.0, 250.0)
FINE = tuple(float(bound) for bound in range(25, 350, 25))


def file(bounds: tuple[float, ...] = COARSE, generation: str = "one") -> RoutingConfig:
    versions = {"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", 50)}
    return make_config(versions, prediction=make_value(*bounds), generation=generation)


def question(action: ShiftAction = ShiftAction.ROLLBACK) -> Question:
    (route,) = file().routes
    analysis = Analysis(predictions_max_shift=500, predictions_action=action)
    return question_of(route, analysis)


class Model:
    """Predicts what is drawn."""

    def __init__(self, seed: int, mean: float = 150.0, spread: float = 75.0) -> None:
        self._draw = np.random.default_rng(seed)
        self._mean, self._spread = mean, spread

    def __call__(self) -> float:
        return float(self._draw.normal(self._mean, self._spread))


class Trial:
    """A gateway without sockets that stable and a candidate answer at, and who judges them."""

    def __init__(self, candidate: Model, asked: Question | None = None) -> None:
        self.plane = Solo(file())
        self.models = {"v1": Model(1), "v2": candidate}
        self.asked = asked or question()
        self.case = Case.opened()

    def reload(self, bounds: tuple[float, ...], generation: str) -> None:
        self.plane.put(compile_table(file(bounds, generation)))

    def verdict(self, requests: int = 1000) -> Verdict:
        """After so many requests more."""
        serving = self.plane.live.serving
        draw = np.random.default_rng(requests)
        for _ in range(requests):
            decision = serving.table.routes[0].assign({}, None, draw.random)
            reading = (None, None, self.models[decision.version](), None)
            serving.counts[decision.index].record(make_outcome(decision, reading=reading))
        state = State("routing.yaml", ReloadStatus(), False, self.plane.processes(), 0)
        document: Any = json.loads(json.dumps(evidence_json(gather(self.plane.archive, state))))
        self.case = self.case.grown(self.asked, windows_of([document], "iris", "v2"))
        return judge(
            self.asked, Case.loaded(json.loads(json.dumps(self.case.dumped())), self.asked)
        )

    def until(self, looks: int = 8) -> Verdict:
        """The first verdict that decides, or the last one."""
        for _ in range(looks):
            verdict = self.verdict()
            if verdict.kind is not Kind.INCONCLUSIVE:
                break
        return verdict


@pytest.mark.parametrize("mean", [200.0, 100.0])
def test_a_regressor_whose_values_are_shifted_fails(mean: float) -> None:
    verdict = Trial(Model(2, mean=mean)).until()

    assert (verdict.kind, verdict.reasons) == (Kind.FAILED, ("values",))
    assert "% of its values are over " in verdict.sentence


def test_a_shift_alerts_where_the_file_says_so() -> None:
    trial = Trial(Model(2, mean=200.0), question(ShiftAction.ALERT))
    verdict = trial.until()

    assert verdict.kind is Kind.INCONCLUSIVE
    assert any("of its values are over" in alert for alert in verdict.alerts), verdict


def test_a_regressor_that_answers_one_number_only_has_collapsed() -> None:
    verdict = Trial(Model(2, mean=120.0, spread=0.0), question(ShiftAction.ALERT)).until()

    assert (verdict.kind, verdict.reasons) == (Kind.FAILED, ("collapse",))
    assert "are all value 100 to 150, which is " in verdict.sentence


@pytest.mark.parametrize("seed", range(2, 6))
def test_a_twin_does_nothing_of_the_kind(seed: int) -> None:
    trial = Trial(Model(seed))
    verdict = trial.until()

    assert verdict.kind is not Kind.FAILED
    assert not verdict.alerts


@pytest.mark.parametrize("bounds", [FINE, (1000.0,), (-50.0, 150.0)])
def test_a_twin_stays_one_when_the_bounds_are_changed(bounds: tuple[float, ...]) -> None:
    """Not even where all answers lie between two of the new ones."""
    trial = Trial(Model(2))
    trial.verdict(3000)
    trial.reload(bounds, "two")
    verdict = trial.until()

    assert verdict.kind is not Kind.FAILED
    assert sum(n for _, n in trial.case.candidate.values) == trial.case.candidate.assigned


def test_a_shift_is_found_after_the_bounds_were_changed() -> None:
    trial = Trial(Model(2))
    trial.verdict(2000)
    trial.models["v2"] = Model(3, mean=230.0)
    trial.reload(FINE, "two")

    assert trial.until().reasons == ("values",)


def test_values_are_compared_where_tenths_of_stable_end() -> None:
    values = named({"-inf:10.0": 20, "10.0:20.0": 900, "20.0:50.0": 40, "50.0:inf": 40})
    found = spans.borders(values, 10, 200)

    assert found == ("10.0", "20.0")
    assert spans.parts(values, [10.0, 20.0]).tolist() == [20, 900, 80]
    assert spans.borders(named({"-inf:10.0": 199}), 10, 200) is None
    assert spans.borders(named({"50.0:inf": 200}), 10, 200) == ("50.0",)


def test_the_drift_of_values_is_told_as_that_of_scores() -> None:
    prediction = make_value(*COARSE)
    theirs = Counts(3000, values=named({"-inf:50.0": 1000, "50.0:100.0": 1000, "250.0:inf": 1000}))
    mine = Counts(1000, values=named({"-inf:50.0": 1000}))
    found = drift(prediction, [(mine, theirs)])

    assert statistics_of(prediction) == ("psi", "js", "ks")
    assert found["psi"] > 1
    assert found["ks"] == pytest.approx(2 / 3, abs=0.05)
    assert drift(prediction, [(theirs, theirs)]) == pytest.approx({"psi": 0, "js": 0, "ks": 0})


@pytest.mark.parametrize("name", ["", "7", "7:", "20.0:10.0", "nan:1", "1:nan", "a:b"])
def test_what_names_no_two_bounds_is_no_evidence(name: str) -> None:
    with pytest.raises(BadEvidence, match="two bounds"):
        span_of(name)


def test_a_case_from_before_values_were_counted_is_read() -> None:
    case = Case.opened(Counts(9)).grown(question(), [Window("0/g@0", 0.5, Counts(3), Counts(4))])
    document = case.dumped()
    for counts in (document["candidate"], document["stable"], document["past"]):
        del counts["values"]

    assert Case.loaded(document, question()).dumped() == case.dumped()
