"""Tolerated differences: bets against "at most ``rho p0 + delta``" instead of "equal".

The null hypothesis is ``p1 <= rho p0 + delta`` at every moment, with stable's rate ``p0`` unknown
and free to move. For an alternative ``(p0, p1)`` outside of it the best bet is the likelihood ratio
against the closest point of the null, its reverse information projection ``(x, b)``,
``b = rho x + delta``: the root of

    w rho (b - p1) / (b (1 - b)) + (1 - w) (x - p0) / (x (1 - x)) = 0

which grows in ``x``. The null is convex, so the mean of the factor is at most 1 in all of it
(Gruenwald, de Heide, Koolen 2024; Lardy, Gruenwald, Harremoes, arXiv 2306.16646). With the
inequality turned round the same root proves a candidate good: the mirror test.

Without its fractions that is a cubic. It has a root on either side of where both rates are rates,
and the one sought is that in the middle: Viete's formula gives it without trying.
"""

from __future__ import annotations

import numpy as np

from monitoring.analysis.betting import Array, Bets

_TINY = 1e-12


def boundary(p0: Array, increase: float | Array, ratio: float = 1.0) -> Array:
    """The highest rate of the candidate that is tolerated beside ``p0``."""
    return np.minimum(ratio * p0 + increase, 1 - 1e-9)


def closest(
    p0: Array, p1: Array, share: float | Array, increase: float | Array, ratio: float = 1.0
) -> Array:
    """Stable's rate ``x`` at the point of the null's border next to ``(p0, p1)``; any shapes that
    broadcast.
    """
    w, delta = share, np.asarray(increase)
    if ratio == 1.0 and not delta.any():
        return np.asarray(w * p1 + (1 - w) * p0)
    from_above = (p1 - delta) / ratio
    bottom = np.maximum(-delta / ratio, 0.0) + _TINY  # 0 < b and b < 1 must hold
    top = np.minimum((1 - delta) / ratio, 1.0) - _TINY
    low = _within(np.minimum(p0, from_above), bottom, top)
    high = _within(np.maximum(p0, from_above), bottom, top)
    # w ratio (b - p1) x (1 - x) + (1 - w) (x - p0) b (1 - b), by powers of x
    u, v = w * ratio, 1 - w
    still, moving = delta - delta * delta, ratio * (1 - 2 * delta)  # of b (1 - b)
    lead = -ratio * (u + v * ratio)
    square = (u * (ratio + p1 - delta) + v * (moving + ratio * ratio * p0)) / lead
    linear = (u * (delta - p1) + v * (still - p0 * moving)) / lead
    constant = -v * p0 * still / lead
    x = _within(_middle_root(square, linear, constant), low, high)
    # The formula loses digits where two roots are close: one step of Newton brings them back.
    value = ((x + square) * x + linear) * x + constant
    slope = (3 * x + 2 * square) * x + linear  # below 0 between the other two roots' bends
    return np.asarray(_within(x - value / np.minimum(slope, -_TINY), low, high))


def _within(values: Array, low: float | Array, high: float | Array) -> Array:
    """``np.clip``, which takes several times as long for a few numbers."""
    return np.asarray(np.minimum(np.maximum(values, low), high))


def _middle_root(square: Array, linear: Array, constant: Array) -> Array:
    """Of ``x ** 3 + square x ** 2 + linear x + constant``, which has three (Viete 1591)."""
    centre = square / -3
    spread = np.maximum(centre * centre - linear / 3, _TINY * _TINY)
    twist = centre**3 - 0.5 * (centre * linear + constant)
    angle = np.arccos(_within(twist / (spread * np.sqrt(spread)), -1.0, 1.0))
    return np.asarray(centre + 2 * np.sqrt(spread) * np.cos((angle - 2 * np.pi) / 3))


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
    beyond = p1 - (ratio * p0 + increase)
    sided = beyond > 0 if at_most else beyond < 0
    bets = Bets(_ratios(p1, b), _ratios(p0, x))
    excess = np.maximum(_worst(bets, share, increase, ratio, at_most), 0.0)
    return Bets(*(np.where(sided[..., None], one - excess[..., None], 0.0) for one in bets))


def _ratios(rate: Array, other: Array) -> Array:
    """Logarithms of how much more likely the first rate makes (good, bad): ``(..., 2)``."""
    found = np.empty((*np.broadcast_shapes(np.shape(rate), np.shape(other)), 2))
    found[..., 0] = np.log1p(-rate) - np.log1p(-other)
    found[..., 1] = np.log(rate) - np.log(other)
    return found


def _worst(
    bets: Bets, share: float | Array, increase: float | Array, ratio: float, at_most: bool
) -> Array:
    """The logarithm of the largest mean a factor has anywhere in the null.

    The mean is linear in both rates, so it is largest in a corner of the null. It is 1 in all of
    the border for the exact root, and above by what a root in floating point misses.
    """
    delta = np.asarray(increase)
    first, last = -delta / ratio, (1 - delta) / ratio
    if at_most:
        corners = [np.maximum(first, 0.0), np.ones_like(first), _within(last, first, 1.0)]
    else:
        corners = [np.zeros_like(first), np.minimum(last, 1.0), _within(first, 0.0, last)]
    good, bad = (np.exp(bets.candidate[..., place]) for place in (0, 1))
    stable_good, stable_bad = (np.exp(bets.stable[..., place]) for place in (0, 1))
    x = np.array(corners).reshape(3, *(1,) * (good.ndim - delta.ndim), *delta.shape)
    border = _within(ratio * x + delta, 0.0, 1.0)
    beside = good if at_most else bad  # the candidate fails never, or always
    stable = (1 - share) * ((1 - x) * stable_good + x * stable_bad)
    means = share * np.maximum((1 - border) * good + border * bad, beside) + stable
    return np.asarray(np.log(means.max(0)))


def shifted(rate: Array, log_odds: Array | float) -> Array:
    """A rate with its odds multiplied by ``exp(log_odds)``."""
    return np.asarray(1 / (1 + (1 / rate - 1) * np.exp(-np.asarray(log_odds))))
