"""What an operator's word means for a file: the change that is to be made, or why there is none.

Every function takes the file, the name of a route and that of a candidate, which may be left away
where only one can be meant; ``rollback`` may need to know what happened before, too. All raise
:class:`UnknownName` for what the file does not have and :class:`EditRefused` where the word means
nothing as things stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from gateway.config.quantities import percent_text
from gateway.edit import AddVersion, Change, Promote, Restore, SetPaused, SetWeight, routed
from gateway.errors import EditRefused, UnknownName
from gateway.model import Rollout, Route, RoutingConfig, Version
from monitoring.history.chain import Entry
from monitoring.history.promotions import Past, former_stable, last_to_move
from monitoring.rollout.position import Stand, position_of

Verb: TypeAlias = Callable[[RoutingConfig, str, "str | None"], Change]


def start(config: RoutingConfig, route: str, version: str | None = None) -> SetWeight:
    """The first weight: that of the first step."""
    found = routed(config, route)
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
            f"canary set-weight {route} {name} PERCENT{_or_a_rollout(found, candidate)}"
        )
    if rollout.paused:
        raise EditRefused(
            f"the rollout of {name} is paused; let it go on first: canary resume {route} {name}"
        )
    return SetWeight(route, name, rollout.steps[0].weight)


def pause(config: RoutingConfig, route: str, version: str | None = None) -> SetPaused:
    """The candidate stays at the weight it has."""
    found = routed(config, route)
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
    found = routed(config, route)
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


def rollback(
    config: RoutingConfig, route: str, version: str | None = None, past: Past = tuple
) -> SetWeight | Restore:
    """Not one more request. Of the stable version, or without a name where no candidate has a
    weight: its promotion is taken back.
    """
    found = routed(config, route)
    if version == found.stable:
        return Restore(route, version, former_stable(found, past()))
    if version is None and not _weighted(found):
        return _taken_back(found, past())
    name = _only(found, _weighted(found)) if version is None else version
    return SetWeight(route, name, 0)


def promote(config: RoutingConfig, route: str, version: str | None = None) -> Promote:
    """The candidate becomes stable."""
    found = routed(config, route)
    name = _only(found, _weighted(found)) if version is None else version
    return Promote(route, name)


def add_version(
    config: RoutingConfig,
    route: str,
    version: str,
    urls: Sequence[str],
    *,
    readiness: str = "",
    rollout: bool = True,
    rollout_of: str | None = None,
) -> AddVersion:
    """Another version, which gets nothing yet; and, with ``rollout``, the rollout that is free for
    it: that of ``rollout_of``, else the only one there is. A version that is there already gets the
    rollout of ``rollout_of`` only.
    """
    found = routed(config, route)
    takes_over = ""
    if rollout and version not in (one.name for one in found.versions):
        takes_over = _free_rollout(found, version, rollout_of)
    elif rollout_of is not None:
        takes_over = _late_rollout(found, version, rollout_of)
    return AddVersion(route, version, tuple(urls), readiness, takes_over)


# Who is meant.


def _taken_back(route: Route, entries: Sequence[Entry]) -> Restore:
    """Nobody was named: it must be the promotion that was the last thing to happen, or who repeats
    a rollback, because of which the candidate has no weight any more, would go back twice.
    """
    nobody = f"no candidate of {route.name} has a weight that could be taken"
    try:
        former = former_stable(route, entries)
    except EditRefused as error:
        raise EditRefused(f"{nobody}; {error}") from None
    last = last_to_move(route, entries)
    if last is not None and (last.action, last.version) != ("promote", route.stable):
        since = f"{last.action} of {last.version}" if last.version else last.action
        raise EditRefused(
            f"{nobody}, and the promotion of {route.stable} was not the last change, but: {since}; "
            f"if that promotion is meant: canary rollback {route.name} {route.stable}"
        )
    return Restore(route.name, route.stable, former)


def _free_rollout(route: Route, version: str, of: str | None) -> str:
    """The candidate whose rollout a new version takes over; empty if there is none."""
    otherwise = f"or only add {version}: canary add-version {route.name} {version} --no-rollout ..."
    if of is not None:
        one = route.rollout(of)
        if one is None:
            known = ", ".join(each.candidate for each in route.rollouts) or "none"
            raise EditRefused(
                f"routes.{route.name}.rollout: {of} has no rollout; those with one: {known}"
            )
        if why := _busy(route, one):
            raise EditRefused(f"{why}, {otherwise}")
        return of
    free = [one.candidate for one in route.rollouts if not _busy(route, one)]
    if len(free) > 1:
        raise EditRefused(
            f"say whose rollout {version} takes over: --rollout-of {' or '.join(free)}; {otherwise}"
        )
    if route.rollouts and not free:
        raise EditRefused(f"{'; '.join(_busy(route, one) for one in route.rollouts)}, {otherwise}")
    return free[0] if free else ""


def _or_a_rollout(route: Route, candidate: Version) -> str:
    """The rollout that could be a candidate's that has none; empty where none is to be had."""
    free = [one.candidate for one in route.rollouts if one.steps and not _busy(route, one)]
    if not free or route.rollout(candidate.name) is not None:
        return ""
    urls = "".join(f" --url {one.url}" for one in candidate.endpoints)
    return (
        f", or the rollout of {free[0]}: "
        f"canary add-version {route.name} {candidate.name}{urls} --rollout-of {free[0]}"
    )


def _late_rollout(route: Route, version: str, of: str) -> str:
    """The same for a version that was added before; empty if it was done before, too."""
    if version == route.stable:
        raise EditRefused(
            f"{version} is the stable version of {route.name}, it needs no rollout; leave "
            "--rollout-of away"
        )
    if route.rollout(version) is None:
        return _free_rollout(route, version, of)
    if of != version and route.rollout(of) is not None:
        raise EditRefused(
            f"{version} has a rollout of its own, so it cannot take over that of {of}; leave "
            "--rollout-of away"
        )
    return ""


def _busy(route: Route, rollout: Rollout) -> str:
    """Why a rollout cannot go to another candidate now, and what to do; empty if it can."""
    name, over = rollout.candidate, rollout.candidate == route.stable
    if not over and (weight := route.weight(name)):
        return (
            f"the rollout of {name} is under way at {percent_text(weight)} %: "
            f"canary rollback {route.name} {name} or canary promote {route.name} {name} first"
        )
    if rollout.paused:
        ahead = "take `paused` away" if over else f"canary resume {route.name} {name}"
        return f"the rollout of {name} is paused: {ahead} first"
    return ""


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
    raise EditRefused(_choices(route))


def _choices(route: Route) -> str:
    if not route.candidates:
        return (
            f"{route.name} has no version but the stable one: "
            f"canary add-version {route.name} VERSION --url URL"
        )
    weighted, rolled, every = (
        ", ".join(names) or "none"
        for names in (_weighted(route), _with_rollout(route), _all(route))
    )
    return (
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
