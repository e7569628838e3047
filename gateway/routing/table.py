"""The compiled form of ``routing.yaml``: from what is known of a request to a decision, without
I/O.

Everything that can be worked out once per file is: the lanes of each split, and one finished
:class:`Decision` per version and way of assignment, its response headers included. Choosing for a
request is then a dictionary look-up, a hash or a draw, and an index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway import protocols
from gateway.errors import Refusal
from gateway.http.headers import cookie, host_of
from gateway.http.target import path_matches
from gateway.model import Assignment, Role, Route, RoutingConfig, Sticky, StickyKind, in_place_of
from gateway.routing.paths import RouteAt, at
from gateway.routing.run import NO_MARKS, NOTHING_SPENT, Marks
from gateway.routing.split import BUCKETS, lanes_of, place_of

Fields = Mapping[bytes, bytes]
"""Request headers: lower-case name to value (the last one, where a name stands twice)."""

Draw = Callable[[], float]
"""A uniform draw from [0, 1)."""

# Distinct paths remembered with the routes that take them; paths come from clients, so this is
# bounded and simply forgotten when full.
_REMEMBERED_PATHS: Final = 1024
# Bytes, where no route takes the request; not more than what is whole before a worker is asked.
DEFAULT_BODY_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Where a request goes and why. Made once per table, shared by all requests it applies to.

    ``index`` numbers the version within the whole table; ``headers`` are the response headers that
    say who answered; ``fallback`` is the decision that takes over when this version gives no good
    answer; ``way`` is what an answer is counted under (see :func:`~gateway.model.in_place_of`);
    ``container``: the worker may be one of SageMaker's (see ``protocols.in_container``).
    """

    route: Route
    version: str
    role: Role
    assignment: Assignment
    index: int
    headers: bytes
    fallback: Decision | None = None
    # Only draws are evidence: never an override, never an answer given in another's place, never a
    # user's second request, nor what fell into a bucket that is spent (see ``run``).
    counts_as_evidence: bool = False
    way: str = ""
    container: bool = False

    def __repr__(self) -> str:
        return f"<Decision {self.route.name} -> {self.version} ({self.assignment})>"


@dataclass(frozen=True, slots=True)
class Place:
    """One version of one route, numbered through the whole table."""

    route: Route
    version: str
    role: Role
    index: int


class CompiledRoute:
    """One route with its lanes and decisions ready."""

    __slots__ = (
        "_again",
        "_apart",
        "_forced",
        "_headers",
        "_host",
        "_key_header",
        "_marks",
        "_override",
        "_salt",
        "_spent",
        "_sticky",
        "_weighted",
        "lanes",
        "rules",
        "sticky",
        "sticky_cookie",
        "unconditional",
    )

    def __init__(self, rules: Route, first_index: int) -> None:
        self.rules = rules
        order = [rules.stable, *(version.name for version in rules.candidates)]
        places = {name: first_index + i for i, name in enumerate(order)}
        stable = rules.stable, Assignment.FALLBACK, places[rules.stable], None, False
        fallbacks = {  # one of each candidate: what stable saved is known of each
            name: _decision(rules, *stable, in_place_of(name))
            for name in (order[1:] if rules.fallback else ())
        }

        def decisions(assignment: Assignment, drawn: bool) -> list[Decision]:
            return [
                _decision(rules, name, assignment, places[name], fallbacks.get(name), drawn)
                for name in order
            ]

        self._weighted = decisions(Assignment.WEIGHTED, drawn=True)
        self._apart = decisions(Assignment.WEIGHTED, drawn=False)
        self._sticky = decisions(Assignment.STICKY, drawn=True)
        self._again = decisions(Assignment.STICKY, drawn=False)
        # Who names a version wants that version's own answer, failures included: no fallback.
        self._forced = {
            name.encode(): _decision(rules, name, Assignment.FORCED, places[name], None)
            for name in order
        }
        self.lanes = lanes_of([version.weight for version in rules.candidates])
        self._spent = NOTHING_SPENT
        self._marks: Marks = NO_MARKS
        self._salt = rules.sticky.salt.encode() if rules.sticky else b""
        self.sticky = rules.sticky is not None
        self.sticky_cookie = _cookie_name(rules.sticky)
        # Names as bytes, once: encoding them, and asking a route for conditions it does not have,
        # cost 2 us a request.
        match = rules.match
        self._host = None if match.host is None else match.host.encode()
        self._headers = [(name.encode(), value.encode()) for name, value in match.headers]
        self.unconditional = self._host is None and not self._headers
        self._override = None if rules.override is None else rules.override.encode()
        by_header = rules.sticky is not None and rules.sticky.kind is StickyKind.HEADER
        self._key_header = rules.sticky.name.encode() if rules.sticky and by_header else None

    def mark(self, marks: Marks, spent: bytes) -> None:
        """Mark in these slots who was seen, and take for draws only a user's first request, and
        only what falls into a bucket that is not spent (see ``run``). Until then all are draws.
        """
        self._marks, self._spent = marks, spent

    def takes(self, fields: Fields) -> bool:
        """Whether host and header conditions agree (the path was compared before)."""
        if self._host is not None and host_of(fields) != self._host:
            return False
        return all(fields.get(name) == value for name, value in self._headers)

    def key(self, fields: Fields) -> bytes | None:
        """The sticky key the client sent; None if the route has none or the client sent none."""
        if self._key_header is not None:
            return fields.get(self._key_header) or None
        if self.sticky_cookie is not None:
            return cookie(fields.get(b"cookie", b""), self.sticky_cookie) or None
        return None

    def assign(self, fields: Fields, key: bytes | None, draw: Draw) -> Decision:
        """Override first, then the sticky key, then a draw of its own.

        Raises :class:`Refusal` (400) when the override names a version the route does not have.
        """
        if self._override is not None:
            wanted = fields.get(self._override)
            if wanted:
                return self.force(wanted)
        if key is not None:
            bucket, slot = place_of(self._salt, key)
            if self._marks[slot] or self._spent[bucket]:
                return self._again[self.lanes[bucket]]
            self._marks[slot] = 1
            return self._sticky[self.lanes[bucket]]
        bucket = int(draw() * BUCKETS)
        if self._spent[bucket]:  # so that requests without a key have the share of those with one
            return self._apart[self.lanes[bucket]]
        return self._weighted[self.lanes[bucket]]

    def assign_apart(self, fields: Fields, key: bytes | None, draw: Draw) -> Decision:
        """As :meth:`assign`, of what is no prediction: no evidence, and no user is seen by it."""
        wanted = self.wanted(fields)
        if wanted:
            return self.force(wanted)
        if key is not None:
            return self._again[self.lanes[place_of(self._salt, key)[0]]]
        return self._apart[self.lanes[int(draw() * BUCKETS)]]

    def wanted(self, fields: Fields) -> bytes:
        """The version that the override names; empty if none is named."""
        return b"" if self._override is None else fields.get(self._override, b"")

    def named_by(self, fields: Fields) -> str:
        """What names the version, in words, where it is forced."""
        return f"the header {self.rules.override}"

    def forced(self, version: bytes) -> Decision | None:
        """The decision for who names this version; None if the route does not have it."""
        return self._forced.get(version)

    def force(self, wanted: bytes) -> Decision:
        """The same. Raises :class:`Refusal` (400)."""
        decision = self._forced.get(wanted)
        if decision is None:
            known = ", ".join(version.name for version in self.rules.versions)
            sentence = (
                f"route {self.rules.name!r} has no version {wanted.decode('latin-1')!r}; "
                f"name one of {known}, or leave the header away"
            )
            raise Refusal(400, "unknown_version", sentence)
        return decision

    def decision(self, version: str, assignment: Assignment) -> Decision:
        """The finished decision for a version; KeyError if the route has no such version."""
        if assignment is Assignment.FORCED:
            return self._forced[version.encode()]
        for decision in self._sticky if assignment is Assignment.STICKY else self._weighted:
            if decision.version == version:
                return decision
        raise KeyError(version)


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


def _cookie_name(sticky: Sticky | None) -> bytes | None:
    if sticky is None or sticky.kind is not StickyKind.COOKIE:
        return None
    return sticky.name.encode()


def _decision(
    route: Route,
    version: str,
    assignment: Assignment,
    index: int,
    fallback: Decision | None,
    drawn: bool = False,
    way: str = "",
) -> Decision:
    role = Role.STABLE if version == route.stable else Role.CANDIDATE
    headers = (
        f"X-Model-Version: {version}\r\n"
        f"X-Model-Route: {route.name}\r\n"
        f"X-Assignment: {assignment}\r\n"
    )
    container = route.protocol is protocols.Protocol.SAGEMAKER
    if container:
        headers += f"{protocols.INVOKED_VARIANT}: {version}\r\n"
    told, way = headers.encode(), way or assignment
    return Decision(route, version, role, assignment, index, told, fallback, drawn, way, container)
