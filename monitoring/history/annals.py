"""The whole history in the order in which it happened: changes of the file, and between them what
was found out about candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from monitoring.history import changes, journal
from monitoring.judgement.record import VERDICT

Event: TypeAlias = changes.Entry | journal.Row
"""A change of the file, or the row of a verdict."""


def events(file: Path) -> Iterator[Event]:
    """Changes and verdicts, oldest first. Raises OSError."""
    after: dict[str, list[journal.Row]] = {"": []}
    latest = ""
    for row in journal.rows(file, {VERDICT, "intent"}):
        if row["row"] == "intent":
            latest = str(row["id"])
            after[latest] = []
        else:
            after[latest].append(row)
    yield from after[""]
    for entry in changes.read(file):
        yield entry
        yield from after.get(entry.id, ()) if entry.id else ()
