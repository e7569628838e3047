"""Whole pages as values: what the templates are filled with. No clock, no file, no socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from gateway.counting.grid import SCORE_BOUNDS
from gateway.model import Route
from monitoring.console import figures
from monitoring.console.drawing import shares
from monitoring.console.papers import Papers
from monitoring.console.rollouts import CandidateView, candidate_views
from monitoring.console.series import Series
from monitoring.console.traces import Range, traces
from monitoring.console.versions import VersionView, tones, version_views
from monitoring.history.chain import Entry

FRESH: Final = 15.0  # seconds for which numbers are called live
NOT_LED: Final = "no controller watches this file: nothing is judged, nothing is taken out"
MOST_CHANGES: Final = 6  # on the page of a route; the history has all
MOST_MARKS: Final = 100  # on a plot


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen at a moment. ``silent`` says why gateways said nothing at the last look;
    ``last`` and ``now`` are Unix times: of the newest look that was answered, and the present.
    """

    papers: Papers
    series: Series
    silent: tuple[str, ...]
    last: float
    now: float


@dataclass(frozen=True, slots=True)
class Health:
    """What a person has to know before trusting a number. ``stale``: nobody has answered lately.
    ``problems`` counts those of the file as it stands. ``unwatched`` says that nobody acts on it.
    """

    stale: bool
    since: str
    silent: tuple[str, ...]
    problems: int
    refused: bool
    unwatched: str
    generation: str


@dataclass(frozen=True, slots=True)
class RouteView:
    """One route. ``where`` says which requests it takes."""

    name: str
    where: str
    versions: tuple[VersionView, ...]
    candidates: tuple[CandidateView, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores up to ``upper``; a share of each version's, 0 to 1, in the order of the versions.
    ``named``: there is room to say where it ends.
    """

    upper: str
    parts: tuple[float, ...]
    named: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """How scores are distributed: of stable first. ``highest`` is the largest share of any bin."""

    versions: tuple[VersionView, ...]
    bins: tuple[Bin, ...]
    highest: float


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change of the file, in words."""

    at: str
    when: str
    by: str
    action: str
    shares: str
    reason: str


def health(sight: Sight) -> Health:
    """Of the whole system, as far as it can be seen from here."""
    since = datetime.fromtimestamp(sight.last, UTC).isoformat().replace("+00:00", "Z")
    return Health(
        stale=not sight.last or sight.now - sight.last > FRESH,
        since=since if sight.last else "",
        silent=sight.silent,
        problems=len(sight.papers.problems),
        refused=sight.series.newest.refused,
        unwatched="" if sight.papers.led or not _asks_for_one(sight.papers) else NOT_LED,
        generation=sight.papers.config.generation if sight.papers.config else "",
    )


def _asks_for_one(papers: Papers) -> bool:
    routes = papers.config.routes if papers.config else ()
    return any(route.analysis or route.rollouts for route in routes)


def overview(sight: Sight) -> list[RouteView]:
    """All routes, in the order of the file."""
    config = sight.papers.config
    return [route_view(one, sight) for one in config.routes] if config else []


def route_view(route: Route, sight: Sight) -> RouteView:
    """One of them."""
    return RouteView(
        route.name,
        _where(route),
        tuple(version_views(route, sight.series)),
        tuple(candidate_views(route, sight.papers)),
    )


def scores(route: str, views: Sequence[VersionView], series: Series, shown: Range) -> Scores | None:
    """Over the whole of a range; None if none were read."""
    frame = shown.whole(series.end)
    found: Mapping[str, list[int]] = {
        one.name: series.span((route, one.name), frame).scores[0].tolist() for one in views
    }
    told = tuple(one for one in views if any(found[one.name]))
    if not told:
        return None
    columns = [shares(found[one.name]) for one in told]
    uppers = [f"{one:g}" for one in SCORE_BOUNDS]
    if any(column[-1] for column in columns):
        uppers.append("more")
    last = len(uppers) - 1
    bins = tuple(
        Bin(upper, tuple(column[place] for column in columns), place % 5 == 4 and place != last - 1)
        for place, upper in enumerate(uppers)
    )
    return Scores(told, bins, max(max(one) for one in columns))


def plots(sight: Sight, name: str, shown: Range) -> dict[str, Any]:
    """What the plots of a route show, as JSON."""
    config = sight.papers.config
    routes = config.routes if config else ()
    route = next((one for one in routes if one.name == name), None)
    if route is None:
        return {}
    spans = {
        one: sight.series.span((name, one), shown.whole(sight.series.end)) for one in tones(route)
    }
    busy = [one for one in spans if route.weight(one) or spans[one].asked.any()]
    found = traces(sight.series, name, busy, shown)
    colours = tones(route)
    return {
        **found,
        "tones": {one: colours[one] for one in busy},
        "seconds": shown.seconds,
        "marks": _marks(sight.papers, name, found["times"][0]),
    }


def changes(papers: Papers, route: str) -> list[ChangeView]:
    """The newest few of a route, the newest first."""
    return [_change(one) for one in islice(papers.recent(route), MOST_CHANGES)]


def _marks(papers: Papers, route: str, since: float) -> list[tuple[int, str]]:
    """When weights of a route were changed, in Unix seconds, and from what to what."""
    found = []
    for entry in islice(papers.recent(route), MOST_MARKS):
        at = datetime.fromisoformat(entry.at).timestamp()
        if at < since:
            break
        if text := _shares(entry):
            found.append((int(at), text))
    return found[::-1]


def _where(route: Route) -> str:
    match = route.match
    parts = [match.path if match.path != "/" else "every path"]
    parts += [f"host {match.host}"] if match.host else []
    parts += [f"{name}: {value}" for name, value in match.headers]
    return ", ".join(parts)


def _change(entry: Entry) -> ChangeView:
    when = figures.moment(entry.at)
    return ChangeView(entry.at, when, entry.by, entry.action, _shares(entry), entry.reason)


def _shares(entry: Entry) -> str:
    """As ``canary history`` tells them; of stable only what is left to tell without it."""
    changed = {
        name: f"{name} {entry.before.get(name, 0):g} \u2192 {share:g} %"
        for name, share in entry.after.items()
        if entry.before.get(name) != share
    }
    if entry.version in changed:
        return changed[entry.version]
    return ", ".join(changed.values())
