"""Which requests of sticky users are draws: one of each user, and only where its bucket still is
one.

The arm of a sticky user is fixed, so its requests are not independent: only the first one that a
split sees is a draw. A *split* is who gets which bucket: stable, candidates, weights, salt, key.
A *run* is the splits from the start of a candidate on, as long as candidates only gain users or are
stopped.

Within a run, a user whose bucket was a candidate's under an earlier split is no fresh draw: it got
there by the earlier one. Its bucket is *spent*. Of a user that has been stable's in all earlier
splits nothing more is known than that: its bucket is uniform over those not spent. So the chance
that it is a candidate's now is exactly that candidate's part of the buckets not spent, whatever the
user's earlier outcomes were, and however the ramp was led by them. A request without a key falls
into a bucket of its own each time; those in spent ones are left out as well, so that all draws of a
split have the same chances.

Where there are several candidates, a step of one of them spends the buckets of all. A candidate
that would be left without any begins a run for all: else nobody would ever judge it. So does one
that gets an address it did not have: another model may answer there, which the users marked so far
were no draws of. Stable may get any: whatever it is, it is compared with at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.model import Route, Sticky
from gateway.routing.split import BUCKETS, STABLE

NOTHING_SPENT: Final = bytes(BUCKETS)
_TAKEN: Final = bytes([0, *[1] * 255])  # a lane as whether it is a candidate's


class Marks(Protocol):
    """A slot for each of the users that can be told apart; 1: it was seen."""

    def __getitem__(self, slot: int, /) -> int: ...
    def __setitem__(self, slot: int, value: int, /) -> None: ...


class _NoMarks:
    """Nobody was ever seen."""

    def __getitem__(self, slot: int) -> int:
        return 0

    def __setitem__(self, slot: int, value: int) -> None:
        pass


NO_MARKS: Final = _NoMarks()


@dataclass(frozen=True, slots=True)
class Run:
    """Where a route stands: the present split, and what was before it in the same run.

    ``number`` and ``split`` are the serials of the files they began with; ``spent`` has a 1 for
    each bucket that is no draw any more; ``buckets`` is how many of a version's are one.
    ``addresses`` are URLs of the candidates that have a weight. In round ``repeat`` of the split
    its users count for another time (see ``rounds``), since ``since``, Unix time.
    """

    number: int
    split: int
    stable: str
    sticky: Sticky | None
    weights: Mapping[str, int]  # of the candidates that have one, in the order of the file
    lanes: bytes = field(repr=False)
    spent: bytes = field(repr=False)
    stopped: frozenset[str]  # candidates that had a weight in this run, and lost it
    buckets: Mapping[str, int]
    addresses: Mapping[str, frozenset[str]]
    repeat: int = 0
    since: float = 0.0


def follow(before: Run | None, route: Route, lanes: bytes, serial: int) -> Run:
    """Where a route stands under the file with this serial, the one before it considered.

    A run also ends when a candidate has no draw left, or begins where another one was. Where users
    stick, it ends for all candidates of the route, if one of them has a new address.
    """
    weights = {one.name: one.weight for one in route.candidates if one.weight}
    spent, stopped, number = NOTHING_SPENT, frozenset[str](), serial
    buckets, addresses = _unspent(route, lanes, spent), _addresses(route)
    if before is not None and _goes_on(before, route, weights, addresses):
        if before.lanes == lanes and list(before.weights) == list(weights):
            return before if before.addresses == addresses else replace(before, addresses=addresses)
        both = before.spent
        if route.sticky is not None:
            both = _either(both, before.lanes.translate(_TAKEN))
        left = _unspent(route, lanes, both)
        new = weights.keys() - before.weights.keys()
        if all(left[name] == weights[name] if name in new else left[name] for name in weights):
            spent, number, buckets = both, before.number, left
            stopped = before.stopped | (before.weights.keys() - weights.keys())
    split = serial, route.stable, route.sticky, weights, lanes, spent, stopped, buckets, addresses
    return Run(number, *split)


def _goes_on(
    before: Run,
    route: Route,
    weights: Mapping[str, int],
    addresses: Mapping[str, frozenset[str]],
) -> bool:
    """Whether nobody has started a candidate again, nor given users of one back to stable without
    stopping it: their buckets are spent, and nothing would be left to compare. Nor put another
    model in the place of one, where the users of the first are marked.
    """
    if (before.stable, before.sticky) != (route.stable, route.sticky):
        return False
    if weights.keys() & before.stopped:
        return False
    lowered = any(weights.get(name, was) < was for name, was in before.weights.items())
    both = addresses.keys() & before.addresses.keys()
    moved = any(addresses[name] - before.addresses[name] for name in both)
    return before.sticky is None or not (lowered or moved)


def _addresses(route: Route) -> dict[str, frozenset[str]]:
    return {
        version.name: frozenset(endpoint.url for endpoint in version.endpoints)
        for version in route.candidates
        if version.weight
    }


def _unspent(route: Route, lanes: bytes, spent: bytes) -> dict[str, int]:
    """How many buckets of each version are draws."""
    order = [route.stable, *(version.name for version in route.candidates)]
    if spent == NOTHING_SPENT:
        return {name: route.weight(name) for name in order}
    left = bytes(lane for lane, gone in zip(lanes, spent, strict=True) if not gone)
    return {name: left.count(lane) for lane, name in enumerate(order, STABLE)}


def _either(one: bytes, other: bytes) -> bytes:
    both = int.from_bytes(one) | int.from_bytes(other)
    return both.to_bytes(len(one))
