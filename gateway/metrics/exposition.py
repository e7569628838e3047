"""Metrics as text, in the form that the asker's Accept field prefers: the classic one of Prometheus
(version 0.0.4), or OpenMetrics (1.0.0), which says units as well.

The field is read as RFC 9110, section 12.5.1, has it. OpenMetrics is for who names it and likes it
no less than the classic form; everybody else, also who wants neither, gets the classic one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

_CLASSIC: Final = "text/plain", "0.0.4"
_OPENMETRICS: Final = "application/openmetrics-text", "1.0.0"
_UNITS: Final = ("seconds", "bytes", "ratio")
_AT_ONCE: Final = 200  # samples, about 1 ms
_HEAD: Final = re.compile(rb"\A(?:#[^\n]*\n)+")  # what is said of a metric before its samples
_END: Final = b"# EOF\n"
_NOWHERE, _BY_TYPE = 0, 2  # how closely a range of the field names a form


class _WithUnits(Collector):
    """The same metrics, each with the unit its name ends with."""

    def __init__(self, metrics: Collector) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        for metric in self._metrics.collect():
            metric.unit = unit_of(metric.name)
            yield metric


class _Only(Collector):
    """One metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        yield self._metric


def unit_of(name: str) -> str:
    """The unit that a metric's name says, the last word before ``_total``; empty if it has none."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in _UNITS else ""


def expose(metrics: Collector, accept: str) -> tuple[str, bytes]:
    """Content type and text of a registry's metrics as of now."""
    content_type, text = pieces(metrics, accept)
    return content_type, b"".join(text)


def pieces(metrics: Collector, accept: str) -> tuple[str, Iterator[bytes]]:
    """The same, the text a little at a time: a whole one of 100 routes takes 0.3 s to write. Who
    takes the first piece fixes the moment.
    """
    if prefers_openmetrics(accept):
        return CONTENT_TYPE_LATEST, _openmetrics(_WithUnits(metrics))
    return CONTENT_TYPE_PLAIN_0_0_4, _classic(metrics)


def _classic(metrics: Collector) -> Iterator[bytes]:
    for metric, begins in _parts(metrics):
        text = generate_latest(_Only(metric))
        yield text if begins else _HEAD.sub(b"", text)


def _openmetrics(metrics: Collector) -> Iterator[bytes]:
    for metric, begins in _parts(metrics):
        text: bytes = generate_openmetrics(_Only(metric))  # type: ignore[no-untyped-call]
        text = text.removesuffix(_END)
        yield text if begins else _HEAD.sub(b"", text)
    yield _END


def _parts(metrics: Collector) -> Iterator[tuple[Metric, bool]]:
    """Each metric, one of many samples in several parts; and whether the part is the first."""
    for metric in metrics.collect():
        samples = metric.samples
        for start in range(0, max(len(samples), 1), _AT_ONCE):
            part = copy(metric)
            part.samples = samples[start : start + _AT_ONCE]
            yield part, start == 0


def prefers_openmetrics(accept: str) -> bool:
    """Whether a field Accept is rather answered in OpenMetrics."""
    closeness, quality = _wish(accept, *_OPENMETRICS)
    return closeness >= _BY_TYPE and 0 < quality >= _wish(accept, *_CLASSIC)[1]


def _wish(accept: str, media_type: str, version: str) -> tuple[int, float]:
    """How closely the closest range names a form, and how much it is wanted, 0 to 1."""
    wishes = [(_NOWHERE, 0.0)]
    for one in accept.lower().split(","):
        name, *rest = (part.strip() for part in one.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        asked = parameters.get("version", "").strip('" ')
        if name == media_type and asked in ("", version):
            wishes.append((_BY_TYPE + bool(asked), _weight(parameters.get("q", "1"))))
        elif name in ("*/*", media_type.partition("/")[0] + "/*"):
            wishes.append((int(name != "*/*"), _weight(parameters.get("q", "1"))))
    return max(wishes)


def _weight(text: str) -> float:
    """A number from 0 to 1; what is none counts as 0."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 <= number <= 1 else 0.0
