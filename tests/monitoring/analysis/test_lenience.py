"""Before a candidate gets a part of the requests, less has to be proven than before it gets all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.model import Analysis, Rollout, Step
from monitoring.analysis.case import Case
from monitoring.analysis.lenience import lenient, proofs
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.signals import Errors, Labels, Latency, Limit
from monitoring.analysis.verdict import Kind, Verdict, judge
from monitoring.readings.evidence import Counts, Window
from tests.builders import make_route

STEPS = (Step(100, 60.0), Step(1000, 60.0), Step(5000, None))


def question(*, steps: tuple[Step, ...] = STEPS, increase: int = 50) -> Question:
    route = make_route(rollouts=(Rollout("v2", steps),))
    return question_of(route, Analysis(errors_max_increase=increase), "v2")


def after(asked: Question, requests: int, *, rate: float = 0.005, more: float = 0.0) -> Verdict:
    """A tenth of so many requests went to the candidate, whose rate is so much higher."""
    draw = np.random.default_rng(3)
    case, window = Case.opened(), Window("0/g@0", 0.1, Counts(), Counts())
    for _ in range(requests // 1000):
        mine, theirs = int(draw.binomial(100, rate + more)), int(draw.binomial(900, rate))
        window = replace(
            window,
            candidate=window.candidate + Counts(100, mine),
            stable=window.stable + Counts(900, theirs),
        )
        case = case.grown(asked, [window])
    return judge(asked, case)


@pytest.mark.parametrize(
    ("up_to", "increase"), [(100, 0.1), (1000, 0.01), (5000, 0.002), (10_000, 0.001), (1, 0.5)]
)
def test_what_is_tolerated_are_points_of_all_requests(up_to: int, increase: float) -> None:
    for rail, key in (
        (Errors(0.001, False), "increase"),
        (Latency(0.001), "increase"),
        (Labels(0.001, "labels"), "shift"),
    ):
        assert getattr(lenient(rail, up_to).signal, key) == pytest.approx(increase)


def test_only_what_must_be_proven_can_be_proven_for_less() -> None:
    with pytest.raises(TypeError, match="error limit is no rail"):
        lenient(Limit(0.1, False), 1000)


def test_proofs_made_at_once_are_those_made_one_by_one() -> None:
    rails = Errors(0.001, False), Latency(0.01), Labels(0.02, "labels"), Errors(0.0, False, "none")
    signals = [*rails[:3], *(lenient(rail, up_to) for rail in rails[:3] for up_to in (100, 2500))]
    draw, sizes = np.random.default_rng(3), {"errors": 2, "latency": 74, "labels": 4}
    usual = {name: draw.random(size) * 1000 for name, size in sizes.items()}
    stable = {one.name: usual[one.name.partition(" ")[0]] for one in signals}
    stable["latency up to 1 %"] = draw.random(74) * 1000  # a step that was added later

    found = proofs([*signals, rails[3]], {**stable, "none": usual["errors"]}, 0.05)

    assert found.keys() == stable.keys()
    for one in signals:
        alone = one.proof(stable[one.name], 0.05)
        assert np.array_equal(found[one.name].candidate, alone.candidate)
        assert np.array_equal(found[one.name].stable, alone.stable)


def test_the_next_step_is_allowed_long_before_a_promotion() -> None:
    asked = question()
    soon, late = after(asked, 5000), after(asked, 30_000)

    assert soon.kind is late.kind is Kind.INCONCLUSIVE
    assert [soon.on(weight) for weight in (100, 1000, 5000, 10_000)] == [
        *(Kind.SUCCESSFUL, Kind.SUCCESSFUL, Kind.INCONCLUSIVE, Kind.INCONCLUSIVE)
    ]
    assert late.on(5000) is Kind.SUCCESSFUL
    half = soon.allowance(5000)
    assert half is not None
    assert half.wanting == ("errors up to 50 %: too few samples",)
    assert 5000 < (half.remaining or 0) < 100_000


def test_a_candidate_that_is_too_bad_for_a_step_is_not_allowed_it() -> None:
    """At 10 % five points more of its own requests are half a point of all."""
    verdict = after(question(), 20_000, more=0.051)

    assert verdict.kind is Kind.FAILED
    assert verdict.on(1000) is Kind.FAILED


def test_a_weight_the_rollout_does_not_know_needs_the_whole_proof() -> None:
    assert question().proofs(2000) == question().rails == question().proofs(10_000)
    assert after(question(), 5000).on(2000) is Kind.INCONCLUSIVE


def test_where_nothing_is_tolerated_no_step_is_ever_allowed() -> None:
    verdict = after(question(increase=0), 20_000)

    assert verdict.on(1000) is Kind.INCONCLUSIVE
    allowance = verdict.allowance(1000)
    assert allowance is not None
    assert allowance.wanting == (
        "errors up to 10 %: nothing is tolerated, so nothing can be proven",
    )


def test_other_steps_leave_the_evidence_what_it_is() -> None:
    assert question().asks_as(question(steps=()))
    assert not question().asks_as(question(increase=60))
