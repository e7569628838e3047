"""Is the candidate worse than stable? A bet on the arm of each bad answer.

The gateway draws the version of each request with a known probability. If the candidate fails no
more often than stable, then a bad answer came from the candidate with at most its share ``w`` of
the draws, whatever the error rate is and however it moves: outages that hit both versions cancel
out. So bet on it: for a suspicion "it fails r times as often", multiply the evidence by

    r / (1 + w (r - 1))   for a bad answer of the candidate,
    1 / (1 + w (r - 1))   for a bad answer of stable.

The mean of each factor is at most 1 under the null hypothesis, so the evidence is a non-negative
supermartingale, and by Ville's inequality the chance that it EVER reaches ``1 / alpha`` is at most
``alpha``: one may look after every request (Ville 1939; Lindon & Malek 2022, "Anytime-valid
inference for multinomial count data"; Ramdas et al. 2023, "Game-theoretic statistics and safe
anytime-valid inference"). An average over a bank of suspicions keeps the property.

Only error counts are judged here, without a tolerated difference, and success is not judged at all:
a healthy candidate stays ``Inconclusive``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, fsum, log, log1p
from typing import Final

from monitoring.evidence import Tally, Window

# "It fails r times as often", geometric from 1.35 to about 3,400, all equally likely beforehand.
SUSPICIONS: Final = tuple(1.35**k for k in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27))


class Kind(StrEnum):
    """What the data mean; what is done about it is somebody else's choice."""

    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``evidence`` is the factor by which the data speak for "worse"; ``limit`` is ``1 /
    alpha``.
    """

    kind: Kind
    evidence: float
    limit: float
    candidate: Tally
    stable: Tally
    sentence: str


def judge(windows: Sequence[Window], *, alpha: float, min_bad: int) -> Verdict:
    """The verdict on a candidate from its windows.

    ``alpha`` is the chance that a healthy candidate is ever failed, in (0, 1); ``min_bad`` is a
    floor on the candidate's bad answers, below which nothing fails.
    """
    candidate = sum((window.candidate for window in windows), Tally())
    stable = sum((window.stable for window in windows), Tally())
    evidence, limit = exp(min(log_evidence(windows), 700.0)), 1 / alpha
    compared = f"{_rate(candidate)} against {_rate(stable)} of stable"
    if candidate.bad >= min_bad and evidence >= limit:
        kind = Kind.FAILED
        sentence = f"it fails more often than stable: {compared}"
    else:
        kind = Kind.INCONCLUSIVE
        what = "no request yet" if not candidate.assigned else f"not proven worse: {compared}"
        sentence = f"{what} (evidence {evidence:.3g} of {limit:.3g} needed)"
    return Verdict(kind, evidence, limit, candidate, stable, sentence)


def log_evidence(windows: Sequence[Window]) -> float:
    """The natural logarithm of the average evidence over the bank of suspicions."""
    logs = [fsum(_log_factor(window, r) for window in windows) for r in SUSPICIONS]
    highest = max(logs)
    return highest + log(fsum(exp(one - highest) for one in logs) / len(logs))


def _log_factor(window: Window, r: float) -> float:
    """The product of all factors of one window, as a logarithm: it needs the counts only."""
    bad = window.candidate.bad + window.stable.bad
    return window.candidate.bad * log(r) - bad * log1p(window.share * (r - 1))


def _rate(tally: Tally) -> str:
    share = 100 * tally.bad / tally.assigned if tally.assigned else 0.0
    return f"{tally.bad:,} bad of {tally.assigned:,} ({share:.2f} %)"
