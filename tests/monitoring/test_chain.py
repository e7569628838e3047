"""Changes that were recorded late stand where they were made."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from monitoring.history.chain import BY_HAND, Entry, Status, chained, with_edits_by_hand

Row = dict[str, Any]


def make_entry(change: str, at: int) -> Entry:
    """``a-b`` leads from file ``a`` to file ``b``."""
    before, after = change.split("-")
    return Entry(
        id=f"{change} at {at}",
        at=f"{at:06}",
        by="controller",
        action="rollback",
        before_hash=before,
        after_hash=after,
    )


def ahead(change: str, at: int, outcome: str = "done") -> list[Row]:
    row = {**asdict(make_entry(change, at)), "row": "intent"}
    ending = {"row": outcome, "id": row["id"], "at": row["at"]}
    return [row, ending] if outcome else [row]


def late(change: str, at: int) -> list[Row]:
    return [{**asdict(make_entry(change, at)), "row": "late"}]


def story(rows: list[Row], current: str) -> list[str]:
    entries = with_edits_by_hand(chained(rows, current), current, lambda: "999999")
    return [
        f"{entry.before_hash}-{entry.after_hash}"
        + (" by hand" if entry.action == BY_HAND else "")
        + (f" {entry.status}" if entry.status is not Status.DONE else "")
        for entry in entries
    ]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([late("a-b", 1)], ["a-b"]),
        ([late("a-b", 1), ahead("b-c", 2)], ["a-b", "b-c"]),
        ([ahead("b-c", 2), late("a-b", 1)], ["a-b", "b-c"]),
        ([ahead("a-b", 1), late("b-c", 2)], ["a-b", "b-c"]),
        ([ahead("a-b", 1), ahead("c-d", 3), late("b-c", 2)], ["a-b", "b-c", "c-d"]),
        (
            [ahead("a-b", 1), ahead("d-e", 4), late("b-c", 2), late("c-d", 3)],
            ["a-b", "b-c", "c-d", "d-e"],
        ),
        (
            [ahead("a-b", 1), ahead("d-e", 4), late("c-d", 3), late("b-c", 2)],
            ["a-b", "b-c", "c-d", "d-e"],
        ),
        ([ahead("a-b", 1), ahead("c-d", 3), late("b-x", 2)], ["a-b", "b-x", "x-c by hand", "c-d"]),
        ([ahead("a-b", 1), ahead("c-d", 3), late("x-c", 2)], ["a-b", "b-x by hand", "x-c", "c-d"]),
        (
            [ahead("a-b", 1), ahead("b-d", 3), late("b-c", 2)],
            ["a-b", "b-c", "c-b by hand", "b-d"],
        ),
        ([ahead("a-b", 1, ""), ahead("c-d", 3), late("b-c", 2)], ["a-b", "b-c", "c-d"]),
        ([ahead("a-b", 1, ""), late("a-c", 2)], ["a-b interrupted", "a-c"]),
        ([ahead("a-b", 1, ""), ahead("c-d", 3)], ["a-b unknown", "a-c by hand", "c-d"]),
        (
            [ahead("a-b", 1, ""), ahead("a-c", 2, ""), ahead("d-e", 3)],
            ["a-b interrupted", "a-c unknown", "a-d by hand", "d-e"],
        ),
        ([ahead("a-b", 1, "conflict"), late("x-c", 2)], ["a-b conflict", "a-x by hand", "x-c"]),
    ],
    ids=[
        "alone",
        "before others",
        "first of all, told last",
        "last of all",
        "in between",
        "two in a row",
        "two in a row, in the other order",
        "before an edit by hand",
        "after an edit by hand",
        "undone by hand",
        "after a change whose end was not recorded",
        "after an interrupted change",
        "a crash before an edit by hand",
        "two crashes before an edit by hand",
        "after a conflict",
    ],
)
def test_a_late_row_is_told_at_its_place(rows: list[list[Row]], told: list[str]) -> None:
    together = [row for some in rows for row in some]
    present = told[-1].split("-")[1].split()[0]
    assert story(together, present) == told


def test_where_the_hashes_fit_twice_the_time_decides() -> None:
    rows = [*ahead("a-b", 1), *ahead("b-a", 3), *ahead("a-b", 5), *ahead("b-a", 7)]
    for at, place in ((2, 1), (6, 3)):
        entries = chained([*rows, *late("b-b", at)], "a")
        assert [entry.at for entry in entries].index(f"{at:06}") == place


def test_hashes_decide_before_a_clock_that_was_set_back() -> None:
    rows = [*ahead("a-b", 101), *ahead("b-c", 102), *ahead("d-e", 4), *late("c-d", 3)]
    assert story(rows, "e") == ["a-b", "b-c", "c-d", "d-e"]


def test_what_was_recorded_after_it_happened_after_it() -> None:
    """Whatever the clocks say: its row was there first."""
    rows = [*ahead("a-b", 1), *late("b-b", 50), *ahead("b-c", 3), *ahead("c-d", 4)]
    assert story(rows, "d") == ["a-b", "b-b", "b-c", "c-d"]


def test_recording_it_twice_is_recording_it_once() -> None:
    assert story([*ahead("a-b", 1), *late("b-c", 2), *late("b-c", 2)], "c") == ["a-b", "b-c"]


def test_a_late_row_completes_an_intent_that_was_not_surely_on_disk() -> None:
    rows = [*ahead("a-b", 1, ""), *late("a-b", 1)]
    assert story(rows, "x") == ["a-b", "b-x by hand"]


@dataclass
class Past:
    """What really happened to a file, and the rows that were written."""

    draw: random.Random
    file: int = 0
    time: int = 0
    rows: list[Row] = field(default_factory=list)
    truth: list[str] = field(default_factory=list)
    owed: list[Row] = field(default_factory=list)
    torn: bool = False  # nothing tells yet what became of the last intent

    def step(self) -> None:
        self.time += 1
        before, after = self.file, self.time
        change = f"{before}-{after}"
        match self.draw.choice(["recorded", "torn", "crashed", "unrecorded", "by hand", "late"]):
            case "recorded":
                self.rows += ahead(change, self.time)
                self.torn = False
            case "torn":
                self.rows += ahead(change, self.time, "")
                self.torn = True
            case "crashed":
                self.rows += ahead(change, self.time, "")
                self.truth.append(f"{change} interrupted")
                self.torn = False
                return
            case "unrecorded":
                self.owed += late(change, self.time)
                self.torn = False
            case "by hand":
                # Before the first row nobody knows.
                if not self.truth:
                    return
                if self.torn or self.truth[-1].endswith(" interrupted"):
                    unknown = self.truth.pop().split()[0]
                    change = f"{unknown.split('-')[0]}-{after}"
                    self.truth.append(f"{unknown} unknown")
                    self.torn = False
                if self.truth[-1].endswith("by hand"):
                    change = f"{self.truth.pop().split('-')[0]}-{after}"
                change += " by hand"
            case "late":
                self.record_what_is_owed()
                return
        self.truth.append(change)
        self.file = after

    def record_what_is_owed(self) -> None:
        self.rows += self.owed
        self.owed = []


@pytest.mark.parametrize("seed", range(100))
def test_whatever_was_recorded_late_the_history_is_what_happened(seed: int) -> None:
    """Edits by hand that follow one another are told as one: nobody saw what was in between."""
    past = Past(random.Random(seed))
    for _ in range(30):
        past.step()
    past.record_what_is_owed()
    assert story(past.rows, str(past.file)) == past.truth
