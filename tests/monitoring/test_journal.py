"""Rows beside the routing file: appended whole, read fast, followed as they come."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from monitoring.history import changes
from monitoring.history.changes import append, history_path, rows, tail

KILOBYTE = 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_text("a")
    return file


def note(number: int, kind: str = "watch", **more: object) -> dict[str, object]:
    return {"row": kind, "id": f"{kind}-{number}", "at": "2026-02-03T12:00:00.000Z", **more}


def ids(found: list[changes.Row]) -> list[str]:
    return [row["id"] for row in found]


def test_a_row_begins_with_its_kind_wherever_the_writer_put_it(path: Path) -> None:
    append(path, {"id": "1", "route": "iris", "row": "verdict", "numbers": {"bad": [1, 2]}})
    written = history_path(path).read_bytes()
    assert written == b'{"row":"verdict","id":"1","route":"iris","numbers":{"bad":[1,2]}}\n'
    assert list(rows(path)) == [json.loads(written)]


def test_a_row_without_a_kind_is_not_written(path: Path) -> None:
    with pytest.raises(KeyError, match="row"):
        append(path, {"id": "1"})
    assert list(rows(path)) == []


def test_rows_are_chosen_by_kind(path: Path) -> None:
    for number, kind in enumerate(["watch", "verdict", "watch", "intent", "told"]):
        append(path, note(number, kind))
    assert ids(list(rows(path))) == ["watch-0", "verdict-1", "watch-2", "intent-3", "told-4"]
    assert ids(list(rows(path, {"verdict", "told"}))) == ["verdict-1", "told-4"]
    assert list(rows(path, set())) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"row": "verdict", "id": "v"}',
        b'{"id": "v", "row": "verdict"}',
        b' {"row":"verdict","id":"v"}',
        '{"row":"verdict","id":"v","why":"größer\u2028"}'.encode(),
    ],
    ids=["spaced", "in another order", "indented", "with a line separator"],
)
def test_rows_in_another_hand_are_chosen_by_kind_as_well(path: Path, line: bytes) -> None:
    history_path(path).write_bytes(b"\n".join([b"no json", line, b"", b'{"row":"', b"\x00\xff"]))
    assert ids(list(rows(path, {"verdict"}))) == ["v"]
    assert list(rows(path, {"watch"})) == []


def test_rows_of_other_kinds_are_neither_parsed_nor_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 rows are 100 times as many: what is held must not grow with them."""
    counts = "x" * 10 * KILOBYTE
    for number in range(500):
        append(path, note(number, counts=counts))
    append(path, note(500, "intent"))
    parsed: list[int] = []
    real = json.loads

    def loads(text: bytes) -> object:
        parsed.append(len(text))
        return real(text)

    monkeypatch.setattr(json, "loads", loads)
    tracemalloc.start()
    try:
        assert ids(list(rows(path, {"intent"}))) == ["intent-500"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(parsed) == 1
    assert peak < 500 * KILOBYTE < 10 * history_path(path).stat().st_size


def test_no_history_no_rows(path: Path) -> None:
    assert list(rows(path)) == []
    assert tail(path, 0) == ([], 0)
    assert tail(path, 17) == ([], 0)


def test_what_was_appended_since_is_told_once(path: Path) -> None:
    append(path, note(1))
    append(path, note(2, "verdict"))
    found, position = tail(path, 0)
    assert ids(found) == ["watch-1", "verdict-2"]
    assert tail(path, position) == ([], position)
    append(path, note(3))
    append(path, note(4, "verdict"))
    found, later = tail(path, position, {"verdict"})
    assert ids(found) == ["verdict-4"]
    assert later == history_path(path).stat().st_size
    assert tail(path, later) == ([], later)


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_a_line_without_an_end_is_told_when_it_has_one(path: Path, kept: int) -> None:
    append(path, note(1))
    whole = history_path(path).read_bytes()
    line = json.dumps(note(2)).encode() + b"\n"
    history_path(path).write_bytes(whole + line[:kept])
    found, position = tail(path, 0)
    assert (ids(found), position) == (["watch-1"], len(whole))
    history_path(path).write_bytes(whole + line)
    assert ids(tail(path, position)[0]) == ["watch-2"]


def test_a_torn_line_is_passed_over_once_it_got_its_end(path: Path) -> None:
    append(path, note(1))
    _, position = tail(path, 0)
    with history_path(path).open("ab") as file:
        file.write(b'{"row":"watch","id":"to')
    append(path, note(3))
    assert ids(tail(path, position)[0]) == ["watch-3"]


@pytest.mark.parametrize("manner", ["cut off", "replaced", "replaced by more"])
def test_a_history_that_was_cut_off_or_replaced_is_read_from_its_beginning(
    path: Path, manner: str
) -> None:
    for number in range(3):
        append(path, note(number))
    _, position = tail(path, 0)
    if manner == "cut off":
        os.truncate(history_path(path), 0)
    else:
        history_path(path).unlink()
    size = 200 if manner == "replaced by more" else 1
    append(path, note(7, text="x" * size))
    found, position = tail(path, position)
    assert ids(found) == ["watch-7"]
    assert position == history_path(path).stat().st_size


def test_a_row_that_does_not_fit_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, note(1))
    before = history_path(path).read_bytes()
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:9]))
        with pytest.raises(OSError, match="No space") as caught:
            append(path, note(2))
    assert caught.value.errno == errno.ENOSPC
    assert history_path(path).read_bytes() == before
    append(path, note(3))
    assert ids(list(rows(path))) == ["watch-1", "watch-3"]


def test_a_row_that_cannot_be_taken_back_costs_no_other_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``chattr +a``, where a file can only be appended to."""

    def refused(_descriptor: int, _size: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:9]))
        patch.setattr(os, "ftruncate", refused)
        with pytest.raises(OSError, match="No space"):
            append(path, note(2))
    append(path, note(3))
    assert ids(list(rows(path))) == ["watch-3"]
