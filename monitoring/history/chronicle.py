"""What the controller writes into the history beside its edits, and what it learns from there.

Verdicts are written when they say something new, and how far one has come every so often: after a
kill at most a tenth of the time watched is lost, never evidence, which the gateways still hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from monitoring.history import changes, journal
from monitoring.judgement.acting import change_of
from monitoring.judgement.docket import Filed, Judgement, Key
from monitoring.judgement.record import VERDICT, WATCH, Record, Says, resumed, row_of, says_of
from monitoring.rollout.rules import Action
from monitoring.rollout.watch import gap_after

_ENDS: Final = frozenset({"rollback", "promote", "start"})
"""Actions after which what was known of a candidate is about another run."""


class Chronicle:
    """Of one routing file. Everything here may raise OSError."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._position = 0
        self._said: dict[Key, Says] = {}
        self._noted: dict[Key, float] = {}  # seconds watched as of the last row
        self._about: dict[Key, str] = {}  # the generation it is about
        self._late: list[changes.Entry] = []
        self._unwritten: dict[Key, journal.Row] = {}  # the verdicts that called for those
        self.told: set[str] = set()
        self.last_action: dict[Key, str] = {}

    def recall(self) -> dict[Key, Filed]:
        """What an earlier controller knew of the candidates, from all rows so far."""
        records: dict[Key, Record] = {}
        rows, self._position = journal.tail(self.path, 0)
        done = {row["id"] for row in rows if row.get("row") in ("done", "late")}
        for row in rows:
            record = Record.of(row)
            if record is not None:
                records[record.key] = record
                self._said[record.key] = record.says
                self._about[record.key] = record.generation
            self._learn(row)
            key = _key(row)
            if row.get("row") == "intent" and row["id"] in done and key in records:
                action = str(row.get("action"))
                if action in _ENDS:
                    del records[key]
                elif action == "resume":
                    records[key] = resumed(records[key])
        return {key: record.filed for key, record in records.items()}

    def catch_up(self) -> bool:
        """Read what was added since. Says whether there was a change among it."""
        rows, self._position = journal.tail(self.path, self._position)
        for row in rows:
            self._learn(row)
        return any(row.get("row") in ("done", "late") for row in rows)

    @property
    def owed(self) -> Sequence[changes.Entry]:
        """The changes that were made and that the history could not take yet."""
        return tuple(self._late)

    def owe(self, entry: changes.Entry) -> None:
        """A change was made and could not be written down."""
        self._late.append(entry)

    def settle(self) -> None:
        """Write down what is owed, and why it was done."""
        for key, row in list(self._unwritten.items()):
            journal.append(self.path, row)
            del self._unwritten[key]
        while self._late:
            changes.record_late(self.path, self._late[0], self._clock)
            del self._late[0]

    def note(self, judgement: Judgement, generation: str) -> bool:
        """Write a row if there is something to say; of what calls for an edit one for each file
        that it is an edit of. True if it says something new.
        """
        key = judgement.key
        says = says_of(judgement)
        seconds = judgement.filed.watch.seconds if judgement.filed else 0.0
        new = self._said.get(key) != says
        since = seconds - self._noted.get(key, 0.0)
        due = since < 0 or since >= gap_after(seconds)
        another = change_of(judgement) is not None and self._about.get(key) != generation
        if new or due or another:
            self.write(judgement, VERDICT if new else WATCH, generation)
            self._said[key], self._noted[key], self._about[key] = says, seconds, generation
        return new

    def write(self, judgement: Judgement, kind: str, generation: str) -> None:
        """A row of this judgement."""
        at = changes.timestamp(self._clock())
        row = row_of(judgement, kind=kind, id=changes.new_id(), at=at, generation=generation)
        if judgement.action is Action.ROLLBACK:  # it is done all the same, and then it is owed
            self._unwritten[judgement.key] = row
        journal.append(self.path, row)
        self._unwritten.pop(judgement.key, None)

    def tell(self, ids: Sequence[str], outcome: str) -> None:
        """People were told of these changes, or nobody could be."""
        self.told.update(ids)
        for one in ids:
            row = {"row": "told", "id": one, "at": changes.timestamp(self._clock())}
            journal.append(self.path, row | {"outcome": outcome})

    def forget(self, key: Key) -> None:
        """The run has ended."""
        self._said.pop(key, None)
        self._noted.pop(key, None)
        self._about.pop(key, None)

    def _learn(self, row: Mapping[str, Any]) -> None:
        if row.get("row") == "told":
            self.told.add(str(row["id"]))
        elif row.get("row") == "intent":
            with suppress(KeyError):
                self.last_action[_key(row)] = str(row["action"])


def _key(row: Mapping[str, Any]) -> Key:
    return str(row.get("route")), str(row.get("version"))
