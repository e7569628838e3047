"""Who changed the traffic, when and why: JSON lines beside the file, only ever appended to.

``routing.yaml`` has ``routing.history.jsonl``. A change is written ahead: its ``intent`` row is on
disk before the file is renamed, a ``done`` row follows. Where a crash left the second one out, the
content hashes tell what happened: every row says which text it found and which it meant to leave,
so the next row, or the file itself, shows whether it came to be. Text that no row left there was
edited by hand, and the history says so, too: it always explains the present.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from gateway import atomic, routing_file
from gateway.errors import StaleEdit

BY_HAND: Final = "edited by hand"
"""The action of an entry nobody wrote: the file changed without this tool."""

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


def history_path(path: Path) -> Path:
    """Where the history of a routing file lies."""
    target = routing_file.resolve(path)
    return target.with_name(f"{target.stem}.history.jsonl")


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
    is under way. Rows nobody can read are left out: a crash may have torn one. Raises OSError if
    there is no such routing file.
    """
    if current_generation is None:
        if not history_path(path).exists():
            return []
        with routing_file.locked(path):
            return read(path, routing_file.read(path).generation)
    entries = _judged(rows(path), current_generation)
    return _with_edits_by_hand(entries, current_generation, path)


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows that can be read, oldest first; each has an ``id``."""
    try:
        lines = history_path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                found.append(row)
    return found


def _judged(rows: list[dict[str, Any]], current: str) -> list[Entry]:
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


def append(path: Path, row: Mapping[str, object], *, sync: bool = False) -> None:
    """One row, in one write; with ``sync`` on disk when it returns. A torn row before it gets the
    line end it lacks. Raises OSError.
    """
    file = history_path(path)
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    # What is no Unicode (a reason from a strange terminal) becomes the escape JSON has for it.
    line = text.encode("utf-8", "backslashreplace") + b"\n"
    descriptor = atomic.open_shared(file, os.O_RDWR | os.O_APPEND, routing_file.resolve(path))
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
