"""The versions of a route as a page shows them: what the file gives them, and how they fare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.config.quantities import percent_text
from gateway.counting.grid import DURATION_BOUNDS
from gateway.model import FULL_WEIGHT, Role, Route
from monitoring.console import figures
from monitoring.console.drawing import Piece, pieces, shares, sparks
from monitoring.console.exposition import Totals
from monitoring.console.quantiles import quantiles
from monitoring.console.series import OTHERS, Series, Span
from monitoring.console.traces import DEFAULT, RANGES, traces

# What a version is drawn in. Two candidates of a route are never drawn alike, four may be.
_TONES: Final = ("candidate", "second", "third")
STABLE: Final = "stable"


@dataclass(frozen=True, slots=True)
class Portion:
    """What part of a version's predictions is ``label``."""

    label: str
    share: str
    piece: Piece


@dataclass(frozen=True, slots=True)
class VersionView:
    """``weight`` and ``observed`` are shares in words; ``requests`` and ``bad`` are totals, as in
    ``/metrics``; everything else is about the last minute. ``quiet``: it gets no traffic.
    """

    name: str
    role: str
    tone: str
    weight: str
    configured: Piece
    observed: str
    seen: Piece
    requests: str
    bad: str
    reasons: str
    rate: str
    errors: str
    p50: str
    p95: str
    p99: str
    in_flight: str
    mix: tuple[Portion, ...]
    spark: str
    quiet: bool


def tones(route: Route) -> dict[str, str]:
    """What each version is drawn in, by name."""
    named = {one.name: _TONES[n % len(_TONES)] for n, one in enumerate(route.candidates)}
    return {route.stable: STABLE} | named


def version_views(route: Route, series: Series) -> list[VersionView]:
    """Stable first, then the candidates in the order of the file."""
    names = [route.stable, *(one.name for one in route.candidates)]
    spans = {name: series.now((route.name, name)) for name in names}
    drawn = sum(int(span.drawn[0]) for span in spans.values())
    seen = [int(spans[name].drawn[0]) / drawn if drawn else 0.0 for name in names]
    configured = [route.weight(name) / FULL_WEIGHT for name in names]
    p95 = traces(series, route.name, names, RANGES[DEFAULT])["versions"]
    drawings = sparks([p95[name]["p95"] for name in names])
    colours = tones(route)
    views = []
    for number, name in enumerate(names):
        totals = series.newest.versions.get((route.name, name), Totals())
        span = spans[name]
        views.append(
            VersionView(
                name=name,
                role=Role.STABLE if name == route.stable else Role.CANDIDATE,
                tone=colours[name],
                weight=f"{percent_text(route.weight(name))} %",
                configured=pieces(configured)[number],
                observed=figures.percent(seen[number] if drawn else None),
                seen=pieces(seen)[number],
                requests=figures.count(totals.answered),
                bad=figures.count(totals.errors),
                reasons=", ".join(f"{why} {n:,}" for why, n in sorted(totals.reasons.items())),
                rate=figures.rate(_over(int(span.answered[0]), series.watched_now)),
                errors=figures.percent(_over(int(span.errors[0]), int(span.asked[0]))),
                **_latency(span),
                in_flight=figures.count(totals.in_flight),
                mix=mix(span),
                spark=drawings[number],
                quiet=not route.weight(name) and not span.asked.any(),
            )
        )
    return views


def mix(span: Span) -> tuple[Portion, ...]:
    """Which answers were given, and how often; of one stretch."""
    labels = (*span.labels, OTHERS)
    counts = [int(one) for one in span.given[0]]
    if not sum(counts):
        return ()
    parts = shares(counts)
    rows = zip(labels, parts, pieces(parts), strict=True)
    return tuple(
        Portion(label, figures.percent(share, 1), piece)
        for label, share, piece in rows
        if share or label != OTHERS
    )


def _latency(span: Span) -> dict[str, str]:
    return {
        name: figures.milliseconds(float(quantiles(span.durations, DURATION_BOUNDS, share)[0]))
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _over(part: int, whole: int) -> float | None:
    return part / whole if whole else None
