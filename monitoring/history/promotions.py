"""Which version was stable before the present one, by the changes that a history tells of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from gateway.errors import EditRefused
from gateway.model import Route
from monitoring.history.chain import BY_HAND, Entry, Status

Past: TypeAlias = Callable[[], Sequence[Entry]]
"""The changes of a file, the oldest first; asked only where they are needed. May raise OSError."""


def last_to_move(route: Route, entries: Sequence[Entry]) -> Entry | None:
    """The newest change that gave requests of the route to other versions than before, or made
    another version stable; or that may have, as one by hand.
    """
    name = route.name
    moved = (
        one
        for one in reversed(entries)
        if one.action == BY_HAND or _moved_shares(one, name) or _moved_stable(one, name)
    )
    return next(moved, None)


def way_back(route: Route, entries: Sequence[Entry]) -> str:
    """As :func:`former_stable`; empty where that tells of none."""
    with suppress(EditRefused):
        return former_stable(route, entries)
    return ""


def former_stable(route: Route, entries: Sequence[Entry]) -> str:
    """Who was stable before the present stable version was promoted. Raises EditRefused, with what
    to do, where the history does not tell, or where that promotion was taken back already.
    """
    remedy = _remedy(route)
    last = next((one for one in reversed(entries) if _moved_stable(one, route.name)), None)
    if last is not None and last.action == "rollback" and last.former != route.stable:
        raise EditRefused(
            f"{last.version} was rolled back already, {route.stable} is the stable version of "
            f"{route.name}; to go back further, {remedy}"
        )
    if last is None or last.action != "promote" or last.version != route.stable:
        raise EditRefused(
            f"{route.stable} is the stable version of {route.name}, and the history knows no "
            f"promotion that made it so; {remedy}"
        )
    former = last.former or _by_shares(last)
    if not former:
        raise EditRefused(
            f"the history does not tell who was stable before {route.stable} in {route.name}; "
            f"{remedy}"
        )
    if former not in (one.name for one in route.versions):
        raise EditRefused(
            f"{former}, which was stable before {route.stable} in {route.name}, is not in the file "
            f"any more; put it there: canary add-version {route.name} {former} --no-rollout --url "
            f"URL, or {remedy}"
        )
    return former


def _remedy(route: Route) -> str:
    others = [one.name for one in route.candidates]
    if not others:
        return f"there is no other version that could be: canary add-version {route.name} ..."
    which = others[0] if len(others) == 1 else "VERSION"
    choice = f", which is one of {', '.join(others)}" if len(others) > 1 else ""
    return f"make another version stable: canary promote {route.name} {which}{choice}"


def _moved_shares(entry: Entry, route: str) -> bool:
    versions = {*entry.before, *entry.after}
    moved = any(entry.before.get(one, 0) != entry.after.get(one, 0) for one in versions)
    return moved and entry.route == route and entry.status is Status.DONE


def _moved_stable(entry: Entry, route: str) -> bool:
    moved = bool(entry.former) or entry.action == "promote"
    return moved and entry.route == route and entry.status is Status.DONE


def _by_shares(entry: Entry) -> str:
    """A promotion changes two shares: that of the promoted version, and that of the former stable,
    which loses all. Empty where it had none, so that it cannot be told.
    """
    lost = [
        name
        for name, share in entry.before.items()
        if share and not entry.after.get(name) and name != entry.version
    ]
    return lost[0] if len(lost) == 1 else ""
