"""Rules that are no statistics of two versions: what no model in service does, whatever stable
does.
"""

from __future__ import annotations

from math import log
from typing import Final

from monitoring.analysis import spans
from monitoring.analysis.case import Case
from monitoring.analysis.constant import Constant
from monitoring.analysis.signals import answers_of

_CHANCE: Final = 1e-6  # that as many answers of stable in a row would be that one
_LEAST: Final = 30  # answers in a row


def collapse(case: Case) -> str | None:
    """Why the candidate is taken for stuck at one answer; None if it is not.

    All of its last answers are the same one, and so many that stable would not give them by
    chance. What stable has not shown at least as often as the candidate collapses for nothing.
    """
    return next((why for one in case.constants if (why := _collapse(case, one))), None)


def _collapse(case: Case, constant: Constant) -> str | None:
    label, number = constant.label, constant.number
    shown = answers_of(case.stable)
    total = sum(shown.values())
    if number < _LEAST or total < _LEAST:
        return None
    is_span = not case.candidate.labels and label in dict(case.candidate.values)
    # The bounds may have been others when stable showed its values.
    often = spans.touching(case.stable.values, label) if is_span else shown.get(label, 0)
    share = (often + 1) / (total + 2)
    if number * log(share) > log(_CHANCE):
        return None
    return (
        f"it gives one answer only: its last {number:,} are all "
        f"{spans.in_words(label) if is_span else repr(label)}, which is "
        f"{100 * share:.1f} % of stable's"
    )
