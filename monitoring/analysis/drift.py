"""How far a candidate's predictions are from stable's, in three numbers for a plot and an alert.

Nothing is decided on them: that is the affair of the bets, which need no minimum of answers.

- ``psi``, the population stability index, ``sum (q1 - q0) ln(q1 / q0)`` (Siddiqi 2006, "Credit Risk
  Scorecards"): below 0.1 is taken for no shift, above 0.25 for a large one.
- ``js``, the Jensen-Shannon divergence in nats, 0 to ln 2 (Lin 1991, "Divergence measures based on
  the Shannon entropy").
- ``ks``, the Kolmogorov-Smirnov distance of two distribution functions, ``sup |F1 - F0|``, 0 to 1;
  of scores, or else of values, as labels have no order. It is taken at the bounds they are counted
  by, so it is at most that of the numbers themselves.

``psi`` and ``js`` compare labels, or where none is read stable's tenths of score or value; half an
answer is added to each class, so that one which a version never gave makes no infinity. Each number
is told minus what chance alone gives on average, and never below 0.

Weights change during a run, and who asks changes with the time of day. So stable's answers of each
window count as much as the candidate's of the same window do (direct standardisation): what both
answer differently at noon than at night is no difference between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log, pi, sqrt
from typing import Final

import numpy as np

from gateway.model import Prediction
from monitoring.analysis.betting import Array
from monitoring.analysis.effects import effects
from monitoring.analysis.signals import Scores, Values
from monitoring.analysis.spans import parts
from monitoring.readings.evidence import Counts, span_of

STATISTICS: Final = ("psi", "js", "ks")
_KOLMOGOROV: Final = sqrt(pi / 2) * log(2)  # the mean of Kolmogorov's distribution

Pair = tuple[Counts, Counts]
"""A window's counts: the candidate's, stable's."""


def statistics_of(prediction: Prediction | None) -> tuple[str, ...]:
    """Those that can be told of what is read from the answers."""
    if prediction is None:
        return ()
    ordered = prediction.score is not None or prediction.value is not None
    return STATISTICS if ordered else STATISTICS[:2]


def drift(prediction: Prediction | None, windows: Iterable[Pair]) -> dict[str, float]:
    """Each of :func:`statistics_of`; 0 while one of the two versions has given no answer that can
    be compared. Never NaN, never infinite.
    """
    found = dict.fromkeys(statistics_of(prediction), 0.0)
    if prediction is None:
        return found
    pairs = list(windows)
    classes = _classes(prediction, pairs)
    compared = None if classes is None else effects(*classes)
    if compared is not None:
        found |= {"psi": compared.psi, "js": compared.js}
    if prediction.score is not None:
        found["ks"] = _distance([(_by_bound(one), _by_bound(other)) for one, other in pairs])
    elif prediction.value is not None:
        shown = {span_of(name)[1] for pair in pairs for one in pair for name, _ in one.values}
        bounds = sorted(shown)
        found["ks"] = _distance(
            [(parts(one.values, bounds), parts(other.values, bounds)) for one, other in pairs]
        )
    return found


def _classes(prediction: Prediction, pairs: list[Pair]) -> tuple[Array, Array] | None:
    """Answers by class, the candidate's and stable's; None if nothing can be compared."""
    if prediction.label is not None:
        shown = sorted({label for pair in pairs for one in pair for label, _ in one.labels})
        return _standardised(
            [(_by_label(one, shown), _by_label(other, shown)) for one, other in pairs]
        )
    scores = Scores(0.0, "") if prediction.score is not None else Values(0.0, "")
    tenths = scores.frame(sum((other for _, other in pairs), Counts()))
    if tenths is None:
        return None
    return _standardised(
        [(scores.outcomes(one, tenths), scores.outcomes(other, tenths)) for one, other in pairs]
    )


def _distance(pairs: list[tuple[Array, Array]]) -> float:
    """``ks``."""
    size = max((len(one) for pair in pairs for one in pair), default=0)
    both = _standardised(
        [(np.pad(a, (0, size - len(a))), np.pad(b, (0, size - len(b)))) for a, b in pairs]
    )
    if both is None:
        return 0.0
    n1, n0 = (float(one.sum()) for one in both)
    apart = np.abs(np.cumsum(both[0]) / n1 - np.cumsum(both[1]) / n0).max()
    return max(0.0, float(apart) - _KOLMOGOROV * sqrt(1 / n1 + 1 / n0))


def _standardised(pairs: Iterable[tuple[Array, Array]]) -> tuple[Array, Array] | None:
    """The counts of all windows together: stable's in the shares that the candidate's have, and as
    many as say as much as those there are (Kish 1965, "Survey Sampling": the effective size).
    """
    kept = [(mine, theirs) for mine, theirs in pairs if mine.sum() and theirs.sum()]
    if not kept:
        return None
    candidate, stable = (np.stack(side) for side in zip(*kept, strict=True))
    part = candidate.sum(-1) / candidate.sum()
    answers = stable.sum(-1)
    shares = (part / answers) @ stable
    return candidate.sum(0), np.asarray(shares / (part**2 / answers).sum())


def _by_label(counts: Counts, labels: list[str]) -> Array:
    given = dict(counts.labels)
    return np.array([given.get(label, 0) for label in labels], dtype=np.float64)


def _by_bound(counts: Counts) -> Array:
    return np.array(counts.scores, dtype=np.float64)
