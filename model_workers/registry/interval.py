"""How much better one model is than another on the same rows, as far as these prove it. Pure.

*Shares of right answers.* Of ``n`` rows the candidate alone is right on ``better``, production
alone on ``worse``. For a supposed difference the score statistic is that of T. Tango (Statistics in
Medicine 17, 1998); its tail is not approximated but added up, over all tables of ``n`` rows
(H. Hsueh and others, Biometrics 57, 2001), for the least favourable share of rows on which the two
models differ; this share is sought in its own interval of confidence, and what that misses is
added (R. Berger and D. Boos, Journal of the American Statistical Association 89, 1994). So the
promised chance of a false pass holds for any number of rows, also a handful.

*Errors of numbers.* Student's t for the mean of the paired differences, and one row more than were
seen, which turned out as badly as it can: a gain is never larger than the distance between the two
predictions, so the largest of these stands for the row that did not come yet. (N. Gaffke's bound of
a mean, 2005, has the same row more.) By itself t takes a few gains that happen to be alike for
certain, and the rare large loss that few rows do not show for none.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, inf, log2, sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betaincinv, gammaln, stdtr, stdtrit, xlog1py, xlogy

_MISSED = 0.0005  # the chance that the interval of the share of differing rows misses it
_SHARES = 80  # shares of differing rows that are tried
_STEPS = 22  # of a bisection: the ends are exact to less than 1e-6
_POWER = 0.8
_LEAST = 2  # rows, for a spread


class Pairs(NamedTuple):
    """``rows`` compared, of which the candidate alone, or production alone, was right on some."""

    rows: int
    better: int
    worse: int

    @property
    def difference(self) -> float:
        """Candidate's share of right answers minus production's."""
        return (self.better - self.worse) / self.rows if self.rows else 0.0


class Gains(NamedTuple):
    """By how much the candidate's absolute error is smaller, over ``rows``: mean and deviation;
    ``reach`` is the largest distance between the two predictions for a row.
    """

    rows: int
    mean: float
    deviation: float
    reach: float


class Interval(NamedTuple):
    """The differences that are not excluded. Below ``low`` the truth lies with the chance of error
    at most, above ``high`` as well.
    """

    low: float
    high: float


def proves(found: Pairs | Gains, least: float, error: float) -> bool:
    """Whether the difference is above ``least``; if it is not, True comes with chance ``error`` at
    most.
    """
    return doubt(found, least) <= error


def doubt(found: Pairs | Gains, least: float) -> float:
    """The p-value: how likely so good a result were, at most, if the true difference were no more
    than ``least``.
    """
    if isinstance(found, Gains):
        if found.rows < _LEAST:
            return 1.0
        alike = 0.5**found.rows  # so likely no row shows what every second one does
        mean, spread = _with_the_worst(found)
        if not spread:
            return alike if mean > least else 1.0
        return max(float(stdtr(found.rows, (least - mean) / spread)), alike)
    if not found.rows or least >= 1:
        return 1.0
    if least < -1:
        return 0.0
    return _tail(found, least)


def interval(found: Pairs | Gains, least: float, error: float) -> Interval:
    """The interval that misses the true difference on either side with chance ``error`` at most.
    Its lower end is above ``least`` exactly if :func:`proves` says so.
    """
    if isinstance(found, Gains):
        if 0.5**found.rows > error:
            return Interval(-inf, inf)
        low, below = _with_the_worst(found)
        high, above = _with_the_worst(found._replace(mean=-found.mean))
        wide = float(stdtrit(found.rows, 1 - error))
        return Interval(low - wide * below, wide * above - high)
    low = _low(found, least, error)
    mirrored = Pairs(found.rows, found.worse, found.better)
    return Interval(low, -_low(mirrored, -found.difference, error))


def enough(found: Pairs | Gains, least: float, error: float) -> int | None:
    """About how many rows would prove a difference like this one, four times of five; None if it
    is not above ``least``.
    """
    if found.rows < _LEAST:
        return None
    if isinstance(found, Gains):
        gap, variance = found.mean - least, found.deviation**2
        worst = max(found.reach + least, 0.0)  # what the row that is as bad as can be takes away
    else:
        gap, worst = found.difference - least, 0.0
        differing = (found.better + found.worse) / found.rows
        variance = max(differing - found.difference**2, 1 / found.rows)
    if gap <= 0:
        return None
    normal = NormalDist()
    needed = normal.inv_cdf(1 - error) + normal.inv_cdf(_POWER)
    return max(
        round(needed**2 * variance / gap**2 + worst / gap), ceil(-log2(error)), found.rows + 1
    )


def _with_the_worst(found: Gains) -> tuple[float, float]:
    """The mean with one row more that is as bad as it can be, and the deviation of that mean."""
    rows = found.rows + 1
    mean = (found.rows * found.mean - found.reach) / rows
    squares = (found.rows - 1) * found.deviation**2
    squares += found.rows / rows * (found.mean + found.reach) ** 2
    return mean, sqrt(squares / found.rows / rows)


# --- the tail of a table of pairs

Floats = NDArray[np.float64]


def _low(found: Pairs, least: float, error: float) -> float:
    """The largest difference that is still excluded from above, found by halving."""
    low, high = (least, found.difference) if proves(found, least, error) else (-1.0, least)
    if low > high:
        return low
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if proves(found, middle, error) else (low, middle)
    return low if low > least else min(low, least)


@lru_cache(maxsize=4096)
def _tail(found: Pairs, least: float) -> float:
    rows, differing = found.rows, found.better + found.worse
    seen = float(_score(np.array(found.better), np.array(differing), rows, least))
    low = betaincinv(differing, rows - differing + 1, _MISSED / 2) if differing else 0.0
    high = betaincinv(differing + 1, rows - differing, 1 - _MISSED / 2) if differing < rows else 1.0
    shares = np.linspace(max(low, abs(least)), max(high, abs(least)), _SHARES)
    totals = _totals(rows, shares)
    needed = _needed(seen, totals, rows, least)
    worst = 0.0
    for share in shares:
        if not share:  # nothing ever differs
            worst = max(worst, float(seen <= 0))
            continue
        chance = min(max((share + least) / (2 * share), 0.0), 1.0)
        # bdtrc is the chance of more than so many; of more than -1 it is certain.
        over = np.where(needed > 0, bdtrc(np.maximum(needed - 1, 0), totals, chance), 1.0)
        over = np.where(needed > totals, 0.0, over)
        worst = max(worst, float((_weights(totals, rows, share) * over).sum()))
    return min(worst + _MISSED, 1.0)


def _totals(rows: int, shares: Floats) -> NDArray[np.int64]:
    """The numbers of differing rows that are not too unlikely for any of the shares."""
    spread = 8 * np.sqrt(rows * shares * (1 - shares)) + 40
    low = max(int(np.min(rows * shares - spread)), 0)
    high = min(int(np.max(rows * shares + spread)) + 1, rows)
    return np.arange(low, high + 1)


def _weights(totals: NDArray[np.int64], rows: int, share: float) -> Floats:
    """How likely so many of the rows differ."""
    ways = gammaln(rows + 1) - gammaln(totals + 1) - gammaln(rows - totals + 1)
    weights: Floats = np.exp(ways + xlogy(totals, share) + xlog1py(rows - totals, -share))
    return weights


def _needed(seen: float, totals: NDArray[np.int64], rows: int, least: float) -> NDArray[np.int64]:
    """For each number of differing rows the fewest better ones with a score as high as was seen;
    one more than there are if none is. The score grows with the better ones.
    """
    low, high = np.zeros_like(totals), totals + 1
    while (low < high).any():
        middle = (low + high) // 2
        reached = _score(np.minimum(middle, totals), totals, rows, least) >= seen - 1e-9
        high = np.where((low < high) & reached, middle, high)
        low = np.where((low < high) & ~reached, middle + 1, low)
    return low


def _score(better: NDArray[Any], differing: NDArray[Any], rows: int, least: float) -> Any:
    """Tango's statistic; 0 where nothing differs and nothing should."""
    worse = differing - better
    b = (2 * rows - better + worse) * least - better - worse
    c = -worse * least * (1 - least)
    root = np.sqrt(np.maximum(b * b - 8 * rows * c, 0.0))
    chance = np.maximum((root - b) / (4 * rows), 0.0)
    variance = rows * np.maximum(2 * chance + least * (1 - least), 0.0)
    above = better - worse - rows * least
    safe = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
    return np.where(variance > 1e-12, above / safe, np.sign(above) * 1e9 * (abs(above) > 1e-9))
