"""Reading the file, and the edit that every machine makes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from gateway.edit import Promote, SetWeight
from gateway.errors import ConfigError, EditFailed, StaleEdit, UnknownName
from gateway.files import routing_file
from gateway.files.routing_file import EditResult, edit, preview, read
from gateway.model import generation_of

TEXT = b"""\
routes:
  iris:
    stable: v1   # tried
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # new
"""
ROLLED_BACK = TEXT.replace(b"weight: 10", b"weight: 0")
ROLLBACK = SetWeight("iris", "v2", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_bytes(TEXT)
    return file


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_an_edit_tells_what_was_and_what_is(path: Path) -> None:
    before = read(path)
    result = edit(path, ROLLBACK, if_generation=before.generation)
    assert result == EditResult(path, before, read(path))
    assert result.after.content == ROLLED_BACK
    assert result.after.generation == generation_of(ROLLED_BACK)
    assert not result.noop
    assert names(path.parent) == {"routing.yaml", ".routing.yaml.lock"}


def test_a_decision_on_another_file_is_stale(path: Path) -> None:
    seen = read(path)
    path.write_bytes(TEXT + b"# by hand\n")
    with pytest.raises(StaleEdit) as caught:
        edit(path, ROLLBACK, if_generation=seen.generation)
    assert (caught.value.expected, caught.value.found) == (seen.generation, read(path).generation)
    assert path.read_bytes() == TEXT + b"# by hand\n"


def test_without_a_generation_the_present_file_is_edited(path: Path) -> None:
    assert edit(path, ROLLBACK).after.content == path.read_bytes() == ROLLED_BACK


def test_nothing_to_do_writes_nothing(path: Path) -> None:
    inode = path.stat().st_ino
    entered: list[EditResult] = []

    @contextmanager
    def around(result: EditResult) -> Iterator[None]:
        entered.append(result)
        yield

    assert edit(path, SetWeight("iris", "v2", 1000), around_write=around).noop
    assert path.stat().st_ino == inode
    assert entered == []


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_link_survives_and_its_target_is_edited(path: Path, absolute: bool) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "link.yaml"
    link.symlink_to(path if absolute else Path("../routing.yaml"))
    assert edit(link, ROLLBACK).path == path.resolve()
    assert link.is_symlink()
    assert link.read_bytes() == path.read_bytes() == ROLLED_BACK
    assert names(elsewhere) == {"link.yaml"}


def test_a_link_that_is_swapped_meanwhile_is_a_conflict(path: Path) -> None:
    """As Kubernetes updates a ConfigMap: the file that was read is nobody's file any more."""
    other = path.with_name("other.yaml")
    other.write_bytes(TEXT + b"# other\n")
    link = path.with_name("link.yaml")
    link.symlink_to(path)

    @contextmanager
    def around(_result: EditResult) -> Iterator[None]:
        link.unlink()
        link.symlink_to(other)
        yield

    with pytest.raises(StaleEdit) as caught:
        edit(link, ROLLBACK, around_write=around)
    assert caught.value.found == read(other).generation
    assert path.read_bytes() == TEXT
    assert other.read_bytes() == TEXT + b"# other\n"


def test_a_save_between_compare_and_rename_is_a_conflict(path: Path) -> None:
    @contextmanager
    def around(_result: EditResult) -> Iterator[None]:
        path.write_bytes(TEXT + b"# by hand\n")
        yield

    with pytest.raises(StaleEdit):
        edit(path, ROLLBACK, around_write=around)
    assert path.read_bytes() == TEXT + b"# by hand\n"
    assert names(path.parent) == {"routing.yaml", ".routing.yaml.lock"}


def test_what_comes_around_the_write_can_prevent_it(path: Path) -> None:
    @contextmanager
    def around(result: EditResult) -> Iterator[None]:
        assert path.read_bytes() == result.before.content
        if result.before.content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "history")
        yield

    with pytest.raises(EditFailed, match=r"history: No space left .*; nothing was changed"):
        edit(path, ROLLBACK, around_write=around)
    assert path.read_bytes() == TEXT


def test_machines_take_turns(path: Path) -> None:
    """The second one starts while the first is about to write, and finds what the first wrote."""
    seen = read(path).generation
    found: list[str] = []

    def second() -> None:
        try:
            edit(path, Promote("iris", "v2"), if_generation=seen)
        except StaleEdit as stale:
            found.append(stale.found)

    thread = Thread(target=second)

    @contextmanager
    def around(_result: EditResult) -> Iterator[None]:
        thread.start()
        yield

    first = edit(path, ROLLBACK, if_generation=seen, around_write=around)
    thread.join()
    assert found == [first.after.generation]
    assert path.read_bytes() == ROLLED_BACK


def test_a_preview_writes_nothing_and_knows_the_same_errors(path: Path) -> None:
    assert preview(path, ROLLBACK).after.content == ROLLED_BACK
    with pytest.raises(StaleEdit):
        preview(path, ROLLBACK, if_generation="000000000000")
    with pytest.raises(UnknownName):
        preview(path, SetWeight("iris", "v9", 0))
    assert names(path.parent) == {"routing.yaml"}
    assert path.read_bytes() == TEXT


def test_a_refused_file_is_not_edited(path: Path) -> None:
    path.write_bytes(TEXT.replace(b"weight: 10", b"weight: ten"))
    with pytest.raises(ConfigError):
        edit(path, ROLLBACK)
    assert b"weight: ten" in path.read_bytes()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EditFailed, match=r"nowhere\.yaml: there is no such file"):
        edit(tmp_path / "nowhere.yaml", ROLLBACK)
    assert names(tmp_path) == set()


def test_a_directory_one_may_not_write_to_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def read_only(file: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        return real(file, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(EditFailed, match=r"\.lock: Read-only file system; .* must be writable"):
        edit(path, ROLLBACK)
    assert path.read_bytes() == TEXT


def test_the_lock_can_be_taken_by_whoever_may_edit_the_file(path: Path) -> None:
    path.chmod(0o664)
    with routing_file.locked(path):
        assert path.with_name(".routing.yaml.lock").stat().st_mode & 0o777 == 0o664
