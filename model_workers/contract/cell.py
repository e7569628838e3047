"""What a cell of CSV means to a feature, in a file and in a request alike. Pure."""

from __future__ import annotations

import re

from .feature import Feature, Number, Text

# Python would also read 1_000 and digits of other scripts: other programs would not.
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
# Possessive: digits once taken are not tried in shorter runs, which for many would take hours.
_NUMBER = re.compile(r"[+-]?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_NO_NUMBER = {"nan", "inf", "infinity"}  # named as such when they are refused


def read(feature: Feature, cell: str) -> object:
    """The value for the validator: None for an empty cell, except of a text that may be empty; what
    is no number stays text.
    """
    if not cell:
        kept = isinstance(feature, Text) and not feature.shortest
        return cell if kept else None
    if not isinstance(feature, Number):
        return cell
    text = cell.strip()
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) or text.lstrip("+-").lower() in _NO_NUMBER:
        return float(text)
    return cell
