"""What a change means: the values of a file in, those that are meant out."""

from __future__ import annotations

from dataclasses import replace

from gateway.config import addresses, quantities
from gateway.config.quantities import percent_text
from gateway.edit.change import (
    AddVersion,
    Change,
    Promote,
    RemoveVersion,
    Restore,
    SetPaused,
    SetWeight,
)
from gateway.errors import EditRefused, UnknownName
from gateway.model import FULL_WEIGHT, Endpoint, Route, RoutingConfig, Version


def routed(config: RoutingConfig, route: str) -> Route:
    """The route that somebody named. Raises :class:`UnknownName` if the file has none."""
    try:
        return config.route(route)
    except KeyError:
        known = tuple(one.name for one in config.routes)
        raise UnknownName("route", route, "routes", known) from None


def named(config: RoutingConfig, route: str, version: str) -> Route:
    """The route of a version that somebody named. Raises :class:`UnknownName` for what the file
    does not have.
    """
    found = routed(config, route)
    known = tuple(one.name for one in found.versions)
    if version not in known:
        raise UnknownName("version", version, f"routes.{route}.versions", known)
    return found


def intended(config: RoutingConfig, change: Change) -> RoutingConfig:
    """What the file must mean afterwards. Raises :class:`UnknownName` and :class:`EditRefused`."""
    if isinstance(change, AddVersion):
        route = routed(config, change.route)
    else:
        route = named(config, change.route, change.version)
    match change:
        case SetWeight(_, version, weight):
            edited = _weighted(route, version, weight)
        case Promote(_, version):
            edited = _promoted(route, version)
        case Restore(_, version, former):
            named(config, change.route, former)
            edited = _restored(route, version, former)
        case SetPaused(_, version, paused):
            edited = _set_paused(route, version, paused)
        case AddVersion():
            edited = _extended(route, change)
        case RemoveVersion(_, version):
            edited = _reduced(route, version)
    routes = tuple(edited if each is route else each for each in config.routes)
    return replace(config, routes=routes)


def _weighted(route: Route, version: str, weight: int) -> Route:
    """The route with a candidate's weight set, if the rules for weights allow it."""
    place = f"routes.{route.name}.versions.{version}.weight"
    if version == route.stable:
        raise EditRefused(
            f"{place}: {version} is the stable version, which carries no weight: it takes what the "
            "candidates leave; set the weight of a candidate, or promote another version"
        )
    if not 0 <= weight <= FULL_WEIGHT:
        raise EditRefused(f"{place}: {percent_text(weight)} is not a percentage from 0 to 100")
    edited = _with_weight(route, version, weight)
    given = [each for each in edited.candidates if each.weight]
    total = sum(each.weight for each in given)
    if total > FULL_WEIGHT:
        shares = " + ".join(f"{each.name} {percent_text(each.weight)}" for each in given)
        raise EditRefused(
            f"{place}: weights would add up to {percent_text(total)} ({shares}); stable takes the "
            "rest, so the sum must be at most 100: lower another candidate first"
        )
    return edited


def _with_weight(route: Route, name: str, weight: int) -> Route:
    versions = (replace(v, weight=weight) if v.name == name else v for v in route.versions)
    return replace(route, versions=tuple(versions))


def _promoted(route: Route, version: str) -> Route:
    edited = _with_paused(_with_weight(route, version, 0), version, False)
    return replace(edited, stable=version)


def _restored(route: Route, version: str, former: str) -> Route:
    """The route before a promotion; as it is, where that was taken back already."""
    if route.stable == former and not route.version(version).weight:
        return route
    if route.stable != version:
        raise EditRefused(
            f"routes.{route.name}.stable: {route.stable} is the stable version, not {version}, so "
            f"there is no promotion of {version} to take back; look again, or make another "
            f"version stable: canary promote {route.name} {former}"
        )
    return _promoted(route, former)


def _set_paused(route: Route, version: str, paused: bool) -> Route:
    """The route with a rollout paused or not, if there is one to pause."""
    place = f"routes.{route.name}.rollout"
    if route.rollout(version) is None:
        raise EditRefused(
            f"{place}: {version} has no rollout that could be paused; add one, or set its weight"
        )
    if paused and version == route.stable:
        raise EditRefused(f"{place}: {version} is the stable version, its rollout is over")
    return _with_paused(route, version, paused)


def _with_paused(route: Route, name: str, paused: bool) -> Route:
    rollouts = (replace(r, paused=paused) if r.candidate == name else r for r in route.rollouts)
    return replace(route, rollouts=tuple(rollouts))


def _extended(route: Route, change: AddVersion) -> Route:
    """The route with another version, or with one that is there already as the candidate of the
    rollout it takes over; as it is, where that was done before.
    """
    place = f"routes.{route.name}.versions"
    try:
        name = quantities.name(change.version)
        endpoints = tuple(addresses.endpoint(url) for url in change.urls)
        readiness = quantities.path(change.readiness) if change.readiness else ""
    except ValueError as error:
        raise EditRefused(f"{place}: {error}") from None
    known = next((one for one in route.versions if one.name == name), None)
    edited = route
    if known is not None:
        _must_be_same(known, endpoints, readiness, place)
    else:
        new = Version(name, endpoints, readiness=readiness)
        edited = replace(route, versions=(*route.versions, new))
    if not change.takes_over or route.rollout(name) is not None:
        return edited
    if route.rollout(change.takes_over) is None:
        raise EditRefused(f"routes.{route.name}.rollout: none is of {change.takes_over}")
    rollouts = tuple(
        replace(one, candidate=name) if one.candidate == change.takes_over else one
        for one in route.rollouts
    )
    return replace(edited, rollouts=rollouts)


def _must_be_same(
    known: Version, endpoints: tuple[Endpoint, ...], readiness: str, place: str
) -> None:
    """A name stands for one model for ever: what was found out about it is kept under it. Raises
    EditRefused.
    """
    there, wanted = ({one.url for one in each} for each in (known.endpoints, endpoints))
    if there != wanted:
        raise EditRefused(
            f"{place}.{known.name}: {known.name} is there already, at {', '.join(sorted(there))}; "
            "a version never becomes another one: give the new one a name of its own"
        )
    if readiness not in ("", known.readiness):
        raise EditRefused(
            f"{place}.{known.name}.readiness: {known.name} is there already, with "
            f"{known.readiness or 'none'}; change it by hand"
        )


def _reduced(route: Route, version: str) -> Route:
    """The route without a version that nobody needs."""
    place = f"routes.{route.name}.versions.{version}"
    if version == route.stable:
        raise EditRefused(f"{place}: {version} is the stable version; promote another one first")
    weight = route.weight(version)
    if weight:
        raise EditRefused(
            f"{place}: {version} gets {percent_text(weight)} % of the requests; take it out first: "
            f"canary rollback {route.name} {version}"
        )
    if route.rollout(version) is not None:
        raise EditRefused(
            f"{place}: `rollout` names {version}; give it another candidate first (canary "
            "add-version does that with the next version), or remove it"
        )
    if route.mirror is not None and route.mirror.to == version:
        raise EditRefused(f"{place}: `mirror` goes to {version}; remove it first")
    versions = tuple(one for one in route.versions if one.name != version)
    return replace(route, versions=versions)
