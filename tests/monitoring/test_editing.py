"""The one function through which machines change traffic."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.edit import Change, Promote, Restore, SetWeight
from gateway.errors import EditFailed, EditRefused, StaleEdit
from gateway.files import atomic, reserve, routing_file
from gateway.model import generation_of
from monitoring.editing import Changed, change, prepare
from monitoring.history import changes
from monitoring.history.changes import Status, history_path

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # new
      v3: {url: "http://127.0.0.1:8103"}
"""
NOON = 1_770_120_000.0
ROLLBACK = SetWeight("iris", "v2", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    return file


def make_change(
    path: Path,
    what: Change = ROLLBACK,
    by: str = "cli:alice",
    action: str = "rollback",
    if_generation: str | None = None,
    dry_run: bool = False,
    even_unrecorded: bool = False,
) -> Changed:
    return change(
        path,
        what,
        by=by,
        reason="wrong answers",
        action=action,
        if_generation=if_generation,
        dry_run=dry_run,
        even_unrecorded=even_unrecorded,
        clock=lambda: NOON,
    )


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_a_rollback_is_one_scalar_and_one_entry(path: Path) -> None:
    changed = make_change(path)
    assert path.read_text() == TEXT.replace("weight: 10", "weight: 0")
    assert changed.before == {"v1": 90, "v2": 10, "v3": 0}
    assert changed.after == {"v1": 100, "v2": 0, "v3": 0}
    assert changed.before_generation == generation_of(TEXT.encode())
    assert changed.generation == generation_of(path.read_bytes())
    assert [line for line in changed.diff.splitlines() if line[0] in "+-"] == [
        "--- routing.yaml",
        "+++ routing.yaml",
        '-      v2: {url: "http://127.0.0.1:8102", weight: 10}   # new',
        '+      v2: {url: "http://127.0.0.1:8102", weight: 0}   # new',
    ]
    [entry] = changes.read(path)
    assert (entry.by, entry.action, entry.reason) == ("cli:alice", "rollback", "wrong answers")
    assert (entry.route, entry.version) == ("iris", "v2")
    assert (entry.at, entry.status) == ("2026-02-03T12:00:00.000Z", Status.DONE)
    assert (entry.before, entry.after, entry.diff) == (changed.before, changed.after, changed.diff)


def test_a_rollback_is_the_same_edit_whoever_makes_it(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "routing.yaml"
    other.parent.mkdir()
    other.write_text(TEXT)
    make_change(path, by="cli:alice")
    make_change(other, by="controller")
    assert path.read_bytes() == other.read_bytes()
    [mine], [its] = changes.read(path), changes.read(other)
    assert replace(mine, id=its.id, by=its.by) == its


def test_promote_and_the_way_back(path: Path) -> None:
    assert make_change(path, Promote("iris", "v2"), action="promote").after == {
        "v1": 0,
        "v2": 100,
        "v3": 0,
    }
    make_change(path, Promote("iris", "v1"), action="promote")
    assert [(entry.action, entry.version) for entry in changes.read(path)] == [
        ("promote", "v2"),
        ("promote", "v1"),
    ]


def test_a_dry_run_writes_nothing_and_shows_the_same_difference(path: Path) -> None:
    shown = make_change(path, dry_run=True)
    assert names(path.parent) == {"routing.yaml"}
    assert path.read_text() == TEXT
    assert make_change(path) == shown


def test_nothing_to_do_leaves_no_entry(path: Path) -> None:
    changed = make_change(path, SetWeight("iris", "v2", 1000))
    assert changed.noop
    assert (changed.diff, changed.before, changed.generation) == (
        "",
        changed.after,
        changed.before_generation,
    )
    assert changes.read(path) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_stale_or_refused_change_leaves_no_entry(path: Path, dry_run: bool) -> None:
    with pytest.raises(StaleEdit):
        make_change(path, if_generation="000000000000", dry_run=dry_run)
    with pytest.raises(EditRefused):
        make_change(path, SetWeight("iris", "v1", 100), dry_run=dry_run)
    assert changes.read(path) == []
    assert path.read_text() == TEXT


def test_a_save_at_the_last_moment_wins_and_the_entry_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = atomic._rename

    def rename(source: Path, target: Path, flags: int) -> bool:
        if path.read_text() == TEXT:
            path.write_text(TEXT + "# by hand\n")
        return real(source, target, flags)

    monkeypatch.setattr(atomic, "_rename", rename)
    with pytest.raises(StaleEdit):
        make_change(path)
    assert path.read_text() == TEXT + "# by hand\n"
    statuses = [(entry.action, entry.status) for entry in changes.read(path)]
    assert statuses == [("rollback", Status.CONFLICT), (changes.BY_HAND, Status.DONE)]


def test_through_a_link_file_and_history_are_the_targets(path: Path) -> None:
    link = path.parent / "elsewhere" / "link.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    make_change(link)
    assert names(link.parent) == {"link.yaml"}
    assert link.is_symlink()
    assert len(changes.read(path)) == 1


ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO]


def refuse(monkeypatch: pytest.MonkeyPatch, path: Path, step: str, code: int) -> None:
    """Let one step of the writing of the history fail, and nothing else."""
    history_file = str(history_path(path))
    of_history: set[int] = set()
    of_directory: set[int] = set()
    real_open = os.open

    def failing(name: str, concerns: Callable[[int], bool]) -> None:
        real = getattr(os, name)

        def call(descriptor: int, *arguments: object) -> object:
            if concerns(descriptor):
                raise OSError(code, os.strerror(code))
            return real(descriptor, *arguments)

        monkeypatch.setattr(os, name, call)

    def opened(file: Path, flags: int, *mode: int) -> int:
        if str(file) == history_file and step == "open":
            raise OSError(code, os.strerror(code), str(file))
        descriptor = real_open(file, flags, *mode)
        for opens, which in ((history_file, of_history), (str(path.parent), of_directory)):
            which.discard(descriptor)
            if str(file) == opens:
                which.add(descriptor)
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    if step == "short write":
        real_write = os.write

        def write(descriptor: int, data: bytes) -> int:
            torn = data[:40] if descriptor in of_history else data
            return real_write(descriptor, torn)

        monkeypatch.setattr(os, "write", write)
    elif step in ("write", "fsync"):
        failing(step, of_history.__contains__)
    elif step == "sync of the directory":
        failing("fsync", of_directory.__contains__)


STEPS = ["open", "write", "short write", "fsync", "sync of the directory"]


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("what", "action"),
    [(SetWeight("iris", "v2", 2000), "set-weight"), (Promote("iris", "v2"), "promote")],
)
def test_what_cannot_be_recorded_is_not_done(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: Change,
    action: str,
    step: str,
    code: int,
) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, path, step, code)
        with pytest.raises(EditFailed) as caught:
            make_change(path, what, action=str(action))
    message = str(caught.value)
    assert os.strerror(errno.ENOSPC if step == "short write" else code) in message
    assert message.startswith(str(history_path(path)))
    assert "nothing was changed" in message
    assert path.read_text() == TEXT
    assert names(path.parent) <= {"routing.yaml", ".routing.yaml.lock", "routing.history.jsonl"}
    assert all(entry.status is Status.INTERRUPTED for entry in changes.read(path))
    make_change(path, what)
    assert [entry.status for entry in changes.read(path)][-1] is Status.DONE
    assert changes.read(path)[-1].after_hash == generation_of(path.read_bytes())


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("step", STEPS)
def test_a_rollback_is_done_all_the_same_and_recorded_late(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, path, step, code)
        changed = make_change(path, even_unrecorded=True)
    assert path.read_text() == TEXT.replace("weight: 10", "weight: 0")
    assert changed.unrecorded is not None
    make_change(path, SetWeight("iris", "v3", 500), action="set-weight")
    changes.record_late(path, changed.unrecorded, lambda: NOON + 60)
    rollback, later = changes.read(path)
    assert rollback == changed.unrecorded
    assert (rollback.at, rollback.by) == ("2026-02-03T12:00:00.000Z", "cli:alice")
    assert (rollback.before, rollback.after) == (changed.before, changed.after)
    assert (later.action, later.before_hash) == ("set-weight", rollback.after_hash)
    *_, row = changes.rows(path, {"late"})
    assert row["recorded"] == "2026-02-03T12:01:00.000Z"


def test_a_rollback_that_can_be_recorded_is_recorded_ahead_as_any_other(path: Path) -> None:
    changed = make_change(path, even_unrecorded=True)
    assert changed.unrecorded is None
    assert [row["row"] for row in changes.rows(path)] == ["intent", "done"]


def test_a_rollback_that_makes_room_is_recorded_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = atomic.replace_if
    with monkeypatch.context() as patch:
        refuse(patch, path, "write", errno.EIO)
        full = os.write

        def replace_if(*arguments: Any, **options: Any) -> None:
            real(*arguments, **options)
            patch.undo()

        patch.setattr(atomic, "replace_if", replace_if)
        assert make_change(path, even_unrecorded=True).unrecorded is None
    assert os.write is not full
    assert [row["row"] for row in changes.rows(path)] == ["late"]
    [entry] = changes.read(path)
    assert entry.action == "rollback"


def test_a_rollback_that_loses_to_a_save_is_not_recorded_late(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = atomic._rename

    def rename(source: Path, target: Path, flags: int) -> bool:
        if path.read_text() == TEXT:
            path.write_text(TEXT + "# by hand\n")
        return real(source, target, flags)

    monkeypatch.setattr(atomic, "_rename", rename)
    with monkeypatch.context() as patch:
        refuse(patch, path, "open", errno.EACCES)
        with pytest.raises(StaleEdit):
            make_change(path, even_unrecorded=True)
    assert list(changes.rows(path)) == []


@pytest.mark.parametrize("what", [SetWeight("iris", "v2", 1), Promote("iris", "v2")])
def test_nothing_but_a_rollback_may_go_unrecorded(path: Path, what: Change) -> None:
    with pytest.raises(ValueError, match="only a rollback"):
        make_change(path, what, even_unrecorded=True)
    assert names(path.parent) == {"routing.yaml"}


def full_disk(monkeypatch: pytest.MonkeyPatch, path: Path, *, stolen: bool) -> None:
    """No file can be made and no row be written until the reserve gives blocks away; nor then, if
    somebody else takes them.
    """
    opened, written, truncated = os.open, os.write, os.ftruncate
    rows: set[int] = set()
    room = [0]

    def open_(file: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        descriptor = opened(file, flags, *mode)
        rows.discard(descriptor)
        if str(file) == str(history_path(path)):
            rows.add(descriptor)
        return descriptor

    def write(descriptor: int, data: bytes) -> int:
        if descriptor in rows and room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(descriptor, data)

    def ftruncate(descriptor: int, size: int) -> None:
        if not stolen:
            room[0] += os.fstat(descriptor).st_size - size
        truncated(descriptor, size)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "ftruncate", ftruncate)


ROLLED_BACK = TEXT.replace("weight: 10", "weight: 0")


@pytest.mark.parametrize("stolen", [False, True], ids=["alone", "with a hungry neighbour"])
def test_on_a_full_disk_a_rollback_lives_on_the_reserve(
    path: Path, monkeypatch: pytest.MonkeyPatch, stolen: bool
) -> None:
    history_path(path).touch()
    assert prepare(path) == ""
    assert prepare(path) == ""
    with monkeypatch.context() as patch:
        full_disk(patch, path, stolen=stolen)
        with pytest.raises(EditFailed, match="No space"):
            make_change(path, Promote("iris", "v2"), action="promote")
        assert path.read_text() == TEXT
        changed = make_change(path, even_unrecorded=True)
        assert "No space" in prepare(path)
    assert path.read_text() == ROLLED_BACK
    if stolen:
        assert changed.unrecorded is not None
        changes.record_late(path, changed.unrecorded)
    else:
        assert changed.unrecorded is None
        assert [row["row"] for row in changes.rows(path)] == ["intent", "done"]
    assert [entry.action for entry in changes.read(path)] == ["rollback"]
    assert prepare(path) == ""
    assert reserve.place(path).stat().st_size == reserve.SIZE


def test_on_a_full_disk_a_promotion_is_taken_back_as_any_rollback(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_change(path, Promote("iris", "v2"), action="promote")
    promoted = path.read_text()
    assert prepare(path) == ""
    with monkeypatch.context() as patch:
        full_disk(patch, path, stolen=True)
        changed = make_change(path, Restore("iris", "v2", "v1"), even_unrecorded=True)
    assert path.read_text() == promoted.replace("stable: v2", "stable: v1")
    assert changed.unrecorded is not None
    changes.record_late(path, changed.unrecorded)
    newest = changes.read(path)[-1]
    assert (newest.action, newest.version, newest.former) == ("rollback", "v2", "v2")
    assert newest.reason == "v1 is stable again, v2 gets no request: wrong answers"


def test_on_a_full_disk_without_a_reserve_a_rollback_says_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history_path(path).touch()
    with routing_file.locked(path):
        pass
    with monkeypatch.context() as patch:
        full_disk(patch, path, stolen=True)
        with pytest.raises(EditFailed, match=r"needs space .*; nothing was changed"):
            make_change(path, even_unrecorded=True)
    assert path.read_text() == TEXT
    assert changes.read(path) == []
    assert make_change(path, even_unrecorded=True).unrecorded is None


def test_a_directory_that_may_not_be_written_to_again_may_be_written_to_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare(path) == ""
    before = names(path.parent)
    real = os.open, os.rename

    def open_(file: Path, flags: int, *mode: int) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        return real[0](file, flags, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_)
        with pytest.raises(EditFailed, match=r"Read-only file system; .* must be writable"):
            make_change(path, even_unrecorded=True)
        reserve.place(path).chmod(0o600)
        assert "make the directory writable" in prepare(path)
    assert path.read_text() == TEXT
    assert names(path.parent) == before
    assert make_change(path, even_unrecorded=True).unrecorded is None
    assert path.read_text() == ROLLED_BACK


CALLS = [
    *((os, name) for name in ("open", "write", "pread", "fsync", "fchmod", "fchown")),
    *((os, name) for name in ("rename", "unlink", "stat")),
    (fcntl, "flock"),
    (atomic, "_rename"),
    (atomic, "_at_rest"),
]


class Faults:
    """Lets the n-th call to the operating system fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
        self.failing = failing
        self.count = 0
        for module, name in CALLS:
            monkeypatch.setattr(module, name, self.wrap(getattr(module, name)))

    def wrap(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            self.count += 1
            if self.count == self.failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **options)

        return call


def test_whichever_system_call_fails_the_answer_is_true_and_the_next_edit_works(
    path: Path,
) -> None:
    changed = TEXT.replace("weight: 10", "weight: 0")
    failing = 0
    while True:
        failing += 1
        path.write_text(TEXT)
        for neighbour in path.parent.glob("*routing*"):
            if neighbour != path:
                neighbour.unlink()
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, failing)
            try:
                make_change(path)
                expected = changed
            except EditFailed as error:
                assert "nothing was changed" in str(error)  # noqa: PT017
                expected = TEXT
        assert path.read_text() == expected
        if history_path(path).exists():
            present = generation_of(expected.encode())
            assert [e.status is Status.DONE for e in changes.read(path, present)] in (
                [],
                [expected == changed],
            )
        assert make_change(path, SetWeight("iris", "v3", 500)).after["v3"] == 5
        left = {name for name in names(path.parent) if name != ".routing.yaml.lock"}
        assert left == {"routing.yaml", "routing.history.jsonl"}
        if faults.count < failing:
            break
    assert failing > 20
