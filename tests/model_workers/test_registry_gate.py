"""The gate lets noise pass as rarely as it promises, and says its numbers."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy
from scipy.stats import ttest_1samp

from model_workers.registry.evaluation import Evaluation, Figures, Result, Rows, Side
from model_workers.registry.gate import Thresholds, decide, misfit
from model_workers.registry.interval import Gains, Pairs, doubt, enough, interval, proves

# --- what is promised


def fewest(rows: int, worse: int, least: float, error: float) -> int:
    """How many better rows pass beside so many worse ones; one more than there are if none do."""
    low, high = 0, rows - worse + 1
    while low < high:
        middle = (low + high) // 2
        if proves(Pairs(rows, middle, worse), least, error):
            high = middle
        else:
            low = middle + 1
    return low


def false_pass(rows: int, least: float, error: float) -> float:
    """The chance to pass of a candidate that is better by exactly ``least``, added up over all
    tables, for the least favourable of 200 shares of differing rows.
    """
    better, worse = [], []
    for down in range(rows + 1):
        passing = range(fewest(rows, down, least, error), rows - down + 1)
        better += passing
        worse += [down] * len(passing)
    b, w = np.array(better), np.array(worse)
    rest = rows - b - w
    ways = gammaln(rows + 1) - gammaln(b + 1) - gammaln(w + 1) - gammaln(rest + 1)
    chances = [
        np.exp(
            ways
            + xlogy(b, (share + least) / 2)
            + xlogy(w, max(share - least, 0) / 2)
            + xlogy(rest, 1 - share)
        ).sum()
        for share in np.linspace(max(abs(least), 1e-3), 1, 200)
    ]
    return max(chances)


@pytest.mark.parametrize(
    ("rows", "least", "error"), [(8, 0.0, 0.025), (25, 0.0, 0.05), (25, -0.1, 0.025)]
)
def test_no_share_of_differing_rows_lets_noise_pass_more_often_than_promised(rows, least, error):
    """Exact: no simulation. Larger tables were added up in the same way when this was written."""
    found = false_pass(rows, least, error)
    assert found <= error
    assert found > error / 4  # nor is it so careful that nothing ever passes


def gained(gains, reach: float | None = None) -> Gains:
    """Gains as an evaluation sums them up; no distance is smaller than what was gained by it."""
    found = np.asarray(gains, dtype=float)
    far = float(abs(found).max()) if reach is None else reach
    return Gains(len(found), float(found.mean()), float(found.std(ddof=1)), far)


@pytest.mark.parametrize("rows", [2, 3, 5, 6, 7, 8, 12, 20, 40])
def test_a_constant_shift_of_noise_passes_as_rarely_as_promised(rows):
    """Exact. Two models that differ by a constant, and answers that lie far on either side of both
    by chance: each row is a gain or a loss of the same size. Student's t alone passes 25 % of these
    where there are two rows, and 6 % where there are seven.
    """
    heads = [gained([1.0] * up + [-1.0] * (rows - up)) for up in range(rows + 1)]
    chances = [comb(rows, up) / 2**rows for up in range(rows + 1)]
    for error in (0.025, 0.05):
        found = sum(
            chance for one, chance in zip(heads, chances, strict=True) if proves(one, 0.0, error)
        )
        assert found <= error
        assert rows < 8 or found > error / 8  # nor is it so careful that nothing ever passes


@pytest.mark.parametrize("least", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("rows", [8, 40, 200])
def test_noise_of_equal_errors_passes_as_rarely_as_promised(rows, least):
    """A candidate that is better by just ``least``: of two equally noisy models the differences are
    symmetric, here with the heavy tails of t with 3.
    """
    rng = np.random.default_rng(5)
    drawn = rng.standard_t(3, (2000, rows)) + least
    passed = sum(proves(gained(one), least, 0.025) for one in drawn)
    assert passed <= 2000 * 0.025


def test_the_rare_large_loss_that_few_rows_do_not_show_is_reckoned_with():
    """The two predictions were once 19 apart: so much could have been lost there, and elsewhere."""
    assert proves(gained([1.0] * 20), 0.0, 0.025)
    assert not proves(gained([1.0] * 20, reach=19.0), 0.0, 0.025)
    assert proves(gained([1.0] * 200, reach=19.0), 0.0, 0.025)


def test_two_rows_alike_prove_nothing():
    """Also not that a model is no worse than another that says the same."""
    for rows in (2, 5):
        found = gained([3.0] * rows)
        assert not proves(found, 0.0, 0.025)
        assert not proves(gained([0.0] * rows), -1.0, 0.025)
        assert interval(found, 0.0, 0.025) == (-np.inf, np.inf)
    assert proves(gained([0.0] * 6), -1.0, 0.025)


# --- the numbers


def test_the_interval_is_close_to_what_the_score_method_gives():
    """Tango's interval of these counts by its normal approximation is the expected one."""
    found = interval(Pairs(340, 6, 5), 0.0, 0.025)
    assert found == pytest.approx((-0.018676, 0.025222), abs=1e-3)


def test_of_numbers_it_is_students_interval_with_one_row_more_that_is_as_bad_as_can_be():
    gains = np.random.default_rng(1).normal(0.3, 1.0, 50)
    found = gained(gains, reach=4.0)
    known = ttest_1samp([*gains, -4.0], 0.1, alternative="greater")
    low = ttest_1samp([*gains, -4.0], 0.0).confidence_interval(0.95).low
    high = ttest_1samp([*gains, 4.0], 0.0).confidence_interval(0.95).high
    assert doubt(found, 0.1) == pytest.approx(known.pvalue)
    assert interval(found, 0.1, 0.025) == pytest.approx((low, high))


@given(
    st.lists(st.floats(-9, 9), min_size=2, max_size=30),
    st.floats(0, 9),
    st.sampled_from([-1.0, 0.0, 0.5]),
)
def test_of_numbers_too_the_interval_says_what_the_decision_says(gains, more, least):
    found = gained(gains, reach=max(map(abs, gains)) + more)
    low, high = interval(found, least, 0.025)
    assert (low > least) == proves(found, least, 0.025) or low == pytest.approx(least)
    assert low <= found.mean + 1e-9
    assert high >= found.mean - 1e-9


pairs = st.integers(1, 60).flatmap(
    lambda rows: st.integers(0, rows).flatmap(
        lambda better: st.builds(
            Pairs, st.just(rows), st.just(better), st.integers(0, rows - better)
        )
    )
)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_one_more_better_row_never_makes_it_worse(found):
    same = Pairs(found.rows, found.better, found.worse)
    if found.worse:
        turned = Pairs(found.rows, found.better + 1, found.worse - 1)
        assert doubt(turned, 0.0) <= doubt(same, 0.0) + 1e-9
        assert doubt(turned, -0.05) <= doubt(same, -0.05) + 1e-9


@settings(max_examples=12, deadline=None)
@given(pairs, st.sampled_from([-0.1, 0.0, 0.03]))
def test_the_interval_says_what_the_decision_says_and_holds_what_was_seen(found, least):
    low, high = interval(found, least, 0.025)
    assert (low > least or low == least == -1) == proves(found, least, 0.025) or low == least
    assert -1 <= low <= found.difference + 1e-6
    assert found.difference - 1e-6 <= high <= 1


def test_nothing_is_proven_by_nothing():
    assert not proves(Pairs(0, 0, 0), 0.0, 0.025)
    assert not proves(Pairs(1, 1, 0), 0.0, 0.025)
    assert not proves(Pairs(400, 0, 0), 0.0, 0.025)
    assert proves(Pairs(400, 0, 0), -0.02, 0.025)
    assert not proves(Gains(1, 5.0, 0.0, 5.0), 0.0, 0.025)
    assert not proves(Gains(50, 0.0, 0.0, 0.0), 0.0, 0.025)


def test_how_many_rows_would_be_needed_falls_with_the_difference():
    few = enough(Pairs(340, 14, 4), 0.0, 0.025)
    many = enough(Pairs(340, 5, 4), 0.0, 0.025)
    assert few is not None
    assert many is not None
    assert 340 < few < 1000 < many
    assert enough(Pairs(340, 4, 5), 0.0, 0.025) is None


# --- the decision


def evaluated(*results: Result, labels_are: str = "given") -> Evaluation:
    side = Side(name="v1", artefact="a" * 64, recipe="v1")
    rows = Rows(
        snapshot="s" * 64, labels_are=labels_are, share=0.3, held_out=340, copies=0, left_out=0
    )
    return Evaluation(
        evaluation=1,
        model="iris",
        contract="c",
        made_at="now",
        code_version="0",
        rows=rows,
        candidate=side,
        production=side,
        results=results,
    )


def classes(
    better: int, worse: int, accuracy: float = 0.941, output: str = "species", rows: int = 340
) -> Result:
    found = Pairs(rows, better, worse)
    return Result(
        output=output,
        kind="classes",
        candidate=Figures(accuracy),
        production=Figures(accuracy - found.difference),
        agreement=0.9,
        pairs=found,
    )


def quantity(mean: float, error: float, rows: int = 120) -> Result:
    return Result(
        output="progression",
        kind="quantity",
        candidate=Figures(mean_absolute_error=error),
        production=Figures(mean_absolute_error=error + mean),
        agreement=5.0,
        gains=Gains(rows, mean, 10.0, 20.0),
    )


def test_a_refusal_says_the_numbers():
    passed, sentence, _ = decide(evaluated(classes(5, 4)), Thresholds(min_quality=0.9))
    assert not passed
    assert sentence == (
        "refused: accuracy 0.941 of 340 held-out rows; difference to production v1 +0.003 "
        "(95 % interval -0.017 to +0.023) is not proven above 0: 5 rows better, 4 worse; "
        "about 24,010 rows would be needed"
    )


def test_what_is_proven_passes_and_what_is_bad_does_not_however_much_better():
    found = evaluated(classes(30, 4))
    passed, sentence, (judged,) = decide(found, Thresholds(min_quality=0.9))
    assert passed
    assert sentence.startswith("passed: accuracy 0.941")
    assert 0 < judged.low < judged.difference < judged.high
    passed, sentence, _ = decide(found, Thresholds(min_quality=0.95))
    assert not passed
    assert "is below 0.95, the least that is asked for" in sentence


def test_no_worse_than_is_a_minimum_improvement_below_0():
    found = evaluated(classes(4, 5))
    assert not decide(found, Thresholds(min_improvement=0.0))[0]
    assert not decide(found, Thresholds(min_improvement=-0.01))[0]
    passed, sentence, _ = decide(found, Thresholds(min_improvement=-0.05))
    assert passed
    assert "is proven above -0.05" in sentence


def test_numbers_are_judged_by_their_mean_absolute_error():
    found = evaluated(quantity(3.0, 44.0))
    passed, sentence, _ = decide(found, Thresholds(max_error=45.0))
    assert passed
    assert (
        "mean absolute error 44 of 120 held-out rows; smaller than production v1 by +3" in sentence
    )
    assert not decide(found, Thresholds(max_error=40.0))[0]
    assert not decide(found, Thresholds(min_improvement=2.0))[0]
    assert not decide(evaluated(quantity(1.0, 44.0)), Thresholds())[0]


def test_of_too_few_numbers_there_is_no_interval_to_tell():
    passed, sentence, (judged,) = decide(evaluated(quantity(30.0, 44.0, rows=5)), Thresholds())
    assert not passed
    assert "by +30 (too few rows for an interval) is not proven above 0" in sentence
    assert (judged.low, judged.high) == (None, None)


def test_every_output_must_pass_unless_only_some_are_asked_for():
    found = evaluated(classes(30, 4, output="topic"), classes(5, 4, output="urgency"))
    passed, sentence, _ = decide(found, Thresholds())
    assert not passed
    assert sentence.startswith("refused: urgency: accuracy")
    assert decide(found, Thresholds(outputs=("topic",)))[0]


def test_predicted_labels_prove_nothing_unless_somebody_insists():
    found = evaluated(classes(30, 4), labels_are="predicted")
    passed, sentence, judged = decide(found, Thresholds())
    assert not passed
    assert "say --allow-predicted-labels" in sentence
    assert judged == ()
    assert decide(found, Thresholds(predicted_labels=True))[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Thresholds(max_error=3.0), "no mean absolute error that --max-error could be held"),
        (Thresholds(min_improvement=-1.0), "accuracies, which cannot differ by -1: "),
        (Thresholds(min_improvement=2.0), "accuracies, which cannot differ by 2: "),
        (Thresholds(outputs=("price",)), "no output 'price'; it has species"),
        (Thresholds(min_quality=0.9, min_improvement=-0.01), ""),
    ],
)
def test_a_bar_that_labels_do_not_have_is_no_bar(asked, said):
    found = misfit(evaluated(classes(30, 4)), asked)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_bar_for_labels_is_none_for_numbers():
    """It would pass whatever comes."""
    numbers = evaluated(quantity(3.0, 44.0))
    assert misfit(numbers, Thresholds(min_quality=0.9)).startswith("no accuracy that --min-quality")
    assert not misfit(numbers, Thresholds(max_error=50.0, min_improvement=-5.0))
    both = evaluated(quantity(3.0, 44.0), classes(30, 4))
    assert not misfit(both, Thresholds(min_quality=0.9, max_error=50.0))


@settings(max_examples=8, deadline=None)
@given(st.integers(3, 20), st.integers(0, 10), st.integers(0, 10))
def test_the_gate_is_monotone(better, worse, more):
    """What passes passes with more better rows, with a lower bar and with more tolerance."""
    found = evaluated(classes(better, worse, rows=45))
    if decide(found, Thresholds(min_quality=0.9))[0]:
        assert decide(evaluated(classes(better + more, worse, rows=45)), Thresholds())[0]
        assert decide(found, Thresholds(min_quality=0.5))[0]
        assert decide(found, Thresholds(min_improvement=-0.1))[0]
        assert decide(found, Thresholds(false_pass=0.1))[0]
