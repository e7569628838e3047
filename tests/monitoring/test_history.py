"""The history: written ahead, folded afterwards, and never at odds with the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StaleEdit
from gateway.model import generation_of
from monitoring.commands.past import history
from monitoring.console.events import happenings
from monitoring.history import changes
from monitoring.history.changes import BY_HAND, Entry, Status, history_path, recorded, timestamp
from monitoring.terminal.rows import view_of
from monitoring.terminal.sight import Sight

NOON = 1_770_120_000.25


def clock() -> float:
    return NOON


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_text("a")
    return file


def make_entry(before: str = "a", after: str = "b", **overrides: object) -> Entry:
    """A change from one content of the file to another, both given as the text itself."""
    values = {
        "id": f"{before}-{after}",
        "at": timestamp(NOON),
        "by": "cli:alice",
        "action": "set-weight",
        "route": "iris",
        "version": "v2",
        "reason": "looks good",
        "before": {"v1": 90.0, "v2": 10.0},
        "after": {"v1": 87.75, "v2": 12.25},
        "before_hash": generation_of(before.encode()),
        "after_hash": generation_of(after.encode()),
        "diff": "-10\n+12.25\n",
    }
    return Entry(**{**values, **overrides})  # type: ignore[arg-type]


class Crash(BaseException):
    """The process ends here."""


def write(
    path: Path, entry: Entry, *, content: str | None = None, ends: BaseException | None = None
) -> None:
    """Record a change that leaves this content in the file, and then ends like that."""
    with suppress(Crash, StaleEdit), recorded(path, entry, clock):
        if content is not None:
            path.write_text(content)
        if ends:
            raise ends


def story(path: Path) -> list[tuple[str, str]]:
    """The history in short: who or what changed it, and what became of that."""
    return [(entry.id or entry.action, entry.status) for entry in changes.read(path)]


def test_a_change_reads_back_as_it_was_written(path: Path) -> None:
    write(path, make_entry(), content="b")
    assert changes.read(path) == [make_entry()]
    assert changes.read(path, generation_of(b"b")) == [make_entry()]


def test_the_history_lies_beside_the_file_also_through_a_link(path: Path) -> None:
    link = path.parent / "elsewhere" / "link.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    write(link, make_entry(), content="b")
    assert history_path(path) == path.with_name("routing.history.jsonl") == history_path(link)
    assert changes.read(link) == changes.read(path) == [make_entry()]


def test_each_row_is_a_line_of_json_that_people_can_read(path: Path) -> None:
    write(path, make_entry(reason="Rückfall\nzweite Zeile \udcff"), content="b")
    intent, done = history_path(path).read_bytes().splitlines()
    assert "Rückfall\\nzweite Zeile \\udcff".encode() in intent
    assert json.loads(intent)["row"] == "intent"
    assert json.loads(done) == {"row": "done", "id": "a-b", "at": "2026-02-03T12:00:00.250Z"}
    assert changes.read(path)[0].reason == "Rückfall\nzweite Zeile \udcff"


def test_the_intent_is_there_before_the_change(path: Path) -> None:
    with recorded(path, make_entry(), clock):
        [entry] = changes.read(path, generation_of(b"a"))
        assert entry == make_entry(status=Status.INTERRUPTED)


def test_no_history_no_entries(path: Path) -> None:
    assert changes.read(path) == []
    assert changes.read(path, generation_of(b"whatever")) == []


def test_a_crash_before_the_rename_is_an_interrupted_change(path: Path) -> None:
    write(path, make_entry(), ends=Crash())
    assert story(path) == [("a-b", Status.INTERRUPTED)]
    write(path, make_entry("a", "c"), content="c")
    assert story(path) == [("a-b", Status.INTERRUPTED), ("a-c", Status.DONE)]


def test_a_crash_after_the_rename_is_a_change_that_was_made(path: Path) -> None:
    write(path, make_entry(), content="b", ends=Crash())
    assert story(path) == [("a-b", Status.DONE)]
    write(path, make_entry("b", "c"), content="c")
    assert story(path) == [("a-b", Status.DONE), ("b-c", Status.DONE)]


@pytest.mark.parametrize("content", ["a", "b"], ids=["before the rename", "after the rename"])
def test_of_a_crash_before_an_edit_by_hand_nobody_knows_whether_it_was_made(
    path: Path, content: str
) -> None:
    """What the process left was gone before anybody looked: either is possible."""
    write(path, make_entry(), content=content, ends=Crash())
    path.write_text("x")
    assert story(path) == [("a-b", Status.UNKNOWN), (BY_HAND, Status.DONE)]
    write(path, make_entry("x", "y"), content="y")
    assert story(path) == [("a-b", Status.UNKNOWN), (BY_HAND, Status.DONE), ("x-y", Status.DONE)]


def test_a_crash_after_the_rename_that_people_were_told_of_is_a_change_that_was_made(
    path: Path,
) -> None:
    """Whoever told them had seen it in the file, before it was edited by hand."""
    write(path, make_entry(), content="b", ends=Crash())
    changes.append(path, {"row": "told", "id": "a-b", "at": "later", "outcome": "delivered"})
    path.write_text("x")
    assert story(path) == [("a-b", Status.DONE), (BY_HAND, Status.DONE)]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.INTERRUPTED, "[interrupted: nothing was changed]"),
        (Status.CONFLICT, "[conflict: nothing was changed]"),
        (Status.UNKNOWN, "[unknown: nobody saw whether it was in force for a while]"),
    ],
)
def test_what_became_of_a_change_is_said_as_far_as_it_is_known(
    path: Path, status: Status, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the command line, in ``status -w`` and in the console."""
    ends = StaleEdit("a", "x") if status is Status.CONFLICT else Crash()
    write(path, make_entry(), ends=ends)
    path.write_text("a" if status is Status.INTERRUPTED else "x")
    entry = changes.read(path)[0]
    assert entry.status is status

    history(path, 20, json=False)
    assert said in capsys.readouterr().out
    sight = Sight(NOON, (), changes=[entry])
    assert said in view_of(sight).changes[0].what
    assert f"[{happenings([entry])[0].became}]" == said


def test_a_change_tried_again_after_a_crash_counts_once(path: Path) -> None:
    write(path, make_entry(id="first"), ends=Crash())
    write(path, make_entry(id="second"), content="b")
    assert story(path) == [("first", Status.INTERRUPTED), ("second", Status.DONE)]


def test_a_conflict_does_not_look_carried_out(path: Path) -> None:
    write(path, make_entry(), content="x", ends=StaleEdit("a", "x"))
    assert story(path) == [("a-b", Status.CONFLICT), (BY_HAND, Status.DONE)]


def test_a_conflict_stays_one_even_if_the_file_comes_to_say_the_same(path: Path) -> None:
    write(path, make_entry(), content="b", ends=StaleEdit("a", "b"))
    assert story(path) == [("a-b", Status.CONFLICT), (BY_HAND, Status.DONE)]


def test_edits_by_hand_are_told_between_and_after_the_others(path: Path) -> None:
    write(path, make_entry(), content="b")
    path.write_text("x")
    later = replace(make_entry("x", "y"), at=timestamp(NOON + 60))
    write(path, later, content="y")
    path.write_text("z")
    os.utime(path, (NOON, NOON + 90))

    entries = changes.read(path)
    assert [entry.action for entry in entries] == ["set-weight", BY_HAND, "set-weight", BY_HAND]
    hashes = [(entry.before_hash, entry.after_hash) for entry in entries]
    assert hashes == [
        (generation_of(before), generation_of(after))
        for before, after in [(b"a", b"b"), (b"b", b"x"), (b"x", b"y"), (b"y", b"z")]
    ]
    # Known only as "no later than".
    assert (entries[1].at, entries[3].at) == (later.at, timestamp(NOON + 90))


def test_a_hand_that_undoes_a_change_is_told(path: Path) -> None:
    write(path, make_entry(), content="b")
    path.write_text("a")
    assert story(path) == [("a-b", Status.DONE), (BY_HAND, Status.DONE)]


@pytest.mark.parametrize(
    "kept", [1, 20, -2, -1], ids=["a byte", "some", "all but }", "all but end"]
)
def test_a_torn_row_costs_no_other_row(path: Path, kept: int) -> None:
    write(path, make_entry(), content="b")
    whole = history_path(path).read_bytes()
    write(path, make_entry("b", "c"), ends=Crash())
    torn = history_path(path).read_bytes()[len(whole) :][:kept]
    history_path(path).write_bytes(whole + torn)

    complete = [("b-c", Status.INTERRUPTED)] if kept == -1 else []
    assert story(path) == [("a-b", Status.DONE), *complete]
    write(path, make_entry("b", "d"), content="d")
    assert story(path) == [("a-b", Status.DONE), *complete, ("b-d", Status.DONE)]
    assert history_path(path).read_bytes().startswith(whole + torn + b"\n")


def test_rows_of_other_hands_and_later_versions_are_passed_over(path: Path) -> None:
    rows = [b"no json", b"[]", b"7", b"\x00\xff", b'{"id": 3}', b'{"row": "intent", "id": "x"}']
    rows.append(b'{"row": "note", "id": "a-b", "text": "from the future"}')
    rows += [b'{"row": ["intent"], "id": "x"}', b'{"id": "y"}']
    entry = {**asdict(make_entry()), "row": "late", "at": 7}
    rows.append(json.dumps(entry).encode())
    history_path(path).write_bytes(b"\n".join(rows) + b"\n")
    write(path, make_entry(), content="b")
    assert story(path) == [("a-b", Status.DONE)]


@pytest.mark.parametrize("name", sorted({*asdict(make_entry()), "row"} - {"status"}))
@pytest.mark.parametrize("value", [None, 7, True, [["x"]], {"v1": "much"}, {"v1": None}], ids=str)
def test_a_change_of_which_one_value_is_damaged_is_passed_over(
    path: Path, name: str, value: object
) -> None:
    write(path, make_entry(), content="b")
    good = history_path(path).read_bytes()
    row = {**asdict(make_entry("b", "c")), "row": "intent", name: value}
    history_path(path).write_bytes(good + json.dumps(row).encode() + b"\n")

    assert story(path) == [("a-b", Status.DONE)]


def test_rows_that_are_no_changes_lie_between_the_changes_and_mean_nothing(path: Path) -> None:
    """Even one that is about a change, by its id."""

    def others(about: str) -> None:
        for kind in ("watch", "verdict", "told", "of a later version"):
            row = {"row": kind, "id": about, "at": timestamp(NOON), "before_hash": "x"}
            changes.append(path, row)

    others("a-b")
    write(path, make_entry(), content="b", ends=Crash())
    others("a-b")
    write(path, make_entry("b", "x"), ends=StaleEdit("b", "x"))
    others("b-x")
    write(path, make_entry("b", "c"), content="c")
    others("b-c")
    assert story(path) == [
        ("a-b", Status.DONE),
        ("b-x", Status.CONFLICT),
        ("b-c", Status.DONE),
    ]


def test_a_change_made_while_the_history_is_read_is_no_edit_by_hand(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are read without keeping edits waiting, so one may come in between."""
    write(path, make_entry(), content="b")
    real = changes.rows

    def rows(*arguments: Any, **options: Any) -> Iterator[changes.Row]:
        monkeypatch.undo()
        write(path, make_entry("b", "c"), content="c")
        return real(*arguments, **options)

    monkeypatch.setattr(changes, "rows", rows)
    assert story(path) == [("a-b", Status.DONE)]
    assert story(path) == [("a-b", Status.DONE), ("b-c", Status.DONE)]


def test_a_history_that_cannot_be_written_prevents_the_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", lambda _descriptor, data: len(data) - 1)
    with pytest.raises(OSError, match="No space"), recorded(path, make_entry(), clock):
        pytest.fail("went on without its intent on disk")


def test_a_change_that_is_made_is_not_undone_by_its_missing_second_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with recorded(path, make_entry(), clock):
        path.write_text("b")
        monkeypatch.setattr(os, "write", full)
    assert story(path) == [("a-b", Status.DONE)]


def test_whoever_may_edit_the_file_may_write_its_history(path: Path) -> None:
    path.chmod(0o660)
    write(path, make_entry(), content="b")
    assert history_path(path).stat().st_mode & 0o777 == 0o660
