"""Sticky users that count again, round after round: who is whose was drawn once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.model import Analysis
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.rounds import PART
from monitoring.analysis.verdict import Kind, judge
from monitoring.readings.evidence import AGAIN, Counts, Window, row
from tests.builders import make_route, make_sticky

Floats = Any


def question(alpha: int = 100, **analysis: Any) -> Question:
    route = make_route(sticky=make_sticky(), fallback=False)
    return question_of(route, Analysis(max_false_rollback=alpha, **analysis))


ASKED = question()


class Crowd:
    """Users that stay who they are. ``rates``: how often a request of each fails, in stable."""

    def __init__(self, seed: int, rates: Floats, share: float = 0.3) -> None:
        self.draw = np.random.default_rng(seed)
        self.rates = rates
        self.share = share
        self.mine = self.draw.random(len(rates)) < share

    def round(self, number: int, worse: float = 0.0) -> Iterator[Window]:
        """Each counts once, in any order, in three looks; the candidate fails so much more."""
        source = f"0/g@{number}" + (AGAIN if number else "")
        name = f"{number}@{number}" if number else ""
        failed = self.draw.random(len(self.rates)) < self.rates + worse * self.mine
        order = self.draw.permutation(len(self.rates))
        for part in (1, 2, 3):
            seen = np.isin(np.arange(len(order)), order[: len(order) * part // 3])
            counts = (
                Counts(int((seen & side).sum()), int((seen & side & failed).sum()))
                for side in (self.mine, ~self.mine)
            )
            yield Window(source, self.share, *counts, alone=True, round=name)


def case_of(crowd: Crowd, rounds: int, worse: Callable[[int], float] = lambda _: 0.0) -> Case:
    case = Case.opened(Counts(1000, bad=20))
    for number in range(rounds):
        for window in crowd.round(number, worse(number)):
            case = case.grown(ASKED, [window])
    return case


def test_a_candidate_that_degrades_after_everybody_was_counted_is_failed() -> None:
    """A third of its requests fail from the fourth round on, of users that were all counted."""
    crowd = Crowd(1, np.full(300, 0.01))
    healthy = judge(ASKED, case_of(crowd, 4))
    crowd = Crowd(1, np.full(300, 0.01))
    told = judge(ASKED, case_of(crowd, 6, lambda number: 0.33 if number > 3 else 0.0))

    assert healthy.kind is Kind.INCONCLUSIVE
    assert (told.kind, told.reasons) == (Kind.FAILED, ("errors",))


def test_so_is_one_that_becomes_slow() -> None:
    asked = question(latency_max_increase=100)
    usual, slow = row([0] * 30 + [20] * 5), row([0] * 36 + [20] * 5)
    case = Case.opened(Counts(1000, latency=row([0] * 30 + [200] * 5)))
    verdict = None
    for number in range(5):
        counts = Counts(100, latency=slow if number == 4 else usual), Counts(100, latency=usual)
        name = f"{number}@{number}" if number else ""
        window = Window(f"0/g@{number}", 0.5, *counts, alone=True, round=name)
        case = case.grown(asked, [window])
        verdict = judge(asked, case)
        assert (verdict.kind is Kind.FAILED) == (number == 4)
    assert verdict is not None
    assert verdict.leading == "latency"


def test_rounds_prove_nothing_good() -> None:
    asked = question(errors_max_increase=1000)
    crowd = Crowd(2, np.zeros(400))
    case = Case.opened(Counts(1000))
    proofs = []
    for number in range(4):
        for window in crowd.round(number):
            case = case.grown(asked, [window])
        proofs.append(case.log_proof("errors"))

    assert proofs == [proofs[0]] * 4
    assert case.candidate.assigned + case.stable.assigned == 1600


def test_a_round_is_judged_as_if_there_had_been_no_other() -> None:
    """What earlier ones showed shapes no bet, and a part fixed beforehand is what it is worth."""
    crowd = Crowd(3, np.full(200, 0.1))
    rounds = [list(crowd.round(number, 0.3 * (number > 0))) for number in range(4)]
    whole = Case.opened(Counts(1000, bad=20))
    for windows in rounds:
        for window in windows:
            whole = whole.grown(ASKED, [window])
    for at, windows in list(enumerate(rounds))[-2:]:
        alone = Case.opened(Counts(1000, bad=20))
        for window in windows:
            alone = alone.grown(ASKED, [window])
        (one,), (other,) = (
            [each for each in case.rounds.live.values() if each.number == number]
            for case, number in ((whole, at), (alone, 1))
        )

        assert one.strand.dumped() == other.strand.dumped()
        assert one.log_part == pytest.approx(np.log(PART / (at * (at + 1))))


def test_of_rounds_that_are_over_one_number_stays_and_it_is_not_forgotten() -> None:
    crowd = Crowd(4, np.full(300, 0.01))
    case = case_of(crowd, 40, lambda number: 0.4 if number == 2 else 0.0)
    worst = case.rounds.ended["errors"]

    assert len(case.rounds.live) == 2
    assert case.log_evidence("errors") == worst > np.log(100)
    assert len(case.seen) == 2  # the first round, and the one that is told of
    assert len(json.dumps(case.dumped())) < 60_000


def test_what_comes_late_to_a_round_that_is_over_is_left_out() -> None:
    crowd = Crowd(5, np.full(60, 0.5))
    first = [list(crowd.round(number)) for number in range(5)]
    told = [windows[-1] for windows in first]
    case = Case.opened()
    for at in range(5):
        case = case.grown(ASKED, told[: at + 1])
    before = case.rounds.dumped()
    late = told[1]
    more = Window(
        late.source, 0.3, late.candidate + Counts(50, 50), late.stable, True, round=late.round
    )
    case = case.grown(ASKED, [told[0], more, *told[2:]])

    assert case.rounds.dumped() == before


def test_everything_of_a_case_with_rounds_is_read_back() -> None:
    case = case_of(Crowd(6, np.full(90, 0.2)), 6)
    again = Case.loaded(json.loads(json.dumps(case.dumped())), ASKED)

    assert again.dumped() == case.dumped()
    window = list(Crowd(7, np.full(90, 0.2)).round(6))[-1]
    assert again.grown(ASKED, [window]).dumped() == case.grown(ASKED, [window]).dumped()


def test_an_answer_that_few_users_get_each_round_is_no_collapse() -> None:
    """Ten users whose answer is always the same are ten, however often they count."""
    asked = question(predictions_max_shift=200)
    mine = Counts(10, labels=(("a", 10),))
    stable = Counts(100, labels=(("a", 50), ("b", 50)))
    case = Case.opened()
    for number in range(30):
        name = f"{number}@{number}" if number else ""
        window = Window(f"0/g@{number}", 0.1, mine, stable, alone=True, round=name)
        case = case.grown(asked, [window])

        assert judge(asked, case).reasons != ("collapse",)


def rates_of(draw: np.random.Generator, users: int) -> Floats:
    """Of users that differ as much as can be: some always fail, in every version."""
    kinds = draw.dirichlet([4, 1, 4])
    return draw.choice([0.0, 0.5, 1.0], size=users, p=kinds)


def test_the_promise_holds_with_the_same_users_round_after_round() -> None:
    """80 healthy candidates, 30 rounds each, with a promise of 1 %: more than 4 false alarms have a
    chance of about one in a thousand. The same requests, as if each round were a new draw, fail
    many more.
    """
    alarms = together = 0
    for seed in range(80):
        crowd = Crowd(seed, rates_of(np.random.default_rng(10_000 + seed), 40))
        case = naive = Case.opened()
        failed, fooled = False, False
        for number in range(30):
            *_, last = crowd.round(number)
            case = case.grown(ASKED, [last])
            failed |= judge(ASKED, case).kind is Kind.FAILED
            once = replace(last, source=f"0/g@{number}", round="")
            naive = naive.grown(ASKED, [once])
            fooled |= judge(ASKED, naive).kind is Kind.FAILED
        alarms += failed
        together += fooled

    assert alarms <= 4 < together
