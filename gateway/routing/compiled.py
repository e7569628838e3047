"""One route in its compiled form: the lanes of its split, and one finished :class:`Decision` per
version and way of assignment. Choosing for a request is then a dictionary look-up, a hash or a
draw, and an index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.errors import Refusal
from gateway.http.headers import cookie, host_of
from gateway.model import Assignment, Route, Sticky, StickyKind, in_place_of
from gateway.routing.decision import Decision, decision_of
from gateway.routing.run import NO_MARKS, NOTHING_SPENT, Marks
from gateway.routing.split import BUCKETS, lanes_of, place_of

Fields = Mapping[bytes, bytes]
"""Request headers: lower-case name to value (the last one, where a name stands twice)."""

Draw = Callable[[], float]
"""A uniform draw from [0, 1)."""


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
            name: decision_of(rules, *stable, in_place_of(name))
            for name in (order[1:] if rules.fallback else ())
        }

        def decisions(assignment: Assignment, drawn: bool) -> list[Decision]:
            return [
                decision_of(rules, name, assignment, places[name], fallbacks.get(name), drawn)
                for name in order
            ]

        self._weighted = decisions(Assignment.WEIGHTED, drawn=True)
        self._apart = decisions(Assignment.WEIGHTED, drawn=False)
        self._sticky = decisions(Assignment.STICKY, drawn=True)
        self._again = decisions(Assignment.STICKY, drawn=False)
        # Who names a version wants that version's own answer, failures included: no fallback.
        self._forced = {
            name.encode(): decision_of(rules, name, Assignment.FORCED, places[name], None)
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


def _cookie_name(sticky: Sticky | None) -> bytes | None:
    if sticky is None or sticky.kind is not StickyKind.COOKIE:
        return None
    return sticky.name.encode()
