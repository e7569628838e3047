"""The verdict on error counts: valid whenever one looks, quick where it matters."""

from __future__ import annotations

import random
from math import comb, exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.evidence import Tally, Window
from monitoring.judge import SUSPICIONS, Kind, judge, log_evidence


def window(
    share: float, candidate: tuple[int, int], stable: tuple[int, int], generation: str = "g1"
) -> Window:
    """Tallies are (assigned, bad)."""
    return Window(generation, share, Tally(*candidate), Tally(*stable))


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("bad", [1, 2, 5, 12])
def test_the_mean_of_the_evidence_is_one_where_both_versions_fail_alike(
    share: float, bad: int
) -> None:
    # Given `bad` bad answers, each is the candidate's with probability `share`: sum over all cases.
    mean = sum(
        comb(bad, k)
        * share**k
        * (1 - share) ** (bad - k)
        * exp(log_evidence([window(share, (k, k), (bad - k, bad - k))]))
        for k in range(bad + 1)
    )

    assert mean == pytest.approx(1.0, abs=1e-9)


@given(
    share=st.floats(0.001, 0.999),
    less=st.floats(0, 1),
    r=st.sampled_from(SUSPICIONS),
)
def test_no_bet_gains_on_a_candidate_that_fails_less_often(
    share: float, less: float, r: float
) -> None:
    # P(candidate | bad) is at most `share` there; a factor's mean grows with that probability.
    probability = share * less
    norm = 1 + share * (r - 1)

    assert probability * r / norm + (1 - probability) / norm <= 1 + 1e-12


@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.99), st.integers(0, 40), st.integers(0, 40)),
        min_size=1,
        max_size=6,
    )
)
def test_the_evidence_does_not_depend_on_the_order_of_the_windows(
    counts: list[tuple[float, int, int]],
) -> None:
    windows = [window(share, (c, c), (s, s)) for share, c, s in counts]

    assert log_evidence(windows) == pytest.approx(log_evidence(windows[::-1]), abs=1e-9)


def test_looking_after_every_bad_answer_fails_a_healthy_candidate_as_seldom_as_promised() -> None:
    draw = random.Random(20261121)
    failed = 0
    runs = 600
    for run in range(runs):
        share = (0.01, 0.05, 0.1, 0.5)[run % 4]
        candidate = stable = 0
        for _ in range(300):
            if draw.random() < share:
                candidate += 1
            else:
                stable += 1
            seen = window(share, (candidate, candidate), (stable, stable))
            if log_evidence([seen]) >= log(20):
                failed += 1
                break

    # alpha is 5 %: 30 expected at the very most; 99.9 % of binomial(600, 0.05) lie below 48.
    assert failed < 48


@pytest.mark.parametrize(("share", "needed"), [(0.01, 2), (0.05, 2), (0.1, 3), (0.5, 8)])
def test_a_candidate_that_fails_everything_is_failed_after_a_handful(
    share: float, needed: int
) -> None:
    def kind(bad: int) -> Kind:
        return judge([window(share, (bad, bad), (1000, 0))], alpha=0.01, min_bad=2).kind

    assert kind(needed) is Kind.FAILED
    assert kind(needed - 1) is Kind.INCONCLUSIVE


def test_nothing_fails_on_fewer_bad_answers_than_asked_for() -> None:
    windows = [window(0.01, (4, 4), (1000, 0))]

    assert judge(windows, alpha=0.01, min_bad=4).kind is Kind.FAILED
    assert judge(windows, alpha=0.01, min_bad=5).kind is Kind.INCONCLUSIVE


def test_an_outage_that_hits_both_versions_alike_fails_nobody() -> None:
    verdict = judge([window(0.1, (1000, 900), (9000, 8100))], alpha=0.01, min_bad=2)

    assert verdict.kind is Kind.INCONCLUSIVE


def test_no_requests_are_no_reason_for_anything() -> None:
    for windows in ([], [window(0.1, (0, 0), (0, 0))]):
        verdict = judge(windows, alpha=0.01, min_bad=2)

        assert verdict.kind is Kind.INCONCLUSIVE
        assert "no request yet" in verdict.sentence


def test_the_sentence_says_the_numbers() -> None:
    verdict = judge([window(0.1, (52, 15), (510, 1))], alpha=0.01, min_bad=2)

    assert verdict.kind is Kind.FAILED
    assert verdict.sentence == (
        "it fails more often than stable: 15 bad of 52 (28.85 %) against 1 bad of 510 (0.20 %) "
        "of stable"
    )


def test_counts_beyond_any_float_are_judged_all_the_same() -> None:
    verdict = judge([window(0.5, (10**9, 10**9), (10**9, 0))], alpha=0.0001, min_bad=2)

    assert verdict.kind is Kind.FAILED
