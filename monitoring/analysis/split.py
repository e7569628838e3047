"""Suspicions about the split itself: the candidate gets more or fewer requests than it should.

There is one outcome, "a request". A share that is not the one configured (a sample-ratio mismatch)
makes every comparison doubtful (Lindon, Malek, arXiv 2011.03567).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on

_SHIFTS: Final = 0.02 * 1.5 ** np.arange(13)
_RATIOS: Final = np.exp(np.concatenate([_SHIFTS, -_SHIFTS]))[:, None]
LOG_PRIOR: Final = np.full(len(_RATIOS), -np.log(len(_RATIOS)))


def split_bets(share: float | Array) -> Bets:
    """Against "the candidate is drawn with ``share``": ``(..., 26, 1)``."""
    return bets_on(_RATIOS, np.asarray(share)[..., None, None] if np.ndim(share) else share)
