"""What an operator's word means for a file: the change that is to be made, or why there is none.

Every function takes the file, the name of a route and that of a candidate, which may be left away
where only one can be meant. All raise :class:`UnknownName` for what the file does not have and
:class:`EditRefused` where the word means nothing as things stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gateway.config.quantities import percent_text
from gateway.edit import Change, Promote, SetPaused, SetWeight
from gateway.errors import EditRefused, UnknownName
from gateway.model import Rollout, Route, RoutingConfig, Version
from monitoring.rollout.position import Stand, position_of

Verb: TypeAlias = Callable[[RoutingConfig, str, "str | None"], Change]


def start(config: RoutingConfig, route: str, version: str | None = None) -> SetWeight:
    """The first weight: that of the first step."""
    found = _route(config, route)
    candidate, rollout = _meant(found, version, _with_rollout(found), _all(found))
    name = candidate.name
    if candidate.weight:
        raise EditRefused(
            f"{name} has {percent_text(candidate.weight)} % already; "
            "use resume, set-weight or rollback"
        )
    if rollout is None or not rollout.steps:
        raise EditRefused(
            f"{name} has no rollout with steps; give it a weight: "
            f"canary set-weight {route} {name} PERCENT"
        )
    if rollout.paused:
        raise EditRefused(
            f"the rollout of {name} is paused; let it go on first: canary resume {route} {name}"
        )
    return SetWeight(route, name, rollout.steps[0].weight)


def pause(config: RoutingConfig, route: str, version: str | None = None) -> SetPaused:
    """The candidate stays at the weight it has."""
    found = _route(config, route)
    candidate, rollout = _meant(
        found, version, _under_way(found), _with_rollout(found), _all(found)
    )
    name = candidate.name
    if rollout is None:
        raise EditRefused(
            f"{name} has no rollout that could be paused: only people change its weight"
        )
    if not candidate.weight:
        raise EditRefused(
            f"{name} has no weight, so there is nothing to pause: it gets one by a person only"
        )
    return SetPaused(route, name, True)


def resume(config: RoutingConfig, route: str, version: str | None = None) -> SetPaused | SetWeight:
    """What is paused goes on; else the step that waits for a person is approved of."""
    found = _route(config, route)
    candidate, rollout = _meant(
        found, version, _under_way(found), _with_rollout(found), _all(found)
    )
    name = candidate.name
    if rollout is not None and rollout.paused:
        return SetPaused(route, name, False)
    if rollout is None or not rollout.steps:
        raise EditRefused(f"nothing is paused: {name} has no rollout with steps")
    if not candidate.weight:
        raise EditRefused(
            f"nothing is paused: {name} has no weight yet; canary start {route} {name}"
        )
    spot = position_of(found, name, watched=0.0)
    if spot.stand is not Stand.WAITING:
        taken = f"{spot.step} of {spot.steps} steps"
        raise EditRefused(f"nothing is paused: {name} has taken {taken} and waits for no person")
    if spot.step == spot.steps or spot.following is None:
        raise EditRefused(
            f"this was the last step of {name}; "
            f"canary promote {route} {name} or canary rollback {route} {name}"
        )
    return SetWeight(route, name, spot.following)


def rollback(config: RoutingConfig, route: str, version: str | None = None) -> SetWeight:
    """Not one more request."""
    found = _route(config, route)
    name = _only(found, _weighted(found)) if version is None else version
    return SetWeight(route, name, 0)


def promote(config: RoutingConfig, route: str, version: str | None = None) -> Promote:
    """The candidate becomes stable."""
    found = _route(config, route)
    name = _only(found, _weighted(found)) if version is None else version
    return Promote(route, name)


# Who is meant.


def _route(config: RoutingConfig, name: str) -> Route:
    try:
        return config.route(name)
    except KeyError:
        known = tuple(route.name for route in config.routes)
        raise UnknownName("route", name, "routes", known) from None


def _meant(route: Route, name: str | None, *groups: list[str]) -> tuple[Version, Rollout | None]:
    """The candidate of that name, else the only one of the first group that has just one."""
    name = _only(route, *groups) if name is None else name
    if name == route.stable:
        raise EditRefused(f"{name} is the stable version of {route.name}; name a candidate")
    try:
        return route.version(name), route.rollout(name)
    except KeyError:
        known = tuple(_all(route))
        raise UnknownName("version", name, f"routes.{route.name}.versions", known) from None


def _only(route: Route, *groups: list[str]) -> str:
    for group in groups:
        if len(group) == 1:
            return group[0]
    weighted, rolled, every = (
        ", ".join(names) or "none"
        for names in (_weighted(route), _with_rollout(route), _all(route))
    )
    raise EditRefused(
        f"name the version: candidates of {route.name} with a weight: {weighted}; "
        f"with a rollout: {rolled}; all: {every}"
    )


def _all(route: Route) -> list[str]:
    return [version.name for version in route.candidates]


def _weighted(route: Route) -> list[str]:
    return [version.name for version in route.candidates if version.weight]


def _with_rollout(route: Route) -> list[str]:
    return [name for name in _all(route) if route.rollout(name)]


def _under_way(route: Route) -> list[str]:
    """Those whose rollout has begun, or would have, were it not paused."""
    rolled = ((name, route.rollout(name)) for name in _all(route))
    return [name for name, one in rolled if one and (one.paused or route.weight(name))]
