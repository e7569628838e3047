"""What is remembered of a candidate, written down and read back."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Analysis, Prediction, ShiftAction
from monitoring.analysis.case import Case
from monitoring.analysis.constant import Constant
from monitoring.analysis.interval import Rates
from monitoring.analysis.question import question_of
from monitoring.analysis.saved import Saved
from monitoring.analysis.strand import Strand
from monitoring.analysis.verdict import judge
from monitoring.readings.evidence import Counts, Window, named, row
from tests.builders import make_route, make_sticky

ASKED = question_of(
    make_route(prediction=Prediction("/label", "/score", ()), sticky=make_sticky()),
    Analysis(
        errors_max_increase=10,
        errors_limit=500,
        latency_max_increase=100,
        latency_limit=0.2,
        predictions_max_shift=200,
        predictions_action=ShiftAction.ROLLBACK,
    ),
)
SEEDS = st.integers(0, 2**32 - 1)


def some_counts(draw: np.random.Generator, number: int) -> Counts:
    bad, gone = int(draw.integers(number // 10 + 1)), int(draw.integers(3))
    answers = draw.multinomial(number, [0.6, 0.3, 0.1])
    return Counts(
        assigned=number + bad + gone,
        bad=bad,
        gone=gone,
        latency=row(map(int, draw.multinomial(number, np.full(74, 1 / 74)))),
        scores=row(map(int, draw.multinomial(number, np.full(64, 1 / 64)))),
        labels=named(dict(zip(("a", "b", "__other__"), map(int, answers), strict=True))),
        missing=named({"absent": int(draw.integers(3))}),
        asked=2 * number,
        saved=int(draw.integers(2 * number + 1)),
    )


def some_looks(seed: int, number: int) -> list[list[Window]]:
    """Of two gateways, the second of which may tell of the same users as the first."""
    draw = np.random.default_rng(seed)
    totals = [(Counts(), Counts())] * 2
    looks = []
    for _ in range(number):
        totals = [
            (mine + some_counts(draw, 40), theirs + some_counts(draw, 400))
            for mine, theirs in totals
        ]
        alone = bool(draw.integers(2))
        looks.append([Window(f"{i}/g@{seed}", 0.1, *totals[i], alone, pending=i) for i in range(2)])
    return looks


def grown(case: Case, looks: Sequence[Sequence[Window]]) -> Case:
    for windows in looks:
        case = case.grown(ASKED, windows)
    return case


@given(SEEDS, st.integers(0, 4))
@settings(max_examples=30)
def test_a_case_is_read_back_to_the_last_bit_and_goes_on_as_if_nothing_had_been(
    seed: int, before: int
) -> None:
    looks = some_looks(seed, before + 2)
    case = grown(Case.opened(some_counts(np.random.default_rng(seed), 500), 2), looks[:before])
    text = json.dumps(case.dumped(), allow_nan=False)
    again = Case.loaded(json.loads(text), ASKED)

    assert json.dumps(again.dumped()) == text
    assert (again.seen, again.candidate, again.stable) == (case.seen, case.candidate, case.stable)
    assert grown(again, looks[before:]).dumped() == grown(case, looks[before:]).dumped()
    assert repr(judge(ASKED, grown(again, looks[before:]))) == repr(
        judge(ASKED, grown(case, looks[before:]))
    )


@given(SEEDS)
@settings(max_examples=20)
def test_its_parts_are_read_back_alike(seed: int) -> None:
    draw = np.random.default_rng(seed)
    counts = some_counts(draw, 100)
    window = Window("0/g@0", 0.1, counts, some_counts(draw, 900))
    strand = Strand(past=some_counts(draw, 1000)).grown(ASKED, window).grown(ASKED, window)
    rates = strand.errors
    saved = Saved.begun().grown(counts).grown(counts)
    constant = Constant("a", seed)

    assert Counts.loaded(json.loads(json.dumps(counts.dumped()))) == counts
    assert Constant.loaded(json.loads(json.dumps(constant.dumped()))) == constant
    assert Strand.loaded(json.loads(json.dumps(strand.dumped())), ASKED).dumped() == strand.dumped()
    for one, kind in ((rates, Rates), (saved, Saved)):
        assert kind.loaded(json.loads(json.dumps(one.dumped()))).dumped() == one.dumped()


def test_what_was_written_before_anything_happened_is_an_empty_case() -> None:
    case = Case.opened(Counts(10, bad=1), 3)

    assert Case.loaded(json.loads(json.dumps(case.dumped())), ASKED).dumped() == case.dumped()
