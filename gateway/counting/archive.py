"""Every ledger there is: of each process, under each generation that is still told of.

A ledger is *open* while somebody may write to it and *closed* after that: when the last exchange
that began under its generation has ended, or when its process has died. What a closed one says is
kept by name, so no count is ever lost and none counts twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.counting.counts import OF_A_ROUTE
from gateway.counting.ledger import Kind, Ledger, Name, Totals, total
from gateway.counting.scale import is_value, scales_of, unlike
from gateway.counting.vocabulary import Vocabulary
from gateway.routing.run import Run, follow
from gateway.routing.table import RoutingTable

KEPT_GENERATIONS: Final = 8  # besides the one in force
# Rounds of users are told of for as long as four more take, 20 seconds at least: who looks each
# second misses nothing.
KEPT_ROUNDS: Final = 4
_ROUNDING: Final = 1e-9


class Marked(Protocol):
    """What is kept of the users that a split has seen."""

    @property
    def seen(self) -> int:
        """How many there were."""


@dataclass(slots=True, eq=False)
class Epoch:
    """One generation as it was taken. A content that comes back begins a new one.

    ``runs`` says by route where it stands, ``marked`` whom it has seen, if its users stick;
    ``closed`` is what its closed ledgers said.

    Where users of some routes only count again, the same generation goes on as another epoch:
    ``file`` is the serial of the one in which it was taken, ``spans`` that of the one under which
    the counts of a route are told. What began to count anew is told apart, the rest with what was
    before, as if nothing had been.

    ``scales`` is the serial since which a route's values are counted as now: other bounds begin
    anew, also bounds that come back.
    """

    serial: int
    table: RoutingTable
    since: float  # Unix time
    runs: Mapping[str, Run] = field(default_factory=dict)
    marked: Mapping[str, Marked] = field(default_factory=dict)
    closed: Totals = field(default_factory=Totals)
    file: int = 0
    spans: Mapping[str, int] = field(default_factory=dict)
    left: Totals = field(default_factory=Totals)  # of rounds that are not told of any more
    scales: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_round(self) -> bool:
        """Whether the file was in force before, and only users count again."""
        return self.file != self.serial

    @property
    def generation(self) -> str:
        return self.table.config.generation

    def versions(self) -> set[tuple[str, ...]]:
        """(route, version) of all it serves."""
        return {(place.route.name, place.version) for place in self.table.places}


class Archive:
    """The epochs, the newest last, and what was counted in them by whom."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._epochs: list[Epoch] = []
        self._serial = 0
        self._newest: Epoch | None = None  # not in force yet, perhaps
        self._closed = Totals()
        self._scales: Mapping[str, int] = {}  # of the epoch in force
        self._told: dict[Name, float] = {}  # sums, as of the last time
        self._answered: Counter[int] = Counter()  # per owner, in closed ledgers
        self._open: dict[tuple[int, Epoch], Ledger] = {}

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Those told of; the last one is in force."""
        return tuple(self._epochs)

    def prepare(self, table: RoutingTable, since: float) -> Epoch:
        """A new epoch, which ledgers may be opened for; not in force yet."""
        self._serial += 1
        before = {} if self._newest is None else self._newest.runs
        runs = {}
        for one in table.routes:
            name = one.rules.name
            run = follow(before.get(name), one.rules, one.lanes, self._serial)
            runs[name] = run if run.split < self._serial else replace(run, since=since)
        spans = dict.fromkeys(runs, self._serial)
        self._newest = Epoch(
            *(self._serial, table, since, runs),
            file=self._serial,
            spans=spans,
            scales=self._begun(table),
        )
        return self._newest

    def _begun(self, table: RoutingTable) -> dict[str, int]:
        before = self._newest
        if before is None:
            return scales_of(table.config, self._serial)
        return scales_of(table.config, self._serial, before.table.config, before.scales)

    def prepare_round(
        self, table: RoutingTable, since: float, due: Mapping[str, Run]
    ) -> Epoch | None:
        """The same for the next round of some routes, under the file in force, whose ``table`` it
        is. None if it is over: there is another file meanwhile.
        """
        before = self._newest
        assert before is not None
        runs = dict(before.runs)
        for name, run in due.items():
            now = runs.get(name)
            if now is not None and now.split == run.split and now.repeat < run.repeat:
                runs[name] = replace(now, repeat=run.repeat, since=since)
        begun = [name for name, run in runs.items() if run is not before.runs[name]]
        if not begun:
            return None
        self._serial += 1
        spans = {**before.spans, **dict.fromkeys(begun, self._serial)}
        self._newest = Epoch(
            *(self._serial, table, since, runs),
            file=before.file,
            spans=spans,
            scales=before.scales,
        )
        return self._newest

    def enforce(self, epoch: Epoch) -> None:
        """The epoch is in force. A version that no epoch knows any more is forgotten."""
        self._epochs.append(epoch)
        self._let_go()
        self.vocabulary.declare(epoch.table)
        known = set[tuple[str, ...]]().union(*(one.versions() for one in self._epochs))
        known |= {key[:1] for key in known}
        self._closed.forget(lambda name: _foreign(name, known))
        others, self._scales = unlike(epoch.scales, self._scales), epoch.scales
        self._closed.forget(lambda name: is_value(name, others))

    def add(self, owner: int, epoch: Epoch, ledger: Ledger) -> None:
        """``owner`` counts in this ledger from now on."""
        self._open[owner, epoch] = ledger

    def close(self, owner: int, serial: int) -> None:
        """Nobody writes to the owner's ledger of that epoch any more."""
        for one, epoch in tuple(self._open):
            if one == owner and epoch.serial == serial:
                ledger = self._open.pop((owner, epoch))
                self._fold(self._closed, epoch, ledger)
                epoch.closed.fold(ledger)
                self._answered[owner] += answers_in(ledger)

    def close_all(self, owner: int) -> None:
        """The owner is no more."""
        for one, epoch in tuple(self._open):
            if one == owner:
                self.close(owner, epoch.serial)
        del self._answered[owner]

    def total(self) -> Totals:
        """What was counted since the start, in all processes and generations."""
        totals = Totals()
        for (_, epoch), ledger in self._open.items():
            self._fold(totals, epoch, ledger)
        totals.merge(self._closed)
        for name, amount in totals.sums.items():
            told = self._told.get(name, 0.0)
            # Closing a ledger adds up in another order: a sum must not shrink by a rounding error,
            # which Prometheus would take for a counter that began anew.
            if told * (1 - _ROUNDING) <= amount < told:
                totals.sums[name] = told
        self._told = dict(totals.sums)
        return totals

    def under(self, epoch: Epoch) -> Totals:
        """What was counted under one epoch, and its gauges."""
        totals = total(ledger for (_, one), ledger in self._open.items() if one is epoch)
        totals.merge(epoch.closed)
        return totals

    def told(self) -> list[tuple[Epoch, Totals]]:
        """What was counted under each epoch, each route's under the one where it is told of."""
        found = {one.serial: Totals() for one in self._epochs}
        for one in self._epochs:
            under = self.under(one)
            if one.is_round:
                for serial, part in _by_span(one, under).items():
                    if serial in found:
                        found[serial].merge(part)
            else:
                found[one.serial] = under
        return [(one, found[one.serial]) for one in self._epochs]

    def since_taken(self) -> tuple[float, Totals]:
        """When the file in force was taken, and what was counted under it."""
        file = self._epochs[-1].file
        since, totals = 0.0, Totals()
        for one in self._epochs:
            if one.file == file:
                totals.merge(self.under(one))
                totals.merge(one.left)
                since = since or one.since
        return since, totals

    def _let_go(self) -> None:
        """Of generations and rounds that are too old to be told of. Of a round, what routes counted
        that were not in it stays where it is told.
        """
        files = [one.serial for one in self._epochs if not one.is_round]
        oldest = files[-KEPT_GENERATIONS - 1 :][0]
        kept = {one.serial: one for one in self._epochs if one.file >= oldest}
        told = set(self._epochs[-1].spans.values())
        written = {epoch.serial for _, epoch in self._open}
        rounds = [one for one in kept.values() if one.is_round]
        for one in rounds[:-KEPT_ROUNDS]:
            if one.serial not in told | written:
                del kept[one.serial]
                for serial, part in _by_span(one, one.closed).items():
                    where = kept.get(serial)
                    (kept[one.file].left if where is None else where.closed).merge(part)
        self._epochs = list(kept.values())

    def _fold(self, totals: Totals, epoch: Epoch, ledger: Ledger) -> None:
        """On top of all there is: what a ledger says, less values between other bounds."""
        others = unlike(epoch.scales, self._scales)
        part = Totals() if others else totals
        part.fold(ledger)
        if others:
            part.forget(lambda name: is_value(name, others))
            totals.merge(part)

    def answered(self, owner: int) -> int:
        """Requests that one process has answered."""
        ledgers = [ledger for (one, _), ledger in self._open.items() if one == owner]
        return self._answered[owner] + sum(map(answers_in, ledgers))


def _by_span(epoch: Epoch, totals: Totals) -> dict[int, Totals]:
    """By the serial of the epoch where a route is told of. What is of no route is not."""
    found: dict[int, Totals] = {}
    for kind, names in (("counts", totals.counts), ("sums", totals.sums)):
        for name, number in names.items():
            if name[1] in epoch.spans:
                part = found.setdefault(epoch.spans[name[1]], Totals())
                getattr(part, kind)[name] = number
    return found


def answers_in(ledger: Ledger) -> int:
    """How many requests were answered under a ledger."""
    return sum(
        ledger.counts[entry.first]
        for entry in ledger.entries()
        if entry.name[0] == "requests" and entry.kind is Kind.COUNT
    )


def _foreign(name: Name, known: set[tuple[str, ...]]) -> bool:
    """Whether it counts something of a version, or a route, that is not known."""
    return (len(name) > 2 or name[0] in OF_A_ROUTE) and name[1:3] not in known
