"""A route over time, as the plots of its page want it: lists of numbers that share their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.counting.grid import DURATION_BOUNDS
from monitoring.console.quantiles import quantiles
from monitoring.console.rings import RESOLUTIONS, Counts
from monitoring.console.series import OTHERS, Frame, Series, Span

_DIGITS: Final = 4  # significant ones of what is drawn


@dataclass(frozen=True, slots=True)
class Range:
    """How far back one looks: at which resolution, how many of its slots; a point for each ``step``
    slots, about the last ``window`` slots before it.
    """

    title: str
    level: int
    slots: int
    step: int
    window: int

    @property
    def seconds(self) -> int:
        return self.slots * RESOLUTIONS[self.level].step

    @property
    def every(self) -> int:
        """Seconds between two points."""
        return self.step * RESOLUTIONS[self.level].step

    def frame(self, second: int, newest: int | None = None) -> Frame:
        """Up to the last point that is complete at this second; only the ``newest`` so many."""
        size = RESOLUTIONS[self.level].step
        last = (second + 1) // self.every * self.step - 1  # the last slot of that point
        points = self.slots // self.step if newest is None else newest
        count = points * self.step + self.window - self.step
        ends = range(self.window, count + 1, self.step)
        stretches = tuple(slice(end - self.window, end) for end in ends)
        return Frame(self.level, last * size, count, stretches)

    def whole(self, second: int) -> Frame:
        """All of it as one stretch."""
        return Frame(self.level, second, self.slots, (slice(0, self.slots),))

    def times(self, frame: Frame) -> list[int]:
        """The Unix times of a frame's points, each the end of what it is about."""
        end = frame.end + RESOLUTIONS[self.level].step
        return [end - self.every * back for back in reversed(range(len(frame.stretches)))]


RANGES: Final = {
    "10m": Range("10 min", 0, 600, 5, 20),
    "1h": Range("1 h", 1, 360, 3, 6),
    "4h": Range("4 h", 1, 1440, 6, 12),
    "24h": Range("24 h", 2, 1440, 5, 5),
}
DEFAULT: Final = "10m"


def traces(
    series: Series, route: str, versions: Sequence[str], shown: Range, newest: int | None = None
) -> dict[str, Any]:
    """As JSON: ``times`` in Unix seconds; of each version ``rate`` (requests/s), ``errors``,
    ``share`` and ``labels`` (percent), ``p50``, ``p95`` and ``p99`` (ms). None where nothing can be
    said: nobody looked, or nobody asked.
    """
    frame = shown.frame(series.end, newest)
    seconds = series.watched(frame)
    spans = {version: series.span((route, version), frame) for version in versions}
    drawn = sum((span.drawn for span in spans.values()), np.zeros(len(seconds), dtype=np.int64))
    return {
        "times": shown.times(frame),
        "versions": {version: _of(span, seconds, drawn) for version, span in spans.items()},
    }


def news(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is to be added to what was drawn before; None if it is to be drawn anew."""
    known = before.get("times", ())
    same = all(before.get(name) == now[name] for name in ("tones", "marks", "seconds"))
    if not same or not known or known[-1] not in now["times"]:
        return None
    if _shape(before["versions"]) != _shape(now["versions"]):
        return None
    kept = now["times"].index(known[-1]) + 1
    return {"times": now["times"][kept:], "versions": _after(now["versions"], kept)}


def _shape(versions: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: list(one["labels"]) for name, one in versions.items()}


def _after(values: Any, kept: int) -> Any:
    """The lists in a tree, each without its beginning."""
    if isinstance(values, dict):
        return {name: _after(one, kept) for name, one in values.items()}
    return values[kept:]


def _of(span: Span, seconds: Counts, drawn: Counts) -> dict[str, Any]:
    given = span.given
    total = given.sum(axis=1)
    labels = (*span.labels, OTHERS)
    shares = {label: _ratio(100 * given[:, n], total) for n, label in enumerate(labels)}
    if not given[:, -1].any():
        del shares[OTHERS]
    return {
        "rate": _ratio(span.answered, seconds),
        "errors": _ratio(100 * span.errors, span.asked),
        "share": _ratio(100 * span.drawn, drawn),
        **{
            name: _listed(1000 * quantiles(span.durations, DURATION_BOUNDS, share))
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "labels": shares,
    }


def _ratio(part: Counts, whole: Counts) -> list[float | None]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _listed(np.where(whole > 0, part / whole, np.nan))


def _listed(numbers: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(one) else float(f"{one:.{_DIGITS}g}") for one in numbers.tolist()]
