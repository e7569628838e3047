"""The promise itself: no bet gains on average on a candidate that is as good as it has to be.

Whatever the bank takes stable's rates to be, whatever they are: the mean of each factor over the
draw of the arm and the outcomes is at most 1 everywhere in the null hypothesis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.analysis.betting import Array, Bets, bets_on
from monitoring.analysis.errors import Errors, limit_bets
from monitoring.analysis.interval import GRID
from monitoring.analysis.latency import Latency
from monitoring.analysis.margin import margin_bets
from monitoring.analysis.predictions import Predictions
from monitoring.analysis.split import split_bets

SHARES = st.sampled_from([0.0001, 0.01, 0.05, 0.5, 0.9])
MARGINS = st.sampled_from([0.0, 0.001, 0.01, 0.2])
SEEDS = st.integers(0, 2**32 - 1)
ROUNDING = 1e-9


def mean(bets: Bets, share: float, candidate: Array, stable: Array) -> Array:
    """Of the factors, if outcomes have these probabilities ``(B,)``."""
    return np.asarray(
        share * (np.exp(bets.candidate) @ candidate) + (1 - share) * (np.exp(bets.stable) @ stable)
    )


def rates(bad: float) -> Array:
    return np.array([1 - bad, bad])


def mix(draw: np.random.Generator, size: int) -> Array:
    """Some outcomes frequent, many rare, some never seen."""
    weights = draw.exponential(size=size) ** draw.uniform(0.2, 5)
    weights[draw.random(size) < draw.uniform(0, 0.8)] = 0
    weights[draw.integers(size)] += 1e-3
    return np.asarray(weights / weights.sum())


def history(draw: np.random.Generator, size: int) -> Array:
    """What was seen of another model than the true one."""
    return np.asarray(draw.multinomial(int(10 ** draw.uniform(0, 5)), mix(draw, size)), dtype=float)


@given(share=SHARES, margin=MARGINS, seed=SEEDS, p0=st.floats(0, 1), less=st.floats(0, 1))
def test_errors_within_the_tolerance(
    share: float, margin: float, seed: int, p0: float, less: float
) -> None:
    draw = np.random.default_rng(seed)
    tolerated = min(p0 + margin, 1.0)
    bets = Errors(margin).bets(history(draw, 2), share)

    assert mean(bets, share, rates(tolerated * less), rates(p0)).max() <= 1 + ROUNDING
    assert mean(bets, share, rates(tolerated), rates(p0)).max() <= 1 + ROUNDING


@given(share=SHARES, seed=SEEDS, p0=st.floats(0, 1), ratio=st.sampled_from([0.5, 1.25, 3.0]))
def test_errors_within_a_multiple_of_stable(
    share: float, seed: int, p0: float, ratio: float
) -> None:
    bets = Errors(0.001, ratio).bets(history(np.random.default_rng(seed), 2), share)
    tolerated = min(ratio * p0 + 0.001, 1.0)

    assert mean(bets, share, rates(tolerated), rates(p0)).max() <= 1 + ROUNDING


@given(share=SHARES, margin=MARGINS, seed=SEEDS, p0=st.floats(0, 1), more=st.floats(0, 1))
def test_proof_of_a_candidate_that_fails_more_often_than_tolerated(
    share: float, margin: float, seed: int, p0: float, more: float
) -> None:
    p0 *= 1 - margin
    worst = p0 + margin + more * (1 - p0 - margin)
    bets = Errors(margin or 0.01).proof(history(np.random.default_rng(seed), 2), share)
    if not margin:
        worst = min(worst + 0.01, 1.0)
        p0 = min(p0, 0.99)

    assert mean(bets, share, rates(worst), rates(p0)).max() <= 1 + ROUNDING


def later(draw: np.random.Generator, stable: Array, margin: float) -> Array:
    """Frequencies with at most so much more beyond any bucket."""
    beyond = np.cumsum(stable[::-1])[::-1]  # at least bucket i
    moved = np.clip(beyond + margin * draw.choice([1.0, draw.random()]), 0, 1)
    moved[0] = 1.0
    moved = np.minimum.accumulate(moved)
    if draw.random() < 0.3:  # faster on top of that, which is no reason to fail
        moved[1:] *= draw.random()
    return np.asarray(moved - np.append(moved[1:], 0.0))


@given(share=SHARES, margin=MARGINS, seed=SEEDS)
def test_latency_within_the_tolerance(share: float, margin: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    stable = mix(draw, 74)
    bets = Latency(margin).bets(history(draw, 74), history(draw, 74), share)

    assert mean(bets, share, later(draw, stable, margin), stable).max() <= 1 + ROUNDING


@given(share=SHARES, margin=st.sampled_from([0.001, 0.01, 0.2]), seed=SEEDS)
def test_proof_of_a_candidate_that_is_slower_than_tolerated(
    share: float, margin: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    bets = Latency(margin).proof(history(draw, 74), share)
    stable = mix(draw, 74)
    for group in range(8):
        slow = bets.candidate[group, 0] == bets.candidate[group, 0, -1]
        stable_slow = float(stable[slow].sum()) * (1 - margin)
        split = rates(stable_slow), rates(stable_slow + margin)
        one = Bets(*(np.stack([each[group][:, 0], each[group][:, -1]], -1) for each in bets))

        assert mean(one, share, split[1], split[0]).max() <= 1 + ROUNDING


def shifted(draw: np.random.Generator, stable: Array, margin: float) -> Array:
    """Frequencies of which none differs by more than that."""
    change = draw.choice([-1.0, 1.0], len(stable)) * margin * draw.choice([1.0, draw.random()])
    change = np.clip(change, -stable, 1 - stable)
    gain, loss = change[change > 0].sum(), -change[change < 0].sum()
    if not gain or not loss:
        return stable
    part = np.where(change > 0, min(1.0, loss / gain), min(1.0, gain / loss))
    return np.asarray(np.clip(stable + change * part, 0, 1))


@given(share=SHARES, margin=MARGINS, seed=SEEDS, size=st.sampled_from([2, 3, 5, 10]))
def test_predictions_within_the_tolerance(
    share: float, margin: float, seed: int, size: int
) -> None:
    draw = np.random.default_rng(seed)
    stable = mix(draw, size)
    bets = Predictions(margin).bets(history(draw, size), history(draw, size), share)

    assert mean(bets, share, shifted(draw, stable, margin), stable).max() <= 1 + ROUNDING


@given(share=SHARES, margin=st.sampled_from([0.001, 0.01, 0.2]), seed=SEEDS)
def test_proof_of_predictions_that_are_shifted_more_than_tolerated(
    share: float, margin: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    size = 4
    bets = Predictions(margin).proof(history(draw, size), share)
    p0 = draw.random() * (1 - margin)
    for group in range(2 * size):
        own = group % size
        other = (own + 1) % size
        columns = (other, own) if group < size else (own, other)
        one = Bets(*(each[group][:, columns] for each in bets))

        assert mean(one, share, rates(p0 + margin), rates(p0)).max() <= 1 + ROUNDING


@given(share=SHARES, seed=SEEDS)
def test_differences_of_the_interval(share: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    p0, p1 = draw.random(2) ** 3
    for at_most in (True, False):
        bets = margin_bets(
            np.full(len(GRID), p0), np.full(len(GRID), p1), share, GRID, at_most=at_most
        )
        true = draw.random()
        for place, difference in enumerate(GRID):
            if 0 <= true + difference <= 1:
                one = Bets(*(each[place] for each in bets))
                same = mean(one, share, rates(true + difference), rates(true))

                assert same <= 1 + ROUNDING


@given(share=SHARES, limit=st.floats(0.001, 0.9), less=st.floats(0, 1))
def test_limits_that_are_kept(share: float, limit: float, less: float) -> None:
    bets = limit_bets(limit)

    assert mean(bets, share, rates(limit * less), rates(0.3)).max() <= 1 + ROUNDING


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99])
def test_a_split_that_is_as_the_file_says(share: float) -> None:
    one = np.ones(1)

    assert mean(split_bets(share), share, one, one) == pytest.approx(np.ones(26), abs=1e-12)


@given(share=SHARES, seed=SEEDS)
def test_any_ratio_whatever_is_a_fair_bet(share: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    ratio: Any = np.exp(draw.normal(size=(5, 6)) * 3)
    stable = mix(draw, 6)

    assert mean(bets_on(ratio, share), share, stable, stable) == pytest.approx(np.ones(5), abs=1e-9)
