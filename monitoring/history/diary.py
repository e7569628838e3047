"""The history as it grows, for who looks at it all day: each row is read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from gateway.files import routing_file
from monitoring.history import chain, changes, journal
from monitoring.judgement.docket import Filed, Key
from monitoring.judgement.record import VERDICT, WATCH, Record, resumed

_KINDS: Final = chain.KINDS | {VERDICT, WATCH}
_ENDS: Final = frozenset({"rollback", "promote", "start"})  # another run of the candidate follows


class Diary:
    """Of one routing file. ``content`` is its text, ``records`` are the newest of each candidate,
    as they were written; ``filed`` what a controller would go on from.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rows: list[journal.Row] = []  # of changes
        self._intents: dict[str, journal.Row] = {}  # of which it is not known what became of them
        self._changes: list[chain.Entry] = []
        self._size = 0
        self.content = b""
        self.records: dict[Key, Record] = {}
        self.filed: dict[Key, Filed] = {}

    def catch_up(self) -> list[chain.Entry]:
        """Read what was added since; the changes up to the present file, the oldest first. Raises
        OSError if there is no such routing file.
        """
        content, size = routing_file.read(self._path).content, self._written()
        if size is not None and (content, size) != (self.content, self._size):
            # No edit is under way while both are read: they belong together.
            with routing_file.locked(self._path):
                size, rows = self._written(), self._added()
                text = routing_file.read(self._path)
                content = text.content
            for row in rows:
                self._learn(row)
            entries = chain.chained(self._rows, text.generation)
            self._changes = chain.with_edits_by_hand(entries, text.generation, self._saved)
        self.content, self._size = content, size or 0
        return self._changes

    def _added(self) -> list[journal.Row]:
        rows, self._position = journal.tail(self._path, self._position, _KINDS)
        return rows

    def _written(self) -> int | None:
        """The size of the history; None if there is none."""
        try:
            return journal.history_path(self._path).stat().st_size
        except FileNotFoundError:
            return None

    def _saved(self) -> str:
        return changes.timestamp(routing_file.resolve(self._path).stat().st_mtime)

    def _learn(self, row: dict[str, Any]) -> None:
        if row["row"] in chain.KINDS:
            self._rows.append(row)
            self._follow(row)
        elif (record := Record.of(row)) is not None:
            self.records[record.key] = record
            self.filed[record.key] = record.filed

    def _follow(self, row: dict[str, Any]) -> None:
        """What a change means for what is known of its candidate."""
        if row["row"] == "intent":
            self._intents[row["id"]] = row
            return
        intent = self._intents.pop(row["id"], None)
        if intent is None or row["row"] == "conflict":
            return
        key = str(intent.get("route")), str(intent.get("version"))
        action = str(intent.get("action"))
        if action in _ENDS:
            self.filed.pop(key, None)
        elif action == "resume" and key in self.filed:
            self.filed[key] = resumed(self.records[key]).filed
