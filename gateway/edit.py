"""Changes to the text of ``routing.yaml``: bytes and a change in, bytes out, no I/O.

Only the characters of the scalars concerned are replaced, at the places the YAML composer marked,
so comments, quotes, layout and line ends are the operator's own afterwards. The rest of the module
is distrust: the result is parsed again and must equal the parsed original with exactly the
intended change, or no bytes are handed out at all.

Everything happens on decoded text, where the composer's indexes hold. Strict UTF-8 decodes and
encodes back to the same bytes, so what is not spliced does not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import TypeAlias

from gateway.config import parse
from gateway.config.quantities import percent_text
from gateway.errors import ConfigError, EditRefused, UnknownName
from gateway.model import FULL_WEIGHT, Route, RoutingConfig
from gateway.splice import (
    Node,
    Splice,
    added,
    child,
    compose,
    has,
    items,
    key_of,
    removed,
    rewritten,
    spliced,
)


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a candidate this share, in basis points. A rollback is this with 0."""

    route: str
    version: str
    weight_bp: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the version stable. It loses its own weight, and its rollout is paused no more; the
    former stable is left with 0.
    """

    route: str
    version: str


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Keep the candidate's rollout where it is, or let it go on."""

    route: str
    version: str
    paused: bool


Change: TypeAlias = SetWeight | Promote | SetPaused


def apply(content: bytes, change: Change) -> bytes:
    """The file with the change made; the same bytes if it says so already.

    Raises :class:`ConfigError` if the file as it is would be refused, :class:`UnknownName` and
    :class:`EditRefused` if the change cannot be made to it.
    """
    before = parse(content)
    intended = _intended(before, change)
    if intended == before:
        return content
    text, route = content.decode(), before.route(change.route)
    for tidy in (True, False):
        after = spliced(text, _splices(text, change, route, tidy=tidy)).encode()
        objection = _objection(after, intended, change)
        if objection is None:
            return after
    raise EditRefused(objection)


def diff(before: bytes, after: bytes, filename: str) -> str:
    """The change as a unified diff; empty if there is none."""
    lines = unified_diff(_lines(before), _lines(after), filename, filename)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


# What is meant: values to values.


def named(config: RoutingConfig, route: str, version: str) -> Route:
    """The route of a version that somebody named. Raises :class:`UnknownName` for what the file
    does not have.
    """
    try:
        found = config.route(route)
    except KeyError:
        known = tuple(one.name for one in config.routes)
        raise UnknownName("route", route, "routes", known) from None
    known = tuple(one.name for one in found.versions)
    if version not in known:
        raise UnknownName("version", version, f"routes.{route}.versions", known)
    return found


def _intended(config: RoutingConfig, change: Change) -> RoutingConfig:
    """What the file must mean afterwards."""
    route = named(config, change.route, change.version)
    match change:
        case SetWeight(_, version, weight):
            edited = _weighted(route, version, weight)
        case Promote(_, version):
            edited = _with_paused(_with_weight(route, version, 0), version, False)
            edited = replace(edited, stable=version)
        case SetPaused(_, version, paused):
            edited = _set_paused(route, version, paused)
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


def _is_paused(route: Route, name: str) -> bool:
    rollout = route.rollout(name)
    return rollout is not None and rollout.paused


def _objection(after: bytes, intended: RoutingConfig, change: Change) -> str | None:
    """Why the edited text will not do; None if it means what was intended and nothing else."""
    try:
        found = parse(after)
    except ConfigError as error:
        if isinstance(change, SetPaused):
            return _by_hand(change)  # no other key contradicts a pause: it is the layout
        problems = "; ".join(f"{each.path}: {each.message}" for each in error.problems)
        return f"{_place(change)}: the edited file would be refused: {problems}"
    as_intended = replace(found, generation=intended.generation) == intended
    return None if as_intended else _by_hand(change)


def _place(change: Change) -> str:
    paused = isinstance(change, SetPaused)
    return f"routes.{change.route}." + ("rollout" if paused else f"versions.{change.version}")


def _by_hand(change: Change) -> str:
    match change:
        case SetWeight(_, _, weight):
            wanted = f"`weight: {percent_text(weight)}`"
        case Promote(_, version):
            wanted = f"`stable: {version}`, and no weight for it,"
        case SetPaused(_, _, paused):
            wanted = f"`paused: {str(paused).lower()}` in the rollout of {change.version}"
    return (
        f"{_place(change)}: the file is laid out in a way that cannot be edited by machine without "
        f"touching more than it should; write {wanted} by hand"
    )


# Where it stands: text to splices.


def _splices(text: str, change: Change, before: Route, *, tidy: bool) -> Iterator[Splice]:
    """The places of the text to replace. ``tidy``: a key that says nothing any more is taken
    away.
    """
    route = child(compose(text), "routes", change.route)
    version = child(route, "versions", change.version)
    match change:
        case SetWeight(_, _, weight) if not has(version, "weight"):
            yield added(text, version, "weight", percent_text(weight))
        case SetWeight(_, _, weight):
            node = child(version, "weight")
            unit = "%" if node.value.endswith("%") else ""
            yield rewritten(text, node, percent_text(weight) + unit, plain=True)
        case Promote(_, name):
            plain = not key_of(child(route, "versions"), name).style
            yield rewritten(text, child(route, "stable"), name, plain=plain)
            if has(version, "weight"):
                yield from removed(text, version, "weight")
            if _is_paused(before, name):
                yield from _paused(text, route, name, False, tidy=tidy)
        case SetPaused(_, name, paused):
            yield from _paused(text, route, name, paused, tidy=tidy)


def _paused(
    text: str, route: Node, candidate: str, paused: bool, *, tidy: bool
) -> Iterator[Splice]:
    rollouts = items(child(route, "rollout"))
    rollout = next(one for one in rollouts if child(one, "candidate").value == candidate)
    if not has(rollout, "paused"):
        yield added(text, rollout, "paused", "true")
    elif tidy and not paused:
        yield from removed(text, rollout, "paused")
    else:
        yield rewritten(text, child(rollout, "paused"), str(paused).lower(), plain=True)


def _lines(content: bytes) -> list[str]:
    """Lines with their ends. Only a newline ends one: a carriage return is shown, not obeyed."""
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode(errors="replace"))
