"""What a route is at one path, where its protocol has something to say about that path.

It is looked up once per path and remembered with it (see ``table``), so requests at other paths,
and of routes with other protocols, do not pay for it.
"""

from __future__ import annotations

from gateway.errors import Refusal
from gateway.protocols import TARGET_VARIANT, Protocol, is_about, version_in
from gateway.routing.compiled import CompiledRoute, Draw, Fields
from gateway.routing.decision import Decision


class RouteAt:
    """A route at a path. Without ``evidence`` its requests are no predictions: they are split as
    all others, but no verdict is made of them, and no user is seen by them.
    """

    __slots__ = ("_assign", "_route", "rules", "sticky", "sticky_cookie", "unconditional")

    def __init__(self, route: CompiledRoute, *, evidence: bool) -> None:
        self._route = route
        self._assign = route.assign if evidence else route.assign_apart
        self.rules = route.rules
        self.sticky = route.sticky
        self.sticky_cookie = route.sticky_cookie
        self.unconditional = route.unconditional

    def takes(self, fields: Fields) -> bool:
        """As of the route."""
        return self._route.takes(fields)

    def key(self, fields: Fields) -> bytes | None:
        """As of the route."""
        return self._route.key(fields)

    def assign(self, fields: Fields, key: bytes | None, draw: Draw) -> Decision:
        """As of the route. Raises :class:`Refusal`."""
        return self._assign(fields, key, draw)

    def named_by(self, fields: Fields) -> str:
        """As of the route."""
        return self._route.named_by(fields)

    def _agrees(self, wanted: bytes, fields: Fields, where: str) -> None:
        """Nobody knows which one is meant by who names two. Raises :class:`Refusal` (400)."""
        other = self._route.wanted(fields)
        if other and other != wanted:
            one, two = wanted.decode("latin-1"), other.decode("latin-1")
            header = self._route.named_by(fields)
            sentence = f"{where} names version {one!r}, and {header} {two!r}; name one of them"
            raise Refusal(400, "bad_request", sentence)


class Versioned(RouteAt):
    """At a path that names a version: whoever asks there gets that one, and no other."""

    __slots__ = ("_model", "_version")

    def __init__(self, route: CompiledRoute, model: bytes, version: bytes) -> None:
        super().__init__(route, evidence=False)
        self.sticky, self.sticky_cookie = False, None  # nobody need be told apart here
        self._model, self._version = model, version

    def assign(self, fields: Fields, key: bytes | None, draw: Draw) -> Decision:
        """Raises :class:`Refusal`: 404 for a version the route does not have, in the words of
        Triton, for which clients look; 400 if a header names another one.
        """
        decision = self._route.forced(self._version)
        if decision is None:
            model, version = self._model.decode("latin-1"), self._version.decode("latin-1")
            known = ", ".join(one.name for one in self.rules.versions)
            raise Refusal(
                404,
                "unknown_version",
                f"Request for unknown model: {model!r} version {version!r} is not found; "
                f"route {self.rules.name!r} has {known}",
            )
        self._agrees(self._version, fields, "the path")
        return decision

    def named_by(self, fields: Fields) -> str:
        return "the path"


class WithVariants(RouteAt):
    """Where SageMaker's header names a version, beside the route's own ``override``."""

    __slots__ = ()

    def assign(self, fields: Fields, key: bytes | None, draw: Draw) -> Decision:
        """Raises :class:`Refusal` (400), also if the two headers contradict one another."""
        wanted = fields.get(TARGET_VARIANT)
        if not wanted:
            return self._assign(fields, key, draw)
        self._agrees(wanted, fields, self.named_by(fields))
        return self._route.force(wanted)

    def named_by(self, fields: Fields) -> str:
        if fields.get(TARGET_VARIANT):
            return f"the header {TARGET_VARIANT.decode()}"
        return self._route.named_by(fields)


def at(route: CompiledRoute, path: bytes) -> CompiledRoute | RouteAt:
    """The route itself, where its protocol says nothing of the path."""
    protocol = route.rules.protocol
    about = is_about(protocol, path)
    if protocol is Protocol.SAGEMAKER:
        return WithVariants(route, evidence=not about)
    if protocol is Protocol.V2:
        named = version_in(path)
        if named is not None:
            return Versioned(route, *named)
    return RouteAt(route, evidence=False) if about else route
