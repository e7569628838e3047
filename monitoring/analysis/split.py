"""Suspicions about the split itself: the candidate gets more or fewer requests than it should.

There is one outcome, "a request". A share that is not the one configured (a sample-ratio mismatch)
makes every comparison doubtful (Lindon, Malek, arXiv 2011.03567).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from monitoring.analysis.betting import Array, Bets, bets_on

_SHIFTS: Final = 0.02 * 1.5 ** np.arange(13)
_RATIOS: Final = np.exp(np.concatenate([_SHIFTS, -_SHIFTS]))[:, None]
LOG_PRIOR: Final = np.full(len(_RATIOS), -np.log(len(_RATIOS)))


def split_bets(share: float | Array) -> Bets:
    """Against "the candidate is drawn with ``share``": ``(..., 26, 1)``."""
    return bets_on(_RATIOS, np.asarray(share)[..., None, None] if np.ndim(share) else share)


def p_value(evidence: Collection[float]) -> float:
    """Anytime-valid, that a route's requests are split as its file says: ``evidence`` against that
    of each of its candidates. By Ville's inequality 1 / E falls to a level ever with a chance of
    that level at most, however often one looks; of ``m`` candidates together by Bonferroni's.
    """
    return min(1.0, len(evidence) / max(evidence)) if evidence else 1.0
