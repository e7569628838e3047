"""Bets added up: however the stream is cut, whatever is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.analysis.betting import bets_on, increments
from monitoring.analysis.errors import LOG_PRIOR, Errors
from monitoring.analysis.latency import LOG_PRIOR as LATENCY_LOG_PRIOR
from monitoring.analysis.latency import Latency
from monitoring.analysis.mixture import RESTART_EVERY, Mixture
from monitoring.analysis.predictions import Predictions, log_prior


def test_every_prior_sums_to_one() -> None:
    stable, candidate = np.arange(74.0), np.zeros(74)

    for prior, bets in (
        (LOG_PRIOR, Errors().bets(stable[:2], 0.1)),
        (LATENCY_LOG_PRIOR, Latency().bets(stable, candidate, 0.1)),
        (log_prior(5), Predictions().bets(stable[:5], candidate[:5], 0.1)),
    ):
        assert np.exp(prior).sum() == pytest.approx(1.0)
        assert bets.candidate.shape[0] == bets.stable.shape[0] == len(prior)


@given(st.integers(0, 2**32 - 1))
def test_a_window_is_the_product_of_its_requests(seed: int) -> None:
    draw = np.random.default_rng(seed)
    bets = bets_on(np.exp(draw.normal(size=(4, 3))), 0.3)
    outcomes, arms = draw.integers(3, size=50), draw.random(50) < 0.3
    one_by_one = sum(
        (bets.candidate if arm else bets.stable)[:, b]
        for b, arm in zip(outcomes, arms, strict=True)
    )
    mine, theirs = (np.bincount(outcomes[side], minlength=3) for side in (arms, ~arms))

    assert increments(bets, mine.astype(float), theirs.astype(float)) == pytest.approx(
        one_by_one, abs=1e-9
    )


def test_what_no_suspicion_was_given_is_kept() -> None:
    """Of all evidence there is 1 at the start, whatever was staked and restarted."""
    mixture = Mixture.begun(LOG_PRIOR)
    nothing = np.zeros(len(LOG_PRIOR))
    for _ in range(10):
        assert float(mixture.log_evidence()) == pytest.approx(0.0, abs=1e-12)
        mixture = mixture.grown(LOG_PRIOR, nothing, RESTART_EVERY)

    assert mixture.restarts == 9
    assert 0 < mixture.reserve < 0.03


def test_a_long_healthy_past_is_forgotten_by_a_restart() -> None:
    mixture = Mixture.begun(LOG_PRIOR)
    for _ in range(20):
        mixture = mixture.grown(LOG_PRIOR, np.full(len(LOG_PRIOR), -10.0), RESTART_EVERY)
    late = mixture.grown(LOG_PRIOR, np.full(len(LOG_PRIOR), 12.0), 1)

    assert float(mixture.log_evidence()) == pytest.approx(np.log(mixture.reserve), abs=0.01)
    assert float(late.log_evidence()) > 3


def test_a_sum_without_end_has_a_logarithm() -> None:
    mixture = Mixture.begun(LOG_PRIOR)
    for _ in range(1000):
        mixture = mixture.grown(LOG_PRIOR, np.full(len(LOG_PRIOR), 1e4), 1)

    assert float(mixture.log_evidence()) == pytest.approx(1e7, rel=1e-6)
