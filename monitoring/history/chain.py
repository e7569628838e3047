"""From the rows of a history to the changes of a file: each begins where the one before it ended.

No clock, no file. What became of a change is told by its second row or, where a crash left that
out, by the content hashes: the next text that anybody saw is the one it was to make, or the one it
found. If it is neither, somebody saved in between, and nobody knows. A change that was recorded
late is put where it was made; what is left unexplained was edited by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

BY_HAND: Final = "edited by hand"
"""The action of an entry nobody wrote: the file changed without this tool."""

KINDS: Final = frozenset({"intent", "done", "conflict", "late", "told"})
"""The kinds of rows that tell of changes; others lie between them and mean nothing here."""

_MADE: Final = frozenset({"done", "late", "told"})
"""What there is only of a change that was made: people are told of none before it is in the file.
"""


# What a row says; ``former`` as well, but for rows of older versions.
_TEXTS: Final = (
    *("id", "at", "by", "action", "route", "version", "reason"),
    *("before_hash", "after_hash", "diff"),
)
_SHARES: Final = ("before", "after")


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    INTERRUPTED = "interrupted"  # the process ended before the file was replaced
    CONFLICT = "conflict"  # somebody saved the file at the last moment: nothing was written
    UNKNOWN = "unknown"  # the process ended, and the file was saved by hand before anybody looked


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the file.

    ``before`` and ``after`` are the shares of the route's versions in percent, stable included;
    ``former`` was stable before, where another version is afterwards.
    An edit by hand is only known afterwards: it has the hashes on both sides, and an ``at`` before
    which it happened.
    """

    id: str
    at: str  # ISO 8601, UTC
    by: str
    action: str
    route: str = ""
    version: str = ""
    reason: str = ""
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    before_hash: str = ""
    after_hash: str = ""
    diff: str = ""
    former: str = ""
    status: Status = Status.DONE

    @property
    def left(self) -> str:
        """The hash of the file afterwards."""
        return self.after_hash if self.status is Status.DONE else self.before_hash

    @property
    def became(self) -> str:
        """What became of it, to people; empty if it was made."""
        if self.status is Status.DONE:
            return ""
        if self.status is Status.UNKNOWN:
            return f"{self.status}: nobody saw whether it was in force for a while"
        return f"{self.status}: nothing was changed"


def chained(rows: Sequence[Mapping[str, Any]], current: str) -> list[Entry]:
    """The changes that rows of these :data:`KINDS` tell of, in the order in which they were made,
    without edits by hand. ``current`` is the hash of the present file.
    """
    outcomes = {row["id"]: row["row"] for row in rows if row["row"] == "told"}
    outcomes |= {row["id"]: row["row"] for row in rows if row["row"] not in ("intent", "told")}
    ahead: dict[str, Entry] = {}
    late: dict[str, tuple[Entry, int]] = {}
    for row in rows:
        entry = _entry(row)
        if entry is None or entry.id in ahead or entry.id in late:
            continue
        if row["row"] == "intent":
            ahead[entry.id] = entry
        else:
            late[entry.id] = entry, len(ahead)
    entries = list(ahead.values())
    order = list(ahead)
    for entry, made_before in sorted(late.values(), key=lambda one: one[0].at):
        later = set(order[made_before:])
        end = next((i for i, one in enumerate(entries) if one.id in later), len(entries))
        entries.insert(_place(entry, _judged(entries, outcomes, current), end, current), entry)
    return _judged(entries, outcomes, current)


def with_edits_by_hand(
    entries: Sequence[Entry], current: str, saved: Callable[[], str]
) -> list[Entry]:
    """Fill in what happened to the file between the entries, and after the last; ``saved`` tells
    when the present file was.
    """
    if not entries:
        return []
    explained: list[Entry] = []
    known = entries[0].before_hash
    for entry in entries:
        if entry.before_hash != known:
            explained.append(_by_hand(known, entry.before_hash, entry.at))
        explained.append(entry)
        known = entry.left
    if current != known:
        explained.append(_by_hand(known, current, saved()))
    return explained


def _by_hand(before: str, after: str, at: str) -> Entry:
    return Entry("", at, "", BY_HAND, before_hash=before, after_hash=after)


def _entry(row: Mapping[str, Any]) -> Entry | None:
    """None for a row that tells of no change, or that a later version or another hand wrote."""
    if row["row"] not in ("intent", "late"):
        return None
    values: dict[str, Any] = {name: row.get(name) for name in (*_TEXTS, *_SHARES)}
    values["former"] = row.get("former", "")
    shares = all(_are_shares(values[name]) for name in _SHARES)
    texts = all(isinstance(values[name], str) for name in (*_TEXTS, "former"))
    return Entry(**values) if shares and texts else None


def _are_shares(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(one, int | float) and 0 <= one <= 100 for one in found.values()
    )


def _judged(entries: Sequence[Entry], outcomes: Mapping[str, object], current: str) -> list[Entry]:
    """Each with what became of it."""
    seen_next = [*(entry.before_hash for entry in entries), current][1:]
    return [
        replace(entry, status=_status(entry, outcomes.get(entry.id), seen))
        for entry, seen in zip(entries, seen_next, strict=True)
    ]


def _status(entry: Entry, outcome: object, seen: str) -> Status:
    """``seen`` is the hash of the next text that is known of."""
    if outcome == "conflict":
        return Status.CONFLICT
    if outcome in _MADE or seen == entry.after_hash:
        return Status.DONE
    return Status.INTERRUPTED if seen == entry.before_hash else Status.UNKNOWN


def _place(entry: Entry, entries: Sequence[Entry], end: int, current: str) -> int:
    """Where among the entries one belongs that was recorded late, when the first ``end`` of them
    had been made: where it leaves the fewest edits by hand to be told; of several such places the
    one nearest to its time.
    """
    found = [*(one.before_hash for one in entries), current]
    known = [found[0], *(one.left for one in entries)]
    by_time = sum(one.at <= entry.at for one in entries[:end])

    def cost(place: int) -> tuple[int, int]:
        # Nothing is known of the file before the first entry.
        begins_elsewhere = place > 0 and known[place] != entry.before_hash
        hands = begins_elsewhere + (entry.after_hash != found[place])
        return hands - (known[place] != found[place]), abs(place - by_time)

    return min(range(end + 1), key=cost)
