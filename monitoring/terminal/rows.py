"""From a look to what is shown of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.model import Route
from monitoring.history.chain import Entry
from monitoring.judgement.acting import span
from monitoring.readings.endpoints import idle
from monitoring.readings.live import Traffic, is_beyond, quantile
from monitoring.terminal.candidates import LABELS, candidate_row, unix
from monitoring.terminal.sight import Gateway, Sight
from monitoring.terminal.view import (
    ChangeRow,
    Percentile,
    RouteRow,
    VersionRow,
    View,
)

CHANGES: Final = 5
LATE: Final = 10.0  # seconds without a look after which a controller may hang

Json = Mapping[str, Any]


def view_of(sight: Sight, only: Collection[str] = ()) -> View:
    """``only`` are the routes to show; empty: all, those with a candidate under way first."""
    answering = [one for one in sight.gateways if not one.why]
    told = [one.status for one in answering or sight.gateways if one.status is not None]
    silent = tuple(f"{one.address}: {one.why}" for one in sight.gateways if one.why)
    stale = None if answering else sight.heard or 0.0
    common = _common(sight, silent, stale)
    if not told:
        return common
    names = [name for name in told[0]["routes"] if not only or name in only]
    routes = sorted(
        (_route(sight, name, told) for name in names), key=lambda one: not one.is_moving
    )
    traffic = [sight.traffic.get((one.name, each.name)) for one in routes for each in one.versions]
    known = [one for one in traffic if one is not None]
    asked, failed = sum(one.asked for one in known), sum(one.failed for one in known)
    since = [process["since"] for one in told for process in one.get("processes", ())]
    files = [one["file"] for one in told]
    return View(
        at=sight.at,
        file=str(files[0]["name"]),
        generation=_generations(answering or sight.gateways),
        since=max(one["since"] for one in told),
        up=min(since, default=None),
        gateways=len(sight.gateways),
        silent=silent,
        stale=stale,
        processes=sum(len(one.get("processes", ())) for one in told),
        restarts=sum(one.get("restarts", 0) for one in told),
        draining=any(one.get("draining") for one in told),
        refused=not all(one["in_force"] for one in files),
        problems=_each(line for one in files if not one["in_force"] for line in one["problems"]),
        warnings=_each(line for one in files for line in one["warnings"]),
        controller=common.controller,
        is_led=common.is_led,
        disagreement=common.disagreement,
        seconds=sight.seconds,
        lately=sight.lately,
        rate=_answered(
            sight.traffic_lately((one.name, each.name)) for one in routes for each in one.versions
        ),
        errors=100 * min(failed / asked, 1.0) if asked else None,
        moving=sum(one.is_moving for one in routes),
        routes=tuple(routes),
        changes=common.changes,
    )


def _common(sight: Sight, silent: tuple[str, ...], stale: float | None) -> View:
    """What is known without any gateway."""
    return View(
        at=sight.at,
        gateways=len(sight.gateways),
        silent=silent,
        stale=stale,
        controller=_controller(sight),
        is_led=sight.looked is not None or not _needs_controller(sight),
        disagreement=sight.disagreement,
        changes=tuple(_change(sight.at, one) for one in reversed(sight.changes[-CHANGES:])),
    )


def _generations(gateways: Sequence[Gateway]) -> str:
    """What is served; of several files each, and by whom."""
    served = {one.address: str(one.status["generation"]) for one in gateways if one.status}
    if len(set(served.values())) == 1:
        return next(iter(served.values()))
    return ", ".join(f"{generation} at {address}" for address, generation in served.items())


def _needs_controller(sight: Sight) -> bool:
    routes = sight.config.routes if sight.config else ()
    return any(one.analysis or one.rollouts for one in routes)


def _controller(sight: Sight) -> str:
    if sight.looked is not None:
        age = max(0.0, sight.at - sight.looked)
        late = "; it may hang" if age > LATE else ""
        return f"controller looked {span(age)} ago{late}"
    return "no controller: nobody watches" if _needs_controller(sight) else ""


def _route(sight: Sight, name: str, told: Sequence[Json]) -> RouteRow:
    rows = [one["routes"][name] for one in told if name in one["routes"]]
    stable = str(rows[0]["stable"])
    drawn = sum(each["assigned"] for one in rows for each in one["versions"].values())
    versions = tuple(
        _version(sight, (name, version), _together(rows, version), drawn)
        for version in rows[0]["versions"]
    )
    route = _named(sight, name)
    candidates = tuple(
        candidate_row(sight, route, one)
        for one in versions
        if route is not None and one.weight and one.name != stable and _is_judged(route, one.name)
    )
    outcomes = [line for (of, _), line in sight.outcomes.items() if of == name]
    endpoints = _each(line for one in rows for line in idle(name, one["versions"]))
    rate = _answered(sight.traffic_lately((name, one.name)) for one in versions)
    return RouteRow(name, stable, rate, versions, candidates, tuple(outcomes), endpoints)


def _named(sight: Sight, name: str) -> Route | None:
    routes = sight.config.routes if sight.config else ()
    return next((one for one in routes if one.name == name), None)


def _is_judged(route: Route, version: str) -> bool:
    known = any(one.name == version for one in route.versions)
    return known and bool(route.analysis or route.rollout(version))


def _together(rows: Sequence[Json], version: str) -> dict[str, Any]:
    """What all gateways say of a version."""
    several = [one["versions"][version] for one in rows if version in one["versions"]]
    sums = {name: sum(one[name] for one in several) for name in ("assigned", "in_flight")}
    return {**several[0], **sums}


def _version(sight: Sight, key: tuple[str, str], row: Json, drawn: int) -> VersionRow:
    traffic = sight.traffic.get(key) or Traffic()
    errors, mix = traffic.error_share, traffic.mix
    return VersionRow(
        name=key[1],
        role=str(row["role"]),
        weight=float(row["weight"]),
        observed=100 * row["assigned"] / drawn if drawn else None,
        rate=sight.traffic_lately(key).rate,
        errors=None if errors is None else 100 * errors,
        p50=_percentile(0.5, traffic),
        p95=_percentile(0.95, traffic),
        in_flight=row["in_flight"],
        trend=tuple(
            quantile(0.95, one[key].buckets) if key in one else None for one in sight.slices
        ),
        mix=tuple((label, 100 * share) for label, share in list(mix.items())[:LABELS]),
        labels=len(mix),
    )


def _answered(several: Iterable[Traffic]) -> float | None:
    """Answers a second, of several versions together: each request has one."""
    known = [one for one in several if one.seconds]
    return sum(one.answered / one.seconds for one in known) if known else None


def _percentile(q: float, traffic: Traffic) -> Percentile | None:
    buckets = traffic.buckets
    seconds = quantile(q, buckets)
    return None if seconds is None else Percentile(seconds, is_beyond(q, buckets))


def _change(now: float, entry: Entry) -> ChangeRow:
    moved = [
        f"{version} {entry.before.get(version, 0):g} -> {share:g} %"
        for version, share in entry.after.items()
        if entry.before.get(version) != share
    ]
    parts = [entry.action, entry.route, ", ".join(moved) or entry.version]
    what = " ".join(part for part in parts if part)
    if entry.became:
        what += f" [{entry.became}]"
    return ChangeRow(
        age=max(0.0, now - unix(entry.at)),
        by=entry.by,
        what=what,
        reason=entry.reason,
        at=entry.at,
        action=entry.action,
        route=entry.route,
        shares=tuple(entry.after.items()),
    )


def _each(lines: Iterable[str]) -> tuple[str, ...]:
    """Without those that were there before."""
    return tuple(dict.fromkeys(lines))
