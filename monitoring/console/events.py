"""The history as a page shows it: changes of the file and what was found out, the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from monitoring.console import difference
from monitoring.console.difference import Line
from monitoring.history.chain import BY_HAND, Entry

CONTROLLER: Final = "controller"
PER_PAGE: Final = 50
_MANY: Final = 200  # names to choose from


class Kind(StrEnum):
    CHANGE = "change"
    HAND = "by hand"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class Share:
    """Of a version, in percent."""

    version: str
    before: float
    after: float

    @property
    def moved(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Counted:
    """What a verdict was made of, of one version."""

    name: str
    assigned: int
    bad: int


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of the page; ``id`` is its place in an address."""

    id: str
    kind: Kind
    at: str
    by: str
    action: str
    route: str = ""
    version: str = ""
    reason: str = ""
    shares: tuple[Share, ...] = ()
    diff: str = ""
    became: str = ""
    before_hash: str = ""
    after_hash: str = ""
    verdict: str = ""
    weight: str = ""
    alerts: tuple[str, ...] = ()
    evidence: float | None = None
    limit: float | None = None
    counted: tuple[Counted, ...] = ()

    @property
    def moved(self) -> tuple[Share, ...]:
        """The shares that are others than before."""
        return tuple(one for one in self.shares if one.moved)

    @property
    def lines(self) -> tuple[Line, ...]:
        return difference.lines(self.diff)

    @property
    def drawn(self) -> tuple[Line, ...]:
        """The shares as lines of a diff, for where the text is not known."""
        return tuple(
            Line(side, f"{one.version}: {share:g} %")
            for one in self.moved
            for side, share in (
                (difference.Side.REMOVED, one.before),
                (difference.Side.ADDED, one.after),
            )
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them; an empty text is any."""

    route: str = ""
    version: str = ""
    by: str = ""
    kind: str = ""

    def takes(self, one: Happening) -> bool:
        # An edit by hand may have been of any route.
        if one.kind is Kind.HAND and not (self.by or self.kind or self.version):
            return True
        return all(
            not wanted or wanted == found
            for wanted, found in (
                (self.route, one.route),
                (self.version, one.version),
                (self.by, one.by),
                (self.kind, one.kind.value),
            )
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some of them; ``number`` counts from 1."""

    happenings: tuple[Happening, ...]
    number: int
    pages: int
    found: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from."""

    routes: tuple[str, ...]
    versions: tuple[str, ...]
    actors: tuple[str, ...]


def happenings(events: Iterable[Entry | Mapping[str, Any]]) -> tuple[Happening, ...]:
    """From the oldest first, as the history has them, to the newest first."""
    told = [_change(one) if isinstance(one, Entry) else _verdict(one) for one in events]
    return tuple(reversed(told))


def page(found: Sequence[Happening], wanted: Wanted, number: int) -> Page:
    """The ``number``-th page, or the last one there is."""
    matching = [one for one in found if wanted.takes(one)]
    pages = max(1, -(-len(matching) // PER_PAGE))
    number = min(max(number, 1), pages)
    shown = matching[(number - 1) * PER_PAGE : number * PER_PAGE]
    return Page(tuple(shown), number, pages, len(matching))


def choices(found: Sequence[Happening]) -> Choices:
    """Every name that occurs, in order."""
    return Choices(
        _names(one.route for one in found),
        _names(one.version for one in found),
        _names(one.by for one in found),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name})[:_MANY])


def _change(entry: Entry) -> Happening:
    hand = entry.action == BY_HAND
    versions = list(entry.after) + [one for one in entry.before if one not in entry.after]
    return Happening(
        id=f"{entry.before_hash}-{entry.after_hash}" if hand else str(entry.id),
        kind=Kind.HAND if hand else Kind.CHANGE,
        at=entry.at,
        by="" if hand else str(entry.by),
        action=str(entry.action),
        route=str(entry.route),
        version=str(entry.version),
        reason=str(entry.reason),
        shares=tuple(
            Share(str(one), _number(entry.before.get(one)), _number(entry.after.get(one)))
            for one in versions
        ),
        diff=str(entry.diff),
        became=entry.became,
        before_hash=entry.before_hash,
        after_hash=entry.after_hash,
    )


def _verdict(row: Mapping[str, Any]) -> Happening:
    numbers = row.get("numbers")
    alerts = row.get("alerts")
    return Happening(
        id=str(row["id"]),
        kind=Kind.VERDICT,
        at=str(row.get("at", "")),
        by=CONTROLLER,
        action=str(row.get("action", "")),
        route=str(row.get("route", "")),
        version=str(row.get("version", "")),
        reason=str(row.get("sentence", "")),
        after_hash=str(row.get("generation", "")),
        verdict=str(row.get("verdict", "")),
        weight=str(row.get("weight", "")),
        alerts=tuple(str(one) for one in alerts) if isinstance(alerts, list) else (),
        evidence=_maybe(row.get("evidence")),
        limit=_maybe(row.get("limit")),
        counted=tuple(_counted(numbers)) if isinstance(numbers, dict) else (),
    )


def _counted(numbers: Mapping[str, Any]) -> Iterable[Counted]:
    for name, one in numbers.items():
        if isinstance(one, dict):
            yield Counted(
                str(name), int(_number(one.get("assigned"))), int(_number(one.get("bad")))
            )


def _number(value: object) -> float:
    return _maybe(value) or 0.0


def _maybe(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
