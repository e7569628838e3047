"""Who changed the traffic, when and why: JSON lines beside the file, only ever appended to.

``routing.yaml`` has ``routing.history.jsonl``. A change is written ahead: its ``intent`` row is on
disk before the file is renamed, a ``done`` row follows. Where a crash left the second one out, the
content hashes tell what happened: every row says which text it found and which it meant to leave,
so the next row, or the file itself, shows whether it came to be. Text that no row left there was
edited by hand, and the history says so, too: it always explains the present.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Final

from gateway import routing_file
from gateway.errors import StaleEdit
from monitoring.journal import Row, append, history_path, rows, tail

__all__ = [
    "BY_HAND",
    "Clock",
    "Entry",
    "Row",
    "Status",
    "append",
    "history_path",
    "new_id",
    "read",
    "recorded",
    "rows",
    "tail",
    "timestamp",
]

BY_HAND: Final = "edited by hand"
"""The action of an entry nobody wrote: the file changed without this tool."""

_CHANGES: Final = frozenset({"intent", "done", "conflict"})
"""The kinds of rows that tell of changes; others lie between them and mean nothing here."""

Clock = Callable[[], float]
"""Seconds since the epoch, as ``time.time``."""


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    INTERRUPTED = "interrupted"  # the process ended before the file was replaced
    CONFLICT = "conflict"  # somebody saved the file at the last moment: nothing was written


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the file.

    ``before`` and ``after`` are the shares of the route's versions in percent, stable included.
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
    status: Status = Status.DONE


def new_id() -> str:
    return token_hex(6)


def timestamp(seconds: float) -> str:
    """``2026-02-03T04:05:06.789Z``"""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


@contextmanager
def recorded(path: Path, entry: Entry, clock: Clock) -> Iterator[None]:
    """Write the entry ahead of what happens inside, and afterwards what became of it.

    To be used under the lock of the routing file. Raises OSError if the entry cannot be written.
    """
    row = {"row": "intent", **asdict(entry)}
    del row["status"]
    append(path, row, sync=True)
    outcome = "done"
    try:
        yield
    except StaleEdit:
        outcome = "conflict"
        raise
    except BaseException:
        # Who knows how far it came: the hashes will tell.
        outcome = ""
        raise
    finally:
        # The change is made or not, whether this row can be written or not.
        with suppress(OSError):
            if outcome:
                append(path, {"row": outcome, "id": entry.id, "at": timestamp(clock())})


def read(path: Path, current_generation: str | None = None) -> list[Entry]:
    """All changes up to the present file, oldest first.

    Without the present generation it is looked up here, together with the rows and while no edit
    is under way. Raises OSError if there is no such routing file.
    """
    end = None
    if current_generation is None:
        file = history_path(path)
        if not file.exists():
            return []
        # Rows up to here and the file as it is now belong together; they are read without keeping
        # edits waiting.
        with routing_file.locked(path):
            current_generation, end = routing_file.read(path).generation, file.stat().st_size
    entries = _judged(list(rows(path, _CHANGES, until=end)), current_generation)
    return _with_edits_by_hand(entries, current_generation, path)


def _judged(rows: list[Row], current: str) -> list[Entry]:
    """The intents, each with what became of it."""
    names = {each.name for each in fields(Entry)} - {"status"}
    intents = [
        Entry(**{name: row[name] for name in names})
        for row in rows
        if row.get("row") == "intent" and names <= row.keys()
    ]
    outcomes = {row["id"]: row.get("row") for row in rows if row.get("row") != "intent"}
    seen_next = [*(entry.before_hash for entry in intents), current][1:]
    return [
        replace(entry, status=_status(outcomes.get(entry.id), entry.after_hash == seen))
        for entry, seen in zip(intents, seen_next, strict=True)
    ]


def _status(outcome: object, seen_afterwards: bool) -> Status:
    if outcome == "conflict":
        return Status.CONFLICT
    return Status.DONE if outcome == "done" or seen_afterwards else Status.INTERRUPTED


def _with_edits_by_hand(entries: list[Entry], current: str, path: Path) -> list[Entry]:
    """Fill in what happened to the file between the entries, and after the last."""
    if not entries:
        return []
    explained: list[Entry] = []
    known = entries[0].before_hash
    for entry in entries:
        if entry.before_hash != known:
            explained.append(_by_hand(known, entry.before_hash, entry.at))
        explained.append(entry)
        known = entry.after_hash if entry.status is Status.DONE else entry.before_hash
    if current != known:
        saved = routing_file.resolve(path).stat().st_mtime
        explained.append(_by_hand(known, current, timestamp(saved)))
    return explained


def _by_hand(before: str, after: str, at: str) -> Entry:
    return Entry("", at, "", BY_HAND, before_hash=before, after_hash=after)
