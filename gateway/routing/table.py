"""The compiled form of ``routing.yaml``: from what is known of a request to a decision, without
I/O. Everything that can be worked out once per file is (see ``compiled``), or once per path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Refusal
from gateway.http.target import path_matches
from gateway.model import Role, Route, RoutingConfig
from gateway.routing.compiled import CompiledRoute, Fields
from gateway.routing.paths import RouteAt, at

# Distinct paths remembered with the routes that take them; paths come from clients, so this is
# bounded and simply forgotten when full.
_REMEMBERED_PATHS: Final = 1024
# Bytes, where no route takes the request; not more than what is whole before a worker is asked.
DEFAULT_BODY_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """One version of one route, numbered through the whole table."""

    route: Route
    version: str
    role: Role
    index: int


Taking = CompiledRoute | RouteAt
"""A route as a request finds it."""


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """All routes of one file, compiled. Nobody changes one: a new file makes a new table."""

    config: RoutingConfig
    routes: tuple[CompiledRoute, ...]
    places: tuple[Place, ...]
    body_floor: int  # the smallest body limit, in bytes
    _paths: dict[bytes, tuple[Taking, ...]] = field(default_factory=dict, repr=False)

    def match(self, path: bytes, fields: Fields) -> Taking:
        """The first route of the file that takes the request. Raises :class:`Refusal` (404)."""
        found = self._paths.get(path)
        if found is None:
            found = self._remember(path)
        for route in found:
            if route.unconditional or route.takes(fields):
                return route
        raise Refusal(404, "no_route", "no route takes this path, host and headers; see `match`")

    def _remember(self, path: bytes) -> tuple[Taking, ...]:
        takers = (r for r in self.routes if path_matches(r.rules.match.path.encode(), path))
        found = tuple(at(route, path) for route in takers)
        if len(self._paths) >= _REMEMBERED_PATHS:
            self._paths.clear()
        self._paths[path] = found
        return found


def compile_table(config: RoutingConfig) -> RoutingTable:
    """The table of a valid file."""
    routes: list[CompiledRoute] = []
    places: list[Place] = []
    for rules in config.routes:
        routes.append(CompiledRoute(rules, len(places)))
        places.append(Place(rules, rules.stable, Role.STABLE, len(places)))
        for version in rules.candidates:
            places.append(Place(rules, version.name, Role.CANDIDATE, len(places)))
    floor = min([DEFAULT_BODY_LIMIT, *(rules.limits.body for rules in config.routes)])
    return RoutingTable(config, tuple(routes), tuple(places), floor)
