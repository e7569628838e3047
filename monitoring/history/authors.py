"""Who changed a file, for the gateway's log: what the history says of the text that is in force."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.files.changes import Authorship
from monitoring.history import journal
from monitoring.history.chain import BY_HAND

_KINDS: Final = frozenset({"intent", "late"})
_HAND: Final = Authorship("unknown", BY_HAND)


class Authors:
    """Of one routing file, from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        # What each change left, and who made it: those that were not seen in force yet. A text may
        # come again by hand, and then it is not theirs.
        self._coming: list[tuple[str, Authorship]] = []
        with suppress(OSError):
            self._position = journal.history_path(path).stat().st_size

    def __call__(self, generation: str) -> Authorship:
        """Who left this text, which is in force: a change has its row before, and who edits by hand
        leaves none. Raises OSError.
        """
        rows, self._position = journal.tail(self._path, self._position, _KINDS)
        for row in rows:
            by, action, reason = (str(row.get(name, "")) for name in Authorship._fields)
            self._coming.append((str(row.get("after_hash")), Authorship(by, action, reason)))
        for place, (left, author) in enumerate(self._coming):
            if left == generation:
                del self._coming[: place + 1]
                return author
        return _HAND
