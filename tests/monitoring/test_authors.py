"""Who changed a file, as the gateway's log is told: never somebody who did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.edit import SetWeight
from gateway.files.changes import Authorship
from gateway.model import generation_of
from monitoring import editing
from monitoring.history.authors import Authors

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
"""
HAND = Authorship("unknown", "edited by hand")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


def edit(file: Path, percent: int, by: str, reason: str = "") -> str:
    """The generation of what was left."""
    change = SetWeight("iris", "v2", percent * 100)
    return editing.change(file, change, by=by, reason=reason, action="set-weight").generation


def by_hand(file: Path, text: str) -> str:
    file.write_text(text)
    return generation_of(text.encode())


def test_each_change_is_of_who_made_it(file: Path) -> None:
    authors = Authors(file)

    assert authors(edit(file, 20, "cli:ana", "good\nso far")) == Authorship(
        *("cli:ana", "set-weight", "good\nso far")
    )
    assert authors(edit(file, 0, "controller")).by == "controller"
    assert authors(by_hand(file, TEXT)) == HAND


def test_of_changes_that_come_at_once_the_last_one_counts(file: Path) -> None:
    authors = Authors(file)
    edit(file, 20, "cli:ana")

    assert authors(edit(file, 30, "console")).by == "console"


def test_a_text_that_comes_again_by_hand_is_not_theirs_who_left_it_first(file: Path) -> None:
    edit(file, 15, "cli:eve")
    before = file.read_text()
    edit(file, 20, "cli:eve")
    authors = Authors(file)  # begins here

    assert authors(by_hand(file, before)) == HAND
    once = edit(file, 30, "cli:ana")
    again = file.read_text()
    assert authors(once).by == "cli:ana"
    assert authors(by_hand(file, TEXT)) == HAND
    assert authors(by_hand(file, again)) == HAND


def test_a_change_that_is_written_ahead_is_not_taken_for_the_one_in_force(file: Path) -> None:
    """It may be in the history already when the file before it is taken."""
    authors = Authors(file)
    before = by_hand(file, TEXT.replace("weight: 10", "weight: 11"))
    after = edit(file, 20, "cli:ana")

    assert authors(before) == HAND
    assert authors(after).by == "cli:ana"


def test_without_a_history_it_was_edited_by_hand(file: Path) -> None:
    assert Authors(file)(by_hand(file, TEXT)) == HAND


def test_rows_that_nobody_understands_are_nobodys(file: Path) -> None:
    authors = Authors(file)
    edit(file, 20, "cli:ana")
    with file.with_name("routing.history.jsonl").open("a") as history:
        history.write('{"row":"intent","id":"x"}\nnothing\n{"row":"intent","id":"y","by":7}\n')

    assert authors(by_hand(file, TEXT)) == HAND
