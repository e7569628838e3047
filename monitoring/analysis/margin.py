"""Tolerated differences: bets against "at most ``rho p0 + delta``" instead of "equal".

The null hypothesis is ``p1 <= rho p0 + delta`` at every moment, with stable's rate ``p0`` unknown
and free to move. For an alternative ``(p0, p1)`` outside of it the best bet is the likelihood ratio
against the closest point of the null, its reverse information projection ``(x, b)``,
``b = rho x + delta``: the root of

    w rho (b - p1) / (b (1 - b)) + (1 - w) (x - p0) / (x (1 - x)) = 0

which grows in ``x``. The null is convex, so the mean of the factor is at most 1 in all of it
(Gruenwald, de Heide, Koolen 2024; Lardy, Gruenwald, Harremoes, arXiv 2306.16646). With the
inequality turned round the same root proves a candidate good: the mirror test.
"""

from __future__ import annotations

import numpy as np

from monitoring.analysis.betting import Array, Bets

_TINY = 1e-12
_HALVINGS = 26  # of an interval below 1: what is missing of the root costs speed, not validity


def boundary(p0: Array, increase: float | Array, ratio: float = 1.0) -> Array:
    """The highest rate of the candidate that is tolerated beside ``p0``."""
    return np.minimum(ratio * p0 + increase, 1 - 1e-9)


def closest(
    p0: Array, p1: Array, share: float | Array, increase: float | Array, ratio: float = 1.0
) -> Array:
    """Stable's rate ``x`` at the point of the null's border next to ``(p0, p1)``; any shapes that
    broadcast.
    """
    p0, p1, w, delta = np.broadcast_arrays(p0, p1, share, increase)
    if ratio == 1.0 and not delta.any():
        return np.asarray(w * p1 + (1 - w) * p0)
    from_above = (p1 - delta) / ratio
    bottom = np.maximum(-delta / ratio, 0.0) + _TINY  # 0 < b and b < 1 must hold on the way
    top = np.minimum((1 - delta) / ratio, 1.0) - _TINY
    low = np.clip(np.minimum(p0, from_above), bottom, top)
    high = np.clip(np.maximum(p0, from_above), bottom, top)
    for _ in range(_HALVINGS):
        x = 0.5 * (low + high)
        b = ratio * x + delta
        slope = w * ratio * (b - p1) * (x * (1 - x)) + (1 - w) * (x - p0) * (b * (1 - b))
        low, high = np.where(slope < 0, x, low), np.where(slope < 0, high, x)
    return np.asarray(0.5 * (low + high))


def margin_bets(
    p0: Array,
    p1: Array,
    share: float | Array,
    increase: float | Array,
    ratio: float = 1.0,
    *,
    at_most: bool = True,
) -> Bets:
    """Bets on outcomes (good, bad): shape ``(..., 2)`` for rates that broadcast to ``(...)``.

    They are against ``p1 <= rho p0 + delta``, or against ``p1 >= rho p0 + delta`` if not
    ``at_most``. On an alternative that lies within the null nothing is bet.
    """
    x = closest(p0, p1, share, increase, ratio)
    b = ratio * x + increase
    p0, p1, b = np.broadcast_arrays(p0, p1, b)
    beyond = p1 - (ratio * p0 + increase)
    sided = beyond > 0 if at_most else beyond < 0
    bets = Bets(
        np.stack([np.log1p(-p1) - np.log1p(-b), np.log(p1) - np.log(b)], -1),
        np.stack([np.log1p(-p0) - np.log1p(-x), np.log(p0) - np.log(x)], -1),
    )
    excess = np.maximum(_worst(bets, share, increase, ratio, at_most), 0.0)
    return Bets(*(np.where(sided[..., None], one - excess[..., None], 0.0) for one in bets))


def _worst(
    bets: Bets, share: float | Array, increase: float | Array, ratio: float, at_most: bool
) -> Array:
    """The logarithm of the largest mean a factor has anywhere in the null.

    The mean is linear in both rates, so it is largest in a corner of the null. It is 1 in all of
    the border for the exact root, and above by what a root in floating point misses.
    """
    ends = -np.asarray(increase) / ratio, (1 - np.asarray(increase)) / ratio
    corners = [np.zeros_like(ends[0]), np.ones_like(ends[0]), *ends]
    good, bad = (np.exp(bets.candidate[..., place]) for place in (0, 1))
    stable_good, stable_bad = (np.exp(bets.stable[..., place]) for place in (0, 1))
    means = []
    for corner in corners:
        if at_most:
            x = np.clip(corner, np.maximum(ends[0], 0.0), 1.0)
            on_border, beside = np.minimum(ratio * x + increase, 1.0), 0.0
        else:
            x = np.clip(corner, 0.0, np.minimum(ends[1], 1.0))
            on_border, beside = np.maximum(ratio * x + increase, 0.0), 1.0
        stable = (1 - share) * ((1 - x) * stable_good + x * stable_bad)
        means += [share * ((1 - p) * good + p * bad) + stable for p in (on_border, beside)]
    return np.asarray(np.log(np.max(means, axis=0)))


def shifted(rate: Array, log_odds: Array | float) -> Array:
    """A rate with its odds multiplied by ``exp(log_odds)``."""
    return np.asarray(1 / (1 + (1 / rate - 1) * np.exp(-np.asarray(log_odds))))
