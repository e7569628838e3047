"""Every decision of the past made again from what was written down of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring.judgement.docket import Key
from monitoring.judgement.record import CONTROLLER, VERDICT, WATCH, Record


@dataclass(slots=True)
class Replay:
    """How many verdicts, looks in between and edits of the controller were looked at, and what did
    not come out the same: a sentence each, with the row's id.
    """

    verdicts: int = 0
    looks: int = 0
    edits: int = 0
    disagreements: list[str] = field(default_factory=list)


def replay(rows: Iterable[Mapping[str, Any]]) -> Replay:
    """Judge each recorded case again, choose again, and see whether each edit of the controller
    follows from the verdict before it; or, where the disk was full, from one of the same file that
    was written late.
    """
    found = Replay()
    latest: dict[Key, Record] = {}
    unexplained: dict[tuple[Key, str, str], str] = {}
    for row in rows:
        if row.get("row") in (VERDICT, WATCH) and row.get("case"):
            record = Record.of(row)
            if row["row"] == VERDICT:
                found.verdicts += 1
            else:
                found.looks += 1
            if record is None:
                found.disagreements.append(f"{row.get('id')}: this version cannot read it")
                continue
            latest[record.key] = record
            unexplained.pop((record.key, record.generation, str(record.action)), None)
            if why := record.disagreement():
                found.disagreements.append(f"{record.id}: {why}")
        elif row.get("row") in ("intent", "late") and row.get("by") == CONTROLLER:
            found.edits += 1
            key = str(row.get("route")), str(row.get("version"))
            if why := _unexplained(row, latest.get(key)):
                edit = key, str(row.get("before_hash")), str(row.get("action"))
                unexplained[edit] = f"{row.get('id')}: {why}"
    found.disagreements.extend(unexplained.values())
    return found


def _unexplained(row: Mapping[str, Any], record: Record | None) -> str:
    """Why an edit does not follow from the verdict before it; empty if it does."""
    action = row.get("action")
    if record is None:
        return f"{action} without a verdict before it"
    if str(record.action) != action:
        return f"{action} where the verdict before it called for {record.action}"
    return ""
