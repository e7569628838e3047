"""Bets added up over time: an average over suspicions, begun anew now and then.

    M_j <- (M_j + omega_k pi_j) exp(dL_j)         omega_k > 0 only where restart k opens
    E    = sum_j M_j + (1 - the sum of all omega so far)

An average of bets is a bet. The restarts are those of Shiryaev and Roberts with weights that sum to
one: unlike an e-detector they keep the bound on EVER being wrong, and still forget a long healthy
past when a candidate turns bad late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitoring.analysis.betting import Array
from monitoring.readings import dumped

FIRST: Final = 0.9  # omega_0; the rest is spread as 1 / (k (k + 1)), which sums to one
RESTART_EVERY: Final = 1000  # requests


@dataclass(frozen=True, slots=True)
class Mixture:
    """``logs`` are the log evidence of the suspicions, ``(..., J)``, with their prior in them;
    ``restarts`` counts those after the first start, ``since`` the requests after the last one.
    """

    logs: Array
    restarts: int = 0
    since: int = 0

    @classmethod
    def begun(cls, log_prior: Array) -> Mixture:
        """Before the first request. ``log_prior`` ``(..., J)`` are logarithms that sum to one."""
        return cls(log_prior + np.log(FIRST))

    @property
    def reserve(self) -> float:
        """What no suspicion was given yet."""
        return (1 - FIRST) / (self.restarts + 1)

    def grown(self, log_prior: Array, increment: Array, requests: int) -> Mixture:
        """After a window of so many requests that adds ``increment`` ``(..., J)``.

        Whether a restart opens was known before the window began, as it must be.
        """
        logs, restarts, since = self.logs, self.restarts, self.since
        if since >= RESTART_EVERY:
            restarts, since = restarts + 1, 0
            share = (1 - FIRST) / (restarts * (restarts + 1))
            logs = np.logaddexp(logs, log_prior + np.log(share))
        return Mixture(logs + increment, restarts, since + requests)

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {"logs": self.logs.tolist(), "restarts": self.restarts, "since": self.since}

    @classmethod
    def loaded(cls, document: Mapping[str, Any], *shape: int) -> Mixture:
        """The opposite of :meth:`dumped`, of suspicions of this shape."""
        logs = np.array(dumped.numbers(document["logs"], *shape), dtype=np.float64)
        return cls(logs, dumped.whole(document["restarts"]), dumped.whole(document["since"]))

    def log_evidence(self) -> Array:
        """``log E``, ``(...)``: the factor by which the data speak for one of the suspicions."""
        highest = self.logs.max(-1)
        added = np.exp(self.logs - highest[..., None]).sum(-1)
        return np.asarray(np.logaddexp(highest + np.log(added), np.log(self.reserve)))
