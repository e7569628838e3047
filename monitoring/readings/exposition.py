"""The text that ``GET /metrics`` answers with, as counters."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

Counters: TypeAlias = dict[str, float]
"""Values by series, a series as the text writes it: ``name{label="value"}``. One process writes it
the same way each time.
"""

_LABEL: Final = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


def read(text: str, names: Collection[str]) -> Counters:
    """The samples of these names; lines that are none are passed over."""
    found: Counters = {}
    for line in text.split("\n"):  # a label may hold what other ways of splitting take for an end
        series, _, value = line.rpartition(" ")
        if series.partition("{")[0] in names:
            try:
                found[series] = float(value)
            except ValueError:
                continue
    return found


def name_of(series: str) -> str:
    """``canary_requests_total``"""
    return series.partition("{")[0]


@lru_cache(maxsize=1 << 16)
def labels_of(series: str) -> Mapping[str, str]:
    """Its labels, without the escapes of the text format."""
    inside = series.partition("{")[2]
    return {name: _ESCAPED.sub(_plain, value) for name, value in _LABEL.findall(inside)}


def _plain(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]
