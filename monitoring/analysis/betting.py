"""The one formula: a bet on the arm of a request, given its outcome.

The gateway draws the arm of each request with a known probability: the candidate's with ``share``
``w``, stable's otherwise. If the candidate is no different, the arm says nothing about the outcome.
So for a suspicion "outcome ``b`` is ``r(b)`` times as frequent on the candidate", multiply an
evidence counter by

    r(b) / (1 + w (r(b) - 1))   for a request of the candidate,
    1    / (1 + w (r(b) - 1))   for one of stable.

Given the outcome, the mean is ``w r/(..) + (1 - w)/(..) = 1``, whatever the outcomes' probabilities
are and however they move. For yes or no it is the likelihood ratio against the reverse information
projection, so it grows as fast as any bet can (Gruenwald, de Heide, Koolen 2024, "Safe testing";
Turner, Ly, Gruenwald, arXiv 2106.02693). Ville's inequality (1939) then bounds the chance that the
evidence EVER reaches ``1 / alpha`` by ``alpha``: one may look after every request.

If ``r`` grows with an ordered outcome, the mean is at most 1 under the wider null hypothesis "the
candidate is stochastically not larger", too: the one-sided test of latency.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Of floats; which axes it has is said where it is used."""


class Bets(NamedTuple):
    """Logarithms of factors, by arm. Shape ``(..., J, B)``: ``J`` suspicions, ``B`` outcomes."""

    candidate: Array
    stable: Array


def bets_on(ratio: Array, share: float | Array, slack: float | Array = 0.0) -> Bets:
    """The bets of suspicions given as ratios ``r(b) > 0`` of shape ``(..., J, B)``.

    ``slack`` makes a bet valid under a margin. Let ``h = r / (1 + w (r - 1))`` be the candidate's
    factor. If the null lets ``sum q1 h`` be at most ``sum q0 h + s``, the mean of the whole factor
    is at most ``1 + w s``: dividing by that makes it at most 1 again. ``slack`` is ``s``, of shape
    ``(..., J)``.
    """
    base = np.log1p(share * (ratio - 1)) + np.log1p(share * np.asarray(slack))[..., None]
    return Bets(np.log(ratio) - base, -base)


def factor(ratio: Array, share: float | Array) -> Array:
    """The candidate's factor ``h`` of :func:`bets_on` itself."""
    return np.asarray(ratio / (1 + share * (ratio - 1)))


def increments(bets: Bets, candidate: Array, stable: Array) -> Array:
    """What the counts of a window add to the log evidence: ``(..., J)``.

    Counts have the shape ``(..., B)``. It is exactly the logarithm of the product of the requests'
    factors, so a window may be cut anywhere and counts of replicas are added first.
    """
    return np.asarray(
        (bets.candidate @ candidate[..., None])[..., 0] + (bets.stable @ stable[..., None])[..., 0]
    )
