"""What the admin port tells as JSON: the state now, and the counts a verdict may use. Values
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from itertools import pairwise
from math import inf
from typing import Any, Final

from gateway.counting.archive import Epoch, Marked
from gateway.counting.counts import CLIENT_GONE
from gateway.counting.grid import DRAWN_SCORE_BOUNDS, LATENCY_BOUNDS
from gateway.counting.report import Report, key_of
from gateway.counting.totals import Key, VersionTotals
from gateway.model import FULL_WEIGHT, Assignment, Prediction, Role, Version
from gateway.routing.split import SLOTS

Json = dict[str, Any]

_DIGITS: Final = 12  # hexadecimal, of the hash of an address


def status_json(report: Report) -> Json:
    """Per route and version: configured and observed share, what is in flight, the endpoints.

    Shares are percent; ``observed`` is None until the present generation has drawn a request.
    """
    state = report.state
    return {
        "generation": report.epoch.generation,
        "since": report.since,
        "draining": state.draining,
        "processes": [asdict(process) for process in state.processes],
        "restarts": state.restarts,
        "file": {
            "name": state.filename,
            "in_force": state.reloads.successful,
            "problems": [problem.render(state.filename) for problem in state.reloads.problems],
            "warnings": [warning.render(state.filename) for warning in state.reloads.warnings],
        },
        "routes": _routes(report),
    }


def _routes(report: Report) -> Json:
    routes: Json = {}
    places = report.epoch.table.places
    for place in places:
        name = place.route.name
        route = routes.setdefault(name, {"stable": place.route.stable, "versions": {}})
        now = report.now(place)
        drawn = sum(report.now(other).split for other in places if other.route.name == name)
        altogether = report.versions.get(key_of(place)) or VersionTotals()
        endpoints = place.route.version(place.version).endpoints
        route["versions"][place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version) * 100 / FULL_WEIGHT,
            "observed": now.split * 100 / drawn if drawn else None,
            "assigned": now.split,
            "bad": sum(now.split_reasons.values()),
            "reasons": now.split_reasons,
            "answered": sum(altogether.answered.values()),
            "in_flight": report.all_in_flight(place),
            "endpoints": [
                {
                    "url": endpoint.url,
                    "in_flight": report.in_flight(place, endpoint),
                    "ejected": report.ejected(place, endpoint) > 0,
                    "ready": report.ready(place, endpoint),
                }
                for endpoint in endpoints
            ],
        }
    return routes


def evidence_json(report: Report) -> Json:
    """Counts per generation (the newest last), route and version: what a verdict may use. A row
    of counts belongs to the bounds beside it, and has no zeros at its end. A generation in which
    users began to count again is told of once more, with their routes only.
    """
    # Generations may have a split in common, and to count is to look through 1 MiB.
    marked = {one for epoch, _ in report.history for one in epoch.marked.values()}
    seen = {one: one.seen for one in marked}
    return {
        "generation": report.epoch.generation,
        "latency_bounds": LATENCY_BOUNDS,
        "score_bounds": DRAWN_SCORE_BOUNDS,
        "generations": [_generation(report, *one, seen) for one in report.history],
    }


def _generation(
    report: Report, epoch: Epoch, versions: Mapping[Key, VersionTotals], seen: Mapping[Marked, int]
) -> Json:
    routes: Json = {}
    for place in epoch.table.places:
        name = place.route.name
        if epoch.spans[name] != epoch.serial:
            continue
        counted = versions.get(key_of(place)) or VersionTotals()
        present = report.epoch.spans.get(name) == epoch.serial
        stable = versions.get((name, place.route.stable, Role.STABLE)) or VersionTotals()
        asked, saved = _asked(place.version, counted, stable)
        routes.setdefault(name, {})[place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version),
            "buckets": epoch.runs[name].buckets.get(place.version, 0),
            "addresses": _addresses(place.route.version(place.version)),
            "assigned": counted.assigned,
            "bad": counted.bad,
            "gone": counted.gone,
            "asked": asked,
            "saved": saved,
            # Of all kinds: who compares what was assigned has to know what is not told of yet.
            "in_flight": report.all_in_flight(place) if present else 0,
            "reasons": counted.reasons,
            "latency": _trimmed(counted.latency),
            "labels": _counted(counted.drawn_labels),
            "scores": _trimmed(counted.drawn_scores),
            "values": _between(place.route.prediction, counted),
            "missing": _counted(counted.drawn_missing),
        }
    splits: Json = {}
    for name in routes:
        run, one = epoch.runs[name], epoch.marked.get(name)
        sticky = None if one is None else {"seen": seen[one], "slots": SLOTS}
        since = {"repeat": run.repeat, "since": run.since}
        splits[name] = {"run": run.number, "sticky": sticky, **since}
    return {
        "generation": epoch.generation,
        "since": epoch.since,
        "round": epoch.is_round,
        "routes": routes,
        "splits": splits,
    }


def _asked(version: str, counted: VersionTotals, stable: VersionTotals) -> tuple[int, int]:
    """Of the requests that the split brought to a version: those that are over, whoever answered
    and whether the client stayed; and those it failed and stable then answered with less than 500.
    """
    ways = (Assignment.WEIGHTED, Assignment.STICKY)
    own = sum(number for (way, _), number in counted.answered.items() if way in ways)
    instead = {code: number for (one, code), number in stable.stood_in.items() if one == version}
    saved = sum(n for code, n in instead.items() if code < 500 and code != CLIENT_GONE)
    return own + sum(instead.values()), saved


def _addresses(version: Version) -> list[str]:
    """Enough to see whether there is a new one: where models are is not for everybody who compares
    them to know.
    """
    urls = (endpoint.url.encode(errors="surrogatepass") for endpoint in version.endpoints)
    return sorted(sha256(url).hexdigest()[:_DIGITS] for url in urls)


def _between(prediction: Prediction | None, counted: VersionTotals) -> dict[str, int]:
    """How many values lie between which bounds, the upper one included: ``{"10.0:20.0": 3}``. Each
    count says so itself, as bounds are the file's: another generation may have others.
    """
    bounds = prediction.bounds if prediction and prediction.value is not None else ()
    if not bounds:
        return {}
    numbers = counted.drawn_values(bounds)
    pairs = zip(pairwise((-inf, *bounds, inf)), numbers, strict=True)
    return {f"{low!r}:{high!r}": number for (low, high), number in pairs if number}


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


def _trimmed(row: list[int]) -> list[int]:
    size = len(row)
    while size and not row[size - 1]:
        size -= 1
    return row[:size]
