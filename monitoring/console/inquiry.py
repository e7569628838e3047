"""Which version a user gets, and why: the gateway's own answer, with the buckets around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT, Assignment, Route, RoutingConfig, StickyKind
from gateway.routing.split import lanes_of
from monitoring.explanation import Explanation, explain
from monitoring.rollout.position import position_of


class BadRequest(ValueError):
    """What was filled in is no request; ``field`` is the input it stands in."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Buckets from ``first`` up to ``last`` that are one version's; ``rank`` is 0 for stable and
    counts candidates from 1.
    """

    version: str
    rank: int
    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Share:
    """Of a version, in percent, and in how many buckets."""

    version: str
    rank: int
    percent: str


@dataclass(frozen=True, slots=True)
class Answer:
    """``stretches`` are the buckets of the route that takes the request; ``outlook`` are sentences
    on what another weight would change for this user.
    """

    explanation: Explanation
    stretches: tuple[Stretch, ...] = ()
    shares: tuple[Share, ...] = ()
    outlook: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    path: str = "/"


def answer(config: RoutingConfig, route: str, key: str, path: str, headers: str) -> Answer:
    """For a request to a route (empty: to whichever takes it) by a user with this sticky key, with
    more headers, one a line. Raises BadRequest.
    """
    fields = dict(_fields(headers))
    rules = next((one for one in config.routes if one.name == route), None)
    if route and rules is None:
        known = ", ".join(one.name for one in config.routes)
        raise BadRequest("route", f"There is no route {route}; it is one of {known}")
    if rules is not None:
        path = path or rules.match.path
        fields = _to(rules) | fields
        if key:
            fields |= _with_key(rules, key, fields)
    path = path or "/"
    raw = {name.encode(): value.encode("utf-8", "replace") for name, value in fields.items()}
    found = explain(config, path.partition("?")[0].encode("utf-8", "replace"), raw)
    if found.route is None:
        return Answer(found, fields=fields, path=path)
    taken = config.route(found.route)
    return Answer(
        found,
        tuple(stretches(taken)),
        tuple(_shares(taken)),
        tuple(_outlook(taken, found)),
        fields,
        path,
    )


def stretches(route: Route) -> Iterator[Stretch]:
    """All 10,000 buckets, in order."""
    names = [route.stable, *(one.name for one in route.candidates)]
    first = 0
    for lane, run in groupby(_lanes(route, {})):
        size = sum(1 for _ in run)
        yield Stretch(names[lane], lane, first, first + size - 1)
        first += size


def least_weight(route: Route, version: str, bucket: int) -> int | None:
    """The least weight, in basis points, at which a candidate takes a bucket while the others stay
    as they are; None if it never does.
    """
    lane = [one.name for one in route.candidates].index(version) + 1
    most = FULL_WEIGHT - sum(one.weight for one in route.candidates if one.name != version)
    if _lanes(route, {version: most})[bucket] != lane:
        return None
    low, high = 0, most  # growing a candidate takes nothing from itself
    while low < high:
        middle = (low + high) // 2
        if _lanes(route, {version: middle})[bucket] == lane:
            high = middle
        else:
            low = middle + 1
    return low


def _lanes(route: Route, instead: Mapping[str, int]) -> bytes:
    return lanes_of([instead.get(one.name, one.weight) for one in route.candidates])


def _shares(route: Route) -> Iterator[Share]:
    names = [route.stable, *(one.name for one in route.candidates)]
    for rank, name in enumerate(names):
        yield Share(name, rank, percent_text(route.weight(name)))


def _outlook(route: Route, found: Explanation) -> Iterator[str]:
    """What comes next, for a user whose bucket decides."""
    if found.bucket is None or found.assignment != Assignment.STICKY:
        return
    names = [route.stable, *(one.name for one in route.candidates)]
    for candidate in route.candidates:
        name = candidate.name
        following = _following(route, name)
        if following is not None:
            lanes = _lanes(route, {name: min(following, _left(route, name))})
            then = name if following == FULL_WEIGHT else names[lanes[found.bucket]]
            gets = "still gets" if then == found.version else "gets"
            at = "its promotion" if following == FULL_WEIGHT else f"{percent_text(following)} %"
            yield f"At the next step of {name} ({at}) this user {gets} {then}."
        least = least_weight(route, name, found.bucket)
        if least is not None:
            yield f"{name} has this user from {percent_text(least)} % on."


def _following(route: Route, version: str) -> int | None:
    rollout = route.rollout(version)
    if rollout is None or not rollout.steps:
        return None
    if not route.weight(version):
        return rollout.steps[0].weight
    return position_of(route, version, watched=0.0).following


def _left(route: Route, version: str) -> int:
    return FULL_WEIGHT - sum(one.weight for one in route.candidates if one.name != version)


def _to(route: Route) -> dict[str, str]:
    """The headers a request needs for this route to take it."""
    host = {} if route.match.host is None else {"host": route.match.host}
    return host | dict(route.match.headers)


def _with_key(route: Route, key: str, fields: Mapping[str, str]) -> dict[str, str]:
    if route.sticky is None:
        return {}
    if route.sticky.kind is StickyKind.HEADER:
        return {route.sticky.name: key}
    if ";" in key:
        raise BadRequest("key", "The value of a cookie has no ';' in it")
    before = f"{fields['cookie']}; " if "cookie" in fields else ""
    return {"cookie": f"{before}{route.sticky.name}={key}"}


def _fields(headers: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in headers.splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        name, separator, value = line.partition(":")
        if not separator or not name.strip().isascii() or not name.strip():
            raise BadRequest("headers", f"Line {number} is no header; write it as 'Name: value'")
        yield name.strip().lower(), value.strip()
