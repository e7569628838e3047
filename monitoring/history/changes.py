"""Who changed the traffic, when and why: JSON lines beside the file, only ever appended to.

``routing.yaml`` has ``routing.history.jsonl``. A change is written ahead: its ``intent`` row is on
disk before the file is renamed, a ``done`` row follows. Where a crash left the second one out, the
content hashes tell what happened: every row says which text it found and which it meant to leave,
so the next row, or the file itself, shows whether it came to be. Text that no row left there was
edited by hand, and the history says so, too: it always explains the present. Where somebody did so
right after a crash, it says that nobody knows.

What cannot be recorded is not done, save for a rollback. Such a one gets a ``late`` row when there
is room again, and is told where it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from time import time

from gateway.errors import StaleEdit
from gateway.files import routing_file
from monitoring.history import chain
from monitoring.history.chain import BY_HAND, Entry, Status
from monitoring.history.journal import Row, append, history_path, rows, tail

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
    "record_late",
    "recorded",
    "rows",
    "tail",
    "timestamp",
]

Clock = Callable[[], float]
"""Seconds since the epoch, as ``time.time``."""


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
    append(path, {"row": "intent", **_ahead(entry)}, sync=True)
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


def record_late(path: Path, entry: Entry, clock: Clock = time) -> None:
    """Record a change that was made unrecorded: one row, which :func:`read` puts at its place.
    More than once does no harm. Raises OSError.
    """
    row = {"row": "late", **_ahead(entry), "recorded": timestamp(clock())}
    append(path, row, sync=True)


def _ahead(entry: Entry) -> dict[str, object]:
    """What is known of an entry before it is known what becomes of it."""
    row = asdict(entry)
    del row["status"]
    return row


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
    entries = chain.chained(list(rows(path, chain.KINDS, until=end)), current_generation)
    return chain.with_edits_by_hand(entries, current_generation, lambda: _saved(path))


def _saved(path: Path) -> str:
    return timestamp(routing_file.resolve(path).stat().st_mtime)
