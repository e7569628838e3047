"""Worse is never taken for better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Analysis
from monitoring.analysis.case import Case
from monitoring.analysis.errors import Errors
from monitoring.analysis.latency import Latency
from monitoring.analysis.question import question_of
from monitoring.readings.evidence import Counts, Window, row
from tests.builders import make_route

SHARES = st.sampled_from([0.01, 0.1, 0.5])
ASKED = question_of(make_route(), Analysis(errors_max_increase=10, latency_max_increase=100))
PAST = Counts(2000, bad=10, latency=row([*[0] * 20, *[40] * 49]))


@given(share=SHARES, bad=st.integers(0, 2000), margin=st.sampled_from([0.0, 0.01]))
def test_a_bad_answer_of_the_candidate_speaks_against_it_and_one_of_stable_for_it(
    share: float, bad: int, margin: float
) -> None:
    bets = Errors(margin).bets(np.array([2000.0 - bad, float(bad)]), share)

    assert (bets.candidate[:, 1] >= bets.candidate[:, 0]).all()
    assert (bets.stable[:, 1] <= bets.stable[:, 0]).all()


@given(share=SHARES, seed=st.integers(0, 2**32 - 1), margin=st.sampled_from([0.0, 0.01]))
def test_a_slower_answer_of_the_candidate_speaks_no_less_against_it(
    share: float, seed: int, margin: float
) -> None:
    draw = np.random.default_rng(seed)
    stable, candidate = (draw.poisson(draw.exponential(5, 74)).astype(float) for _ in range(2))
    bets = Latency(margin).bets(stable, candidate, share)

    assert (np.diff(bets.candidate, axis=-1) >= -1e-12).all()
    assert (np.diff(bets.stable, axis=-1) <= 1e-12).all()


@given(
    share=SHARES,
    good=st.integers(0, 300),
    bad=st.integers(0, 30),
    bucket=st.integers(0, 72),
    later=st.integers(1, 72),
)
def test_evidence_grows_with_every_bad_or_slower_answer(
    share: float, good: int, bad: int, bucket: int, later: int
) -> None:
    def logs(candidate: Counts) -> tuple[float, float]:
        window = Window("0/g@0", share, candidate, Counts(500, bad=2))
        case = Case.opened(PAST).grown(ASKED, [window])
        return case.log_evidence("errors"), case.log_evidence("latency")

    usual = Counts(good + bad + 1, bad=bad, latency=row([*[0] * bucket, 1]))
    worse = replace(usual, bad=bad + 1)
    slower = replace(usual, latency=row([*[0] * min(bucket + later, 73), 1]))

    assert logs(worse)[0] >= logs(usual)[0]
    assert logs(slower)[1] >= logs(usual)[1] - 1e-12
