"""Numbers and bars as text: in the characters that the terminal has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from monitoring.terminal.view import Percentile

NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """``levels`` are the steps of a sparkline, the lowest first; ``parts`` those of the last cell
    of a bar, the emptiest first. Each role has a mark and a bar of its own: colour is not all that
    tells them apart.
    """

    stable: str
    candidate: str
    stable_bar: str
    candidate_bar: str
    empty: str
    parts: str
    levels: str
    gap: str
    more: str
    line: str
    arrow: str


UNICODE: Final = Glyphs("■", "◆", "█", "▓", "·", "▏▎▍▌▋▊▉", "▁▂▃▄▅▆▇█", " ", "…", "─", "▶")
ASCII: Final = Glyphs("=", "+", "#", "%", ".", "", "_.-=+*%#", " ", "~", "-", ">")


def glyphs_for(encoding: str) -> Glyphs:
    """The better ones where every one of them can be written."""
    try:
        "".join(str(getattr(UNICODE, name)) for name in Glyphs.__slots__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def bar(share: float, width: int, full: str, glyphs: Glyphs) -> str:
    """``share`` (0 to 1) of so many cells. More than nothing is never shown as nothing, less than
    all never as all.
    """
    filled = min(max(share, 0.0), 1.0) * width
    cells = int(filled)
    if full == glyphs.stable_bar and glyphs.parts:
        part = int((filled - cells) * (len(glyphs.parts) + 1))
        rest = glyphs.parts[part - 1] if part else ""
        if not cells and not rest and share > 0:
            rest = glyphs.parts[0]
    else:
        cells, rest = round(filled), ""
        cells = min(max(cells, 1 if share > 0 else 0), width - 1 if share < 1 else width)
    drawn = full * cells + rest
    return drawn + glyphs.empty * (width - len(drawn))


def weight_of_evidence(evidence: float, limit: float) -> float:
    """How far evidence is on its way to the limit, 0 to 1: evidence multiplies, so by logarithms;
    what speaks for the opposite (less than 1) is at the beginning.
    """
    if evidence <= 1 or limit <= 1:
        return 0.0
    return min(log(evidence) / log(limit), 1.0)


def sparkline(values: Sequence[float | None], width: int, glyphs: Glyphs) -> str:
    """The newest values, at the right, from 0 to the largest of them; a gap where there is none."""
    shown = list(values)[-width:]
    highest = max((one for one in shown if one is not None), default=0.0)
    top = len(glyphs.levels) - 1
    cells = [
        glyphs.gap if one is None else glyphs.levels[round(one / highest * top) if highest else 0]
        for one in shown
    ]
    return "".join(cells).rjust(width)


def percent(share: float | None, digits: int = 2) -> str:
    """``12.5 %``; what is more than 0 does not read as 0."""
    if share is None:
        return NOTHING
    least = 10**-digits
    return f"<{least:g} %" if 0 < share < least / 2 else f"{share:.{digits}f} %"


def rate(requests: float | None) -> str:
    """``182.4/s``"""
    if requests is None:
        return NOTHING
    if requests < 0.05:
        return "<0.1/s" if requests else "0/s"
    return f"{requests:,.0f}/s" if requests >= 1000 else f"{requests:.1f}/s"


def seconds(value: Percentile | None) -> str:
    """``4.6 ms``, ``1.25 s``; ``> 10 s`` where all that is known is that it is more."""
    if value is None:
        return NOTHING
    number = value.seconds
    text = f"{number:.3g} s" if number >= 0.9995 else f"{1000 * number:.3g} ms"
    return f"> {text}" if value.beyond else text


def factor(value: float) -> str:
    """Evidence: ``0.31``, ``14``, ``1.2e+04``."""
    return f"{value:.3g}"
