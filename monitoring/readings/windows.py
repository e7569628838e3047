"""From what gateways serve at ``GET /api/evidence`` to the windows a verdict may use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from gateway.model import FULL_WEIGHT
from monitoring.readings.evidence import (
    AGAIN,
    BadEvidence,
    Counts,
    Named,
    Window,
    named,
    row,
    span_of,
)

_MOST: Final = 2**53  # requests; more than anybody counts, and exact as a float

Document = Mapping[str, Any]


def windows_of(
    documents: Sequence[Document | None], route: str, candidate: str
) -> tuple[Window, ...]:
    """The windows of the present run of a candidate, oldest first.

    A run reaches back over the generations in which the candidate had a weight and stable was the
    same; a weight of 0 in between ends it, so evidence from before a rollback is not held against a
    candidate that a person started again. So does an address that the candidate did not have
    before: another model may answer there. Raises :class:`BadEvidence`.
    """
    found: list[tuple[float, Window]] = []
    with _shape():
        for gateway, document in enumerate(documents):
            if document is None:
                continue
            for generation in reversed(list(_run(document, route, candidate))):
                window = _window(gateway, generation, route, candidate)
                if window is not None:
                    found.append((float(generation.get("since", 0)), window))
    return tuple(window for _, window in sorted(found, key=lambda one: one[0]))


def past_of(documents: Sequence[Document | None], route: str, candidate: str) -> Counts:
    """Stable's requests in the generations before the run: what shapes the first bets.

    Where users stick, none of those in which the candidate had some: stable's users were the same
    then, and a bet that knows how they fared knows who is whose before it is placed.
    """
    total = Counts()
    with _shape():
        for document in documents:
            if document is None:
                continue
            run = list(_run(document, route, candidate))
            before = _before(document, run, route)
            newest = [one for one in document["generations"] if route in one["routes"]][-1:]
            stable = _stable_of(newest[0]["routes"][route]) if newest else None
            for generation in before:
                versions = generation["routes"].get(route, {})
                drawn = _sticks(generation, route) and versions.get(candidate, {}).get("weight")
                if stable is not None and _stable_of(versions) == stable and not drawn:
                    total += _counts(versions[stable])
    return total


def has_beginning(documents: Sequence[Document | None], route: str, candidate: str) -> bool:
    """Whether a gateway tells of anything before the run; if none does, it began in its middle."""
    with _shape():
        return any(
            _before(document, list(_run(document, route, candidate)), route)
            for document in documents
            if document is not None
        )


def source_of(gateway: int, generation: Mapping[str, Any]) -> str:
    """The name of what one gateway counted under one generation since it took it."""
    return f"{gateway}/{generation['generation']}@{generation.get('since', 0)}"


@contextmanager
def _shape() -> Iterator[None]:
    """Translates what a document of another shape raises."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        why = f"evidence of another shape than /api/evidence serves: {error}"
        raise BadEvidence(why) from error


def _before(document: Document, run: Sequence[object], route: str) -> list[Mapping[str, Any]]:
    """The generations before a run; rounds of other routes are none."""
    return [
        one
        for one in document["generations"]
        if not any(one is each for each in run) and (route in one["routes"] or not one.get("round"))
    ]


def _run(document: Document, route: str, candidate: str) -> Iterator[Mapping[str, Any]]:
    """The generations of the present run, the newest first."""
    stable: str | None = None
    run: object = None
    newer: frozenset[str] | None = None
    for generation in reversed(document["generations"]):
        versions = generation["routes"].get(route, {})
        if not versions and generation.get("round"):
            continue  # users of another route began to count again: nothing of this one is there
        now = _stable_of(versions)
        if now is None or candidate not in versions or stable not in (None, now):
            return
        if not _whole(versions[candidate]["weight"], FULL_WEIGHT):
            return
        began = _split(generation, route).get("run")
        if stable is not None and began != run:
            return
        # Stable may get new ones: the two are compared at the same time, whatever stable is. An
        # older gateway does not tell.
        told = versions[candidate].get("addresses")
        addresses = None if told is None else frozenset(map(str, told))
        if newer is not None and addresses is not None and newer - addresses:
            return
        stable, run, newer = now, began, addresses
        yield generation


def _split(generation: Mapping[str, Any], route: str) -> Mapping[str, Any]:
    split: Mapping[str, Any] = generation.get("splits", {}).get(route, {})
    return split


def _round(generation: Mapping[str, Any], route: str) -> str:
    """Which round of the same users it is, unlike any other of the same gateway."""
    split = _split(generation, route)
    return f"{split['repeat']}@{split['since']}" if split.get("repeat") else ""


def _sticks(generation: Mapping[str, Any], route: str) -> bool:
    return _split(generation, route).get("sticky") is not None


def _stable_of(versions: Mapping[str, Any]) -> str | None:
    for name, version in versions.items():
        if version["role"] == "stable":
            return str(name)
    return None


def _window(
    gateway: int, generation: Mapping[str, Any], route: str, candidate: str
) -> Window | None:
    """None where one of the two has no share: there is nothing to compare with."""
    versions = generation["routes"][route]
    pair = versions[candidate], versions[_stable_of(versions)]
    lanes = [_whole(one.get("buckets", one["weight"]), FULL_WEIGHT) for one in pair]
    if not all(lanes):
        return None
    candidates, stables = map(_counts, pair)
    # A sticky user counts once in each gateway, and so perhaps twice in two of them.
    alone = _sticks(generation, route)
    share = lanes[0] / sum(lanes)
    pending = _whole(pair[0].get("in_flight", 0))
    again = _round(generation, route)
    source = source_of(gateway, generation) + (AGAIN if again else "")
    return Window(source, share, candidates, stables, alone, pending, again)


def _counts(version: Mapping[str, Any]) -> Counts:
    return Counts(
        assigned=_whole(version["assigned"]),
        bad=_whole(version["bad"]),
        gone=_whole(version.get("gone", 0)),
        latency=row(map(_whole, version.get("latency", ()))),
        scores=row(map(_whole, version.get("scores", ()))),
        labels=named({str(k): _whole(n) for k, n in version.get("labels", {}).items()}),
        missing=named({str(k): _whole(n) for k, n in version.get("missing", {}).items()}),
        asked=_whole(version.get("asked", 0)),
        saved=_whole(version.get("saved", 0)),
        values=_values(version.get("values", {})),
    )


def _values(told: Mapping[str, Any]) -> Named:
    for name in told:
        span_of(str(name))
    return named({str(name): _whole(number) for name, number in told.items()})


def _whole(number: object, most: int = _MOST) -> int:
    """JSON as Python reads it knows NaN, infinities and any number of digits: no count is one."""
    if type(number) is not int or not 0 <= number <= most:
        raise BadEvidence(f"{number!r:.40} where a whole number up to {most} was expected")
    return number
