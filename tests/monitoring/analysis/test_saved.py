"""What stable answers after the candidate has failed it, whoever asks and however often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Analysis
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.saved import Saved
from monitoring.analysis.verdict import Kind, Verdict, judge
from monitoring.readings.evidence import Counts, Window
from tests.builders import make_route, make_sticky

SEEDS = st.integers(0, 2**32 - 1)


def question(**rules: Any) -> Question:
    analysis = rules.pop("analysis", Analysis())
    return question_of(make_route(**{"sticky": make_sticky()} | rules), analysis)


ASKED = question()
# Twenty users were counted, all of them well; four of them are the candidate's.
COUNTED = Window("0/g@0", 0.2, Counts(4), Counts(16), alone=True)


def after(saved: Iterable[tuple[int, int]], asked: Question = ASKED, gateways: int = 1) -> Case:
    """After looks at which so many requests of the candidate were new, and so many of them saved;
    each gateway has the same.
    """
    case = Case.opened(gateways=gateways)
    counts = COUNTED.candidate
    for new, of_them in saved:
        counts = counts + Counts(asked=new, saved=of_them)
        windows = [
            replace(COUNTED, source=f"{number}/g@0", candidate=counts) for number in range(gateways)
        ]
        case = case.grown(asked, windows)
    return case


def verdict(*saved: tuple[int, int], asked: Question = ASKED) -> Verdict:
    return judge(asked, after(saved, asked))


HEALTHY, BROKEN = (40, 0), (40, 40)


@pytest.mark.parametrize("healthy", [1, 20, 3000])
def test_a_candidate_that_turns_bad_is_found_within_ten_looks_however_late(healthy: int) -> None:
    told = verdict(*[HEALTHY] * healthy, *[BROKEN] * 10)

    assert (told.kind, told.reasons) == (Kind.FAILED, ("saved",))
    assert "stable answered 400 of its last 400 requests after it had failed them" in told.sentence
    assert (told.candidate.assigned, told.candidate.bad) == (4, 0)


def test_half_of_the_requests_take_longer_to_tell() -> None:
    assert verdict(*[(40, 20)] * 10).kind is Kind.INCONCLUSIVE
    assert verdict(*[(40, 20)] * 100).kind is Kind.FAILED


def test_a_quarter_is_chance_for_ever() -> None:
    assert verdict(*[(40, 10)] * 3000).kind is Kind.INCONCLUSIVE


def test_what_fails_many_requests_at_one_moment_is_one_look() -> None:
    """A connection that both share is reset: by the time that stable is asked it is back."""
    assert verdict(HEALTHY, (5000, 5000), HEALTHY).kind is Kind.INCONCLUSIVE
    assert verdict(*[HEALTHY, (500, 500), *[HEALTHY] * 9] * 50).kind is Kind.INCONCLUSIVE


def test_a_bad_hour_that_is_over_is_told_by_its_numbers() -> None:
    told = verdict(*[BROKEN] * 12, HEALTHY)

    assert told.kind is Kind.FAILED
    assert "stable answered 480 of 520 requests" in told.sentence


def test_where_nobody_sticks_or_nobody_takes_over_nothing_is_made_of_it() -> None:
    for rules in ({"sticky": None}, {"fallback": False}):
        asked = question(**rules)

        assert not asked.saved
        assert verdict(*[BROKEN] * 100, asked=asked).kind is Kind.INCONCLUSIVE


def test_the_floor_of_bad_answers_holds_for_what_was_saved() -> None:
    looks = [(1, 1)] * 12
    for floor, kind in ((12, Kind.FAILED), (13, Kind.INCONCLUSIVE)):
        asked = question(analysis=Analysis(min_bad=floor))

        assert verdict(*looks, asked=asked).kind is kind


@pytest.mark.parametrize("counted", [Counts(1), Counts(2000)])
def test_doubts_about_the_split_do_not_touch_it(counted: Counts) -> None:
    case = after([BROKEN] * 10)
    odd = replace(COUNTED, source="0/g@1", candidate=counted, stable=Counts(1500))
    case = case.grown(ASKED, [odd])
    alone = Case.opened().grown(ASKED, [odd])

    assert judge(ASKED, alone).kind is Kind.ERROR
    assert judge(ASKED, case).reasons == ("saved",)


def test_requests_of_several_gateways_are_added_though_their_users_are_not() -> None:
    one, two = after([(40, 30)] * 20), after([(20, 15)] * 20, gateways=2)

    assert two.saved.dumped() == one.saved.dumped()
    assert two.candidate.saved == one.candidate.saved
    assert (set(one.strands), set(two.strands)) == ({"0"}, {"0", "1"})


def test_a_finding_says_how_loud_it_speaks() -> None:
    findings = {one.signal: one.evidence for one in verdict(*[BROKEN] * 5).findings}

    assert findings["saved"] > 10 > findings["errors"]
    assert "saved" not in {one.signal for one in verdict(asked=question(sticky=None)).findings}


def test_all_parts_of_the_promise_are_one() -> None:
    """Whatever the strands and what is in none of them say, with nothing seen it is 1."""
    case = after([HEALTHY] * 3, gateways=3)
    factor = judge(ASKED, case).evidence

    assert factor <= 1


# --- the promise


@given(SEEDS, st.floats(0.25, 0.95))
def test_no_stake_gains_where_a_quarter_is_saved_on_average(seed: int, suggested: float) -> None:
    draw = np.random.default_rng(seed)
    shares = draw.integers(0, 21, size=5)  # of twenty requests
    chances = draw.dirichlet(np.ones(5))
    mean = float(chances @ shares) / 20
    if mean > 0.25:  # the rest of the looks saves nothing
        chances *= 0.25 / mean
    before = replace(Saved.begun(), recent=np.full(3, suggested))
    start = np.exp(before.mixture.logs).sum()

    def grown(saved: int) -> float:
        return float(np.exp(before.grown(Counts(asked=20, saved=saved)).mixture.logs).sum() / start)

    factors = [grown(int(share)) for share in shares]
    assert chances @ factors + (1 - chances.sum()) * grown(0) <= 1 + 1e-9


def users(draw: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The chance that a request of each fails, in both versions alike, and how much each asks."""
    chances = draw.choice([0.0, 0.02, 0.5, 0.9, 1.0], size=number, p=draw.dirichlet(np.ones(5)))
    return chances, draw.dirichlet(np.full(number, 0.3))


def looks_at(draw: np.random.Generator, number: int) -> Iterable[tuple[int, int]]:
    """Of a healthy candidate. At some looks, what all requests share is down for a while."""
    chances, activity = users(draw, 20)
    if draw.random() < 0.5:
        chances[:] = 0.5  # the worst there is
    for _ in range(number):
        who = draw.choice(20, size=int(draw.integers(0, 30)), p=activity)
        failing = np.maximum(chances[who], 0.5 * (draw.random() < 0.1))
        failed = draw.random(who.size) < failing
        again = draw.random(who.size) < failing
        yield who.size, int((failed & ~again).sum())


def test_a_healthy_candidate_is_failed_no_more_often_than_promised() -> None:
    """Some users always fail, in both versions; with a promise of 5 %, 300 candidates, each judged
    at 400 looks. More than 30 false alarms have a chance of less than one in ten thousand.
    """
    alarms = 0
    for seed in range(300):
        saved = Saved.begun()
        highest = 0.0
        for asked, of_them in looks_at(np.random.default_rng(seed), 400):
            saved = saved.grown(Counts(asked=asked, saved=of_them))
            highest = max(highest, saved.log_evidence())
        alarms += highest >= np.log(20)

    assert alarms <= 30


def test_nor_by_everything_together() -> None:
    """The same with users that are counted once and a verdict at each look."""
    asked = question(analysis=Analysis(max_false_rollback=500))
    alarms = 0
    for seed in range(40):
        draw = np.random.default_rng(1000 + seed)
        chances, _ = users(draw, 20)
        mine = draw.random(20) < 0.2
        failed = draw.random(20) < chances
        window = replace(
            COUNTED,
            candidate=Counts(int(mine.sum()), int((mine & failed).sum())),
            stable=Counts(int((~mine).sum()), int((~mine & failed).sum())),
        )
        case = Case.opened()
        for new, saved in looks_at(draw, 60):
            window = replace(window, candidate=window.candidate + Counts(asked=new, saved=saved))
            case = case.grown(asked, [window])
            if judge(asked, case).kind is Kind.FAILED:
                alarms += 1
                break

    assert alarms <= 8
