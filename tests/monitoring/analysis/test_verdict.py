"""What the evidence means: the four words, who speaks loudest, and the sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.counting.grid import LATENCY_BOUNDS
from gateway.model import Analysis, Prediction, ShiftAction
from monitoring.analysis.case import Case
from monitoring.analysis.question import Question, question_of
from monitoring.analysis.track import Track
from monitoring.analysis.verdict import Kind, Verdict, judge
from monitoring.readings.evidence import Counts, Window, named, row
from tests.builders import make_route

LABELS = ("setosa", "versicolor", "virginica")
MIX = (0.5, 0.3, 0.2)


def question(*, declared: bool = True, **analysis: Any) -> Question:
    labels = LABELS if declared else ()
    route = make_route(prediction=Prediction("/predictions/0", "/probabilities/0", labels))
    return question_of(route, Analysis(**analysis))


EVERYTHING = question(
    errors_max_increase=10,
    latency_max_increase=100,
    predictions_max_shift=200,
    predictions_action=ShiftAction.ROLLBACK,
)


class Model:
    """Answers as drawn."""

    def __init__(self, seed: int, *, bad: float = 0.005, median: float = 0.08, mix: Any = MIX):
        self._draw = np.random.default_rng(seed)
        self._bad, self._median, self._mix = bad, median, mix

    def counts(self, number: int) -> Counts:
        draw = self._draw
        bad = int(draw.binomial(number, self._bad))
        seconds = self._median * np.exp(0.5 * draw.standard_normal(number - bad))
        buckets = np.bincount(np.searchsorted(LATENCY_BOUNDS, seconds), minlength=74)
        scores = np.bincount((draw.beta(2, 5, number - bad) * 64).astype(int), minlength=64)
        answers = dict(
            zip(LABELS, map(int, draw.multinomial(number - bad, self._mix)), strict=True)
        )
        return Counts(number, bad, 0, row(map(int, buckets)), row(map(int, scores)), named(answers))


def looks(
    candidate: Model,
    *,
    asked: Question = EVERYTHING,
    share: float = 0.1,
    rate: int = 100,
    ticks: int = 60,
    past: int = 3000,
) -> Iterator[Verdict]:
    """A verdict each second."""
    stable = Model(1)
    case = Case.opened(stable.counts(past))
    draw = np.random.default_rng(7)
    window = Window("0/g1@0", share, Counts(), Counts())
    for _ in range(ticks):
        mine = int(draw.binomial(rate, share))
        window = replace(
            window,
            candidate=window.candidate + candidate.counts(mine),
            stable=window.stable + stable.counts(rate - mine),
        )
        case = case.grown(asked, [window])
        yield judge(asked, case)


def last(*arguments: Any, **more: Any) -> Verdict:
    """The first that decides, or the last one."""
    verdict = None
    for verdict in looks(*arguments, **more):
        if verdict.kind is not Kind.INCONCLUSIVE:
            break
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("candidate", "leading", "sentence"),
    [
        (Model(2, bad=0.10), "errors", "it fails more often than stable: "),
        (Model(2, bad=1.0), "errors", "(100.00 %) against "),
        (Model(2, median=0.16), "latency", " % of its answers take more than "),
        (Model(2, mix=(0.1, 0.7, 0.2)), "labels", "it answers differently: '"),
    ],
)
def test_a_bad_candidate_is_failed_for_what_is_bad_about_it(
    candidate: Model, leading: str, sentence: str
) -> None:
    verdict = last(candidate)

    assert verdict.kind is Kind.FAILED
    assert verdict.leading == leading
    assert verdict.reasons == (leading,)
    assert sentence in verdict.sentence
    assert verdict.evidence >= verdict.limit == 100


def test_a_candidate_like_stable_is_not_failed_and_not_proven_in_a_minute() -> None:
    verdict = last(Model(2))

    assert verdict.kind is Kind.INCONCLUSIVE
    assert "not proven worse" in verdict.sentence
    assert verdict.reasons == tuple(
        f"{one}: too few samples" for one in ("errors", "latency", "labels", "scores")
    )


def test_a_candidate_like_stable_is_proven_good_where_enough_is_tolerated() -> None:
    asked = question(errors_max_increase=300)
    told = list(looks(Model(2), asked=asked, share=0.5, ticks=60))

    assert told[0].kind is Kind.INCONCLUSIVE
    assert told[-1].kind is Kind.SUCCESSFUL
    assert told[-1].sentence.startswith("proven no worse than tolerated in errors: ")
    assert next(one.remaining for one in told if one.remaining) > 0


def test_without_a_tolerance_nothing_can_be_proven() -> None:
    verdict = last(Model(2), asked=question(), share=0.5)

    assert verdict.kind is Kind.INCONCLUSIVE
    assert verdict.reasons == ("errors: nothing is tolerated, so nothing can be proven",)
    assert verdict.remaining is None


def test_a_faster_candidate_that_never_fails_is_no_worse() -> None:
    verdict = last(Model(2, bad=0.0, median=0.02), ticks=100)

    assert verdict.kind is not Kind.FAILED


def test_what_is_fast_enough_is_not_compared() -> None:
    cold, warm = Model(2, bad=0.0, median=0.0009), Model(3, median=0.0005)
    window = Window("0/g@0", 0.1, cold.counts(500), warm.counts(4500))
    kinds = {}
    for above in (0.0, 0.005):
        asked = question(latency_max_increase=100, latency_above=above)
        case = Case.opened(Model(1, median=0.0005).counts(3000)).grown(asked, [window])
        kinds[above] = judge(asked, case).kind

    assert kinds == {0.0: Kind.FAILED, 0.005: Kind.INCONCLUSIVE}


def test_a_shift_alerts_and_does_not_fail_unless_told_to() -> None:
    asked = question(predictions_max_shift=200)
    told = list(looks(Model(2, mix=(0.1, 0.7, 0.2)), asked=asked))

    assert {one.kind for one in told} == {Kind.INCONCLUSIVE}
    assert told[-1].alerts[0].startswith("it answers differently: ")


def test_an_outage_that_hits_both_versions_alike_fails_nobody() -> None:
    case = Case.opened(Counts(1000))
    window = Window("0/g@0", 0.1, Counts(1000, bad=900), Counts(9000, bad=8100))

    assert judge(question(), case.grown(question(), [window])).kind is Kind.INCONCLUSIVE


# --- guards


@pytest.mark.parametrize(("floor", "kind"), [(4, Kind.FAILED), (5, Kind.INCONCLUSIVE)])
def test_nothing_fails_on_fewer_bad_answers_than_asked_for(floor: int, kind: Kind) -> None:
    asked = question(min_bad=floor)
    window = Window("0/g@0", 0.01, Counts(4, bad=4), Counts(396))

    assert judge(asked, Case.opened().grown(asked, [window])).kind is kind


def test_a_slow_candidate_needs_no_bad_answer_to_fail() -> None:
    verdict = last(Model(2, bad=0.0, median=0.3), asked=question(latency_max_increase=100))

    assert verdict.candidate.bad == 0
    assert (verdict.kind, verdict.leading) == (Kind.FAILED, "latency")


def test_one_answer_to_everything_is_a_collapse_whatever_a_shift_does() -> None:
    verdict = last(Model(2, mix=(1, 0, 0)), asked=question(predictions_max_shift=200))

    assert verdict.kind is Kind.FAILED
    assert verdict.reasons == ("collapse",)
    assert "it gives one answer only: its last " in verdict.sentence
    assert "'setosa'" in verdict.sentence


def test_one_answer_that_stable_gives_as_often_is_no_collapse() -> None:
    asked = question(declared=False)
    always = Counts(3000, labels=(("fine", 2999), ("fraud", 1)))
    window = Window("0/g@0", 0.5, Counts(3000, labels=(("fine", 3000),)), always)
    case = Case.opened().grown(asked, [window])

    assert judge(asked, case).kind is Kind.INCONCLUSIVE


def test_a_late_collapse_is_seen_from_the_last_answers() -> None:
    asked = question()
    healthy = Counts(3000, labels=(("setosa", 1500), ("virginica", 1500)))
    window = Window("0/g@0", 0.5, healthy, healthy)
    case = Case.opened().grown(asked, [window])
    stuck = replace(window, candidate=healthy + Counts(60, labels=(("setosa", 60),)))

    assert judge(asked, case).kind is Kind.INCONCLUSIVE
    assert judge(asked, case.grown(asked, [stuck])).reasons == ("collapse",)


@pytest.mark.parametrize(
    "unusable",
    [{"labels": (("__other__", 30),)}, {"missing": (("absent", 20), ("unreadable", 10))}],
)
def test_answers_nobody_can_use_count_as_failures(unusable: dict[str, Any]) -> None:
    asked = question()
    window = Window("0/g@0", 0.1, Counts(100, **unusable), Counts(900))
    verdict = judge(asked, Case.opened().grown(asked, [window]))

    assert (verdict.kind, verdict.leading) == (Kind.FAILED, "errors")
    assert "30 bad of 100" in verdict.sentence


def test_labels_are_what_they_are_where_none_is_declared() -> None:
    asked = question(declared=False)
    window = Window("0/g@0", 0.1, Counts(100, labels=(("__other__", 30),)), Counts(900))

    assert judge(asked, Case.opened().grown(asked, [window])).kind is Kind.INCONCLUSIVE


def test_a_limit_holds_whatever_stable_does() -> None:
    asked = question(errors_limit=500)
    window = Window("0/g@0", 0.1, Counts(1000, bad=300), Counts(9000, bad=2700))
    verdict = judge(asked, Case.opened(Counts(1000, bad=300)).grown(asked, [window]))

    assert (verdict.kind, verdict.leading) == (Kind.FAILED, "error limit")
    assert verdict.sentence.startswith(
        "it fails more often than the limit allows: 300 bad of 1,000"
    )


def test_a_limit_on_latency() -> None:
    asked = question(latency_limit=0.2)
    slow = Model(2, median=0.3).counts(200)
    window = Window("0/g@0", 0.1, slow, Model(3, median=0.3).counts(1800))
    verdict = judge(asked, Case.opened().grown(asked, [window]))

    assert (verdict.kind, verdict.leading) == (Kind.FAILED, "latency limit")


# --- don't know


@pytest.mark.parametrize("windows", [[], [Window("0/g@0", 0.1, Counts(), Counts())]])
def test_no_requests_are_no_reason_for_anything(windows: list[Window]) -> None:
    verdict = judge(EVERYTHING, Case.opened().grown(EVERYTHING, windows))

    assert verdict.kind is Kind.INCONCLUSIVE
    assert "no request yet" in verdict.sentence
    assert verdict.remaining is None


def test_a_candidate_that_nothing_reaches_is_failed_by_nothing_stable_does() -> None:
    fast = Model(1, median=0.01).counts(20_000)
    case = Case.opened(Model(1).counts(3000))
    for _ in range(3):
        case = case.grown(EVERYTHING, [Window("0/g@0", 0.5, Counts(), fast)])
    verdict = judge(EVERYTHING, case)

    assert verdict.evidence > verdict.limit  # which is why it has to be said
    assert (verdict.kind, verdict.reasons) == (Kind.INCONCLUSIVE, ("no request yet",))


def test_a_split_that_is_not_the_files_is_an_error_and_fails_nobody() -> None:
    asked = question()
    window = Window("0/g@0", 0.1, Counts(3000), Counts(7000))
    verdict = judge(asked, Case.opened().grown(asked, [window]))

    assert verdict.kind is Kind.ERROR
    assert verdict.reasons == ("split",)
    assert "not split as the file says" in verdict.sentence


def test_a_candidate_that_gets_too_few_requests_is_not_judged_by_them() -> None:
    """Its missing answers would look like bad ones."""
    asked = question()
    few = Window("0/g@0", 0.1, Counts(20, bad=4), Counts(9000))
    verdict = judge(asked, Case.opened(Counts(5000)).grown(asked, [few]))

    assert verdict.evidence >= verdict.limit
    assert (verdict.kind, verdict.reasons) == (Kind.ERROR, ("split",))


def test_too_few_requests_by_chance_do_not_save_a_candidate_that_fails_all_of_them() -> None:
    """Half of all candidates are short of some, and the split looks a little wrong to many."""
    asked = question()
    case = Case.opened(Counts(5000)).grown(asked, [Window("0/g@0", 0.1, Counts(60), Counts(740))])
    doubt = case.log_evidence("split")
    failing = Window("0/g@0", 0.1, Counts(66, bad=6), Counts(794))
    verdict = judge(asked, case.grown(asked, [failing]))

    assert 0 < doubt < math.log(verdict.limit)
    assert case.short
    assert (verdict.kind, verdict.reasons) == (Kind.FAILED, ("errors",))


@pytest.mark.parametrize(("pending", "kind"), [(0, Kind.ERROR), (900, Kind.FAILED)])
def test_requests_that_are_under_way_are_not_missing(pending: int, kind: Kind) -> None:
    """A candidate that hangs is told of late: by what timed out, and not yet by what will."""
    asked = question()
    hanging = Window("0/g@0", 0.1, Counts(100, bad=100), Counts(9000), pending=pending)
    verdict = judge(asked, Case.opened(Counts(5000)).grown(asked, [hanging]))

    assert verdict.kind is kind


def test_errors_alone_say_nothing_below_the_floor_and_do_not_weigh_on_the_others() -> None:
    asked = question(latency_max_increase=100, min_bad=50)
    slow = Model(2, bad=0.2, median=0.3).counts(100)
    window = Window("0/g@0", 0.1, slow, Model(3).counts(900))
    verdict = judge(asked, Case.opened(Model(1).counts(3000)).grown(asked, [window]))

    assert verdict.candidate.bad < 50
    assert (verdict.kind, verdict.leading) == (Kind.FAILED, "latency")


def test_a_candidate_that_gets_too_many_requests_fails_by_them() -> None:
    asked = question()
    many = Window("0/g@0", 0.1, Counts(3000, bad=600), Counts(7000))
    verdict = judge(asked, Case.opened(Counts(5000)).grown(asked, [many]))

    assert (verdict.kind, verdict.reasons) == (Kind.FAILED, ("errors",))


# --- the same to the last bit


def parts(seed: int, number: int) -> list[tuple[Counts, Counts]]:
    mine, theirs = Model(seed, bad=0.02), Model(seed + 1)
    return [(mine.counts(30), theirs.counts(270)) for _ in range(number)]


def test_ten_processes_in_any_order_are_as_one_to_the_last_bit() -> None:
    processes = [parts(10 + number, 5) for number in range(10)]
    verdicts = []
    for order in (range(10), range(9, -1, -1), (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)):
        case = Case.opened()
        totals = [(Counts(), Counts())] * 10
        for tick in range(5):
            totals = [
                (mine + processes[i][tick][0], theirs + processes[i][tick][1])
                for i, (mine, theirs) in enumerate(totals)
            ]
            windows = [Window(f"{i}/g@0", 0.1, *totals[i]) for i in order]
            case = case.grown(EVERYTHING, windows)
        verdicts.append(judge(EVERYTHING, case))
    case = Case.opened()
    mine = theirs = Counts()
    for tick in range(5):
        for process in processes:
            mine, theirs = mine + process[tick][0], theirs + process[tick][1]
        case = case.grown(EVERYTHING, [Window("0/g@0", 0.1, mine, theirs)])

    assert verdicts == [judge(EVERYTHING, case)] * len(verdicts)


def test_gateways_that_may_tell_of_the_same_users_share_the_promise_and_are_not_added() -> None:
    asked = question()
    first = Window("0/g@0", 0.1, Counts(20, bad=6), Counts(180), alone=True)
    second = replace(first, source="1/g@0")
    alone = judge(asked, Case.opened().grown(asked, [first]))
    one_of_two = judge(asked, Case.opened(gateways=2).grown(asked, [first]))
    both = judge(asked, Case.opened(gateways=2).grown(asked, [first, second]))

    assert one_of_two.evidence == pytest.approx(alone.evidence / 2)
    assert both.evidence == pytest.approx(alone.evidence / 2)
    assert both.candidate == Counts(40, bad=12)


def test_what_is_remembered_of_a_signal_is_small_and_read_back_to_the_last_bit() -> None:
    case = Case.opened(Model(1).counts(5000))
    window = Window("0/g@0", 0.1, Model(2).counts(5000), Model(3).counts(45_000))
    case = case.grown(EVERYTHING, [window])
    tracks = case.main.tracks

    assert set(tracks) == {"errors", "latency", "labels", "scores", "split"}
    for signal in EVERYTHING.every:
        track = tracks[signal.name]
        text = json.dumps(track.dumped())
        again = Track.loaded(json.loads(text), signal)
        next_window = Model(4).counts(10), Model(5).counts(90)

        assert len(text) < 4096, signal.name
        assert again.dumped() == track.dumped()
        assert (
            again.grown(signal, *next_window, 0.1).dumped()
            == track.grown(signal, *next_window, 0.1).dumped()
        )
