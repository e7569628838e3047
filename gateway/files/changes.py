"""What another file changes about the traffic, for the log: which route, from what, to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from gateway.model import Route, RoutingConfig

if TYPE_CHECKING:
    from pathlib import Path

Shares = Mapping[str, float]
"""Of the versions of a route in percent, stable included."""


class Authorship(NamedTuple):
    """Who changed a file by what, and why; empty: not known."""

    by: str = ""
    action: str = ""
    reason: str = ""


Author = Callable[[str], Authorship]
"""Of the file of that generation. May raise OSError."""


Authors: TypeAlias = "Callable[[Path], Author]"
"""Of a routing file."""


class Shift(NamedTuple):
    """A route that is not shared as before; versions that keep their share are left out. A route
    that is new, or gone, has nothing before, or after.
    """

    route: str
    stable: str  # of the new file; of the old one if the route is gone
    before: Shares
    after: Shares


def nobody_knows(path: Path) -> Author:
    """Where nothing is told of changes."""
    return lambda generation: Authorship()


def shifts(before: RoutingConfig, after: RoutingConfig) -> Iterator[Shift]:
    """In the order of the new file; what is gone comes last."""
    old = {route.name: route for route in before.routes}
    new = {route.name: route for route in after.routes}
    for name in (*new, *(name for name in old if name not in new)):
        was, now = old.get(name), new.get(name)
        earlier, later = _shares(was), _shares(now)
        stable = [one.stable for one in (now, was) if one]
        moved = {
            version for version in {*earlier, *later} if earlier.get(version) != later.get(version)
        }
        if moved or len(set(stable)) > 1:
            yield Shift(name, stable[0], _only(earlier, moved), _only(later, moved))


def _shares(route: Route | None) -> Shares:
    versions = () if route is None else route.versions
    return {one.name: _percent(route.weight(one.name)) for one in versions if route}


def _only(shares: Shares, names: set[str]) -> Shares:
    return {name: share for name, share in shares.items() if name in names}


def _percent(points: int) -> float:
    whole, rest = divmod(points, 100)
    return points / 100 if rest else whole
