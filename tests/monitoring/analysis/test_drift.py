"""Drift in numbers: against formulas written out by hand, and what must not show as drift."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting.grid import DRAWN_SCORE_BOUNDS
from monitoring.analysis.drift import drift, statistics_of
from monitoring.readings.evidence import Counts, named, row
from tests.builders import make_prediction

BY_LABEL = make_prediction()
BY_SCORE = make_prediction(label=None, score="/scores/0")
BOTH = make_prediction(score="/scores/0")
BUCKETS = len(DRAWN_SCORE_BOUNDS) + 1


def labels(**numbers: int) -> Counts:
    return Counts(assigned=sum(numbers.values()), labels=named(numbers))


def scores(numbers: Mapping[int, int]) -> Counts:
    """So many answers by bucket."""
    return Counts(
        assigned=sum(numbers.values()),
        scores=row(numbers.get(bucket, 0) for bucket in range(BUCKETS)),
    )


def test_the_stability_index_is_the_one_of_the_books_less_what_is_chance() -> None:
    mine, theirs = labels(a=700, b=300), labels(a=5000, b=5000)
    q1, q0 = 700.5 / 1001, 0.5
    index = (q1 - q0) * log(q1 / q0) + (q0 - q1) * log((1 - q1) / (1 - q0))
    chance = 1 / 1000 + 1 / 10_000

    assert drift(BY_LABEL, [(mine, theirs)])["psi"] == pytest.approx(index - chance, rel=1e-6)


def test_the_divergence_of_what_has_nothing_in_common_is_ln_2() -> None:
    found = drift(BY_LABEL, [(labels(a=100_000), labels(b=100_000))])

    assert found["js"] == pytest.approx(log(2), abs=0.001)
    assert found["psi"] > 10
    assert all(map(isfinite, found.values()))


def test_the_distance_is_the_largest_of_the_distribution_functions() -> None:
    mine, theirs = scores({10: 20_000, 20: 80_000}), scores({10: 50_000, 20: 50_000})

    assert drift(BY_SCORE, [(mine, theirs)])["ks"] == pytest.approx(0.3, abs=0.01)


def test_scores_are_compared_by_tenths_of_stable() -> None:
    theirs = scores(dict.fromkeys(range(10, 20), 1000))
    mine = scores(dict.fromkeys(range(15, 20), 2000))
    found = drift(BY_SCORE, [(mine, theirs)])

    assert found["psi"] > 1
    assert found["ks"] == pytest.approx(0.5, abs=0.02)


def test_labels_have_no_order_and_so_no_distance() -> None:
    assert statistics_of(BY_LABEL) == ("psi", "js")
    assert statistics_of(BY_SCORE) == statistics_of(BOTH) == ("psi", "js", "ks")
    assert statistics_of(None) == ()
    assert drift(None, [(labels(a=1), labels(a=1))]) == {}


@pytest.mark.parametrize("prediction", [BY_LABEL, BY_SCORE, BOTH])
@pytest.mark.parametrize(
    "windows",
    [
        [],
        [(Counts(), Counts())],
        [(labels(a=9), Counts()), (scores({3: 9}), Counts())],
        [(Counts(), labels(a=9)), (Counts(), scores({3: 999}))],
    ],
)
def test_before_both_have_answered_nothing_is_said_of_drift(prediction, windows) -> None:
    assert drift(prediction, windows) == dict.fromkeys(statistics_of(prediction), 0.0)


def test_the_same_mix_is_no_drift_however_few_answers_there_are() -> None:
    assert drift(BY_LABEL, [(labels(a=2, b=1), labels(a=2, b=1))]) == {"psi": 0.0, "js": 0.0}


def test_what_stable_answers_differently_at_night_is_no_drift() -> None:
    """With added counts it would be: the candidate has most of its answers from the night, stable
    from the day (Simpson's paradox).
    """
    day = labels(a=90, b=10), labels(a=9000, b=1000)
    night = labels(a=1000, b=9000), labels(a=1000, b=9000)

    assert drift(BY_LABEL, [day, night])["psi"] == 0.0
    added = day[0] + night[0], day[1] + night[1]
    assert drift(BY_LABEL, [added])["psi"] > 0.5


def test_chance_alone_is_told_as_hardly_any_drift() -> None:
    rng = np.random.default_rng(1)
    told = []
    for _ in range(200):
        a, b = rng.binomial(300, 0.3), rng.binomial(3000, 0.3)
        pair = labels(a=int(a), b=300 - int(a)), labels(a=int(b), b=3000 - int(b))
        told.append(drift(BY_LABEL, [pair])["psi"])

    assert np.mean(told) < 0.005
    assert max(told) < 0.1  # "no shift", in the words of the books


_counts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2**53), max_size=3)
_rows = st.lists(st.integers(0, 2**50), max_size=BUCKETS)


@given(st.lists(st.tuples(_counts, _counts, _rows, _rows), max_size=4))
def test_it_is_a_number_whatever_was_counted(
    windows: list[tuple[dict[str, int], dict[str, int], list[int], list[int]]],
) -> None:
    pairs = [
        (Counts(labels=named(a), scores=row(c)), Counts(labels=named(b), scores=row(d)))
        for a, b, c, d in windows
    ]
    for prediction in (BY_LABEL, BY_SCORE, BOTH):
        for name, found in drift(prediction, pairs).items():
            assert isfinite(found), name
            assert found >= 0, name
            assert name == "psi" or found <= 1, name
