"""What a person is shown whose edit was refused because the file was saved in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitoring.console import listing
from monitoring.console.difference import Line
from monitoring.console.listing import Row
from monitoring.console.proposal import between
from monitoring.console.texts import Texts
from monitoring.history import changes
from monitoring.history.chain import Entry


@dataclass(frozen=True, slots=True)
class Conflict:
    """``seen`` and ``found`` are the generations of the page and of the file; ``was`` and ``now``
    their texts, ``was`` None where nobody remembers it. ``changes`` are those that the history
    knows of in between, the oldest first.
    """

    seen: str
    found: str
    was: tuple[Row, ...] | None
    now: tuple[Row, ...] | None
    lines: tuple[Line, ...]
    changes: tuple[Entry, ...]


def conflict(file: Path, texts: Texts, seen: str, found: str) -> Conflict:
    """Between two generations."""
    was, now = texts.get(seen), texts.get(found)
    lines = () if was is None or now is None else between(was, now, file.name)
    return Conflict(
        seen,
        found,
        None if was is None else listing.rows(was),
        None if now is None else listing.rows(now),
        lines,
        changes_since(file, seen),
    )


def changes_since(file: Path, generation: str) -> tuple[Entry, ...]:
    """What happened to the file since it was last of a generation; empty if nobody knows."""
    try:
        done = [one for one in changes.read(file) if one.status is changes.Status.DONE]
    except OSError:
        return ()
    for place in range(len(done) - 1, -1, -1):
        if done[place].before_hash == generation:
            return tuple(done[place:])
    return ()
