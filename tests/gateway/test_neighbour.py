"""Files beside another one: made like it, by whoever comes first."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gateway.files.neighbour import copy_owner, open_lock, open_shared


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_text("text")
    file.chmod(0o664)
    return file


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_it_is_made_with_the_mode_of_the_other_and_found_afterwards(path: Path) -> None:
    beside = path.with_name("beside")
    for flags in (os.O_WRONLY, os.O_RDONLY):
        os.close(open_shared(beside, flags, path))
        assert beside.stat().st_mode & 0o777 == 0o664


def test_of_two_that_make_it_at_once_the_second_uses_what_the_first_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = path.with_name("beside")
    real = os.open

    def late(file: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            beside.write_text("the other's")
        return real(file, flags, *mode)

    monkeypatch.setattr(os, "open", late)
    descriptor = open_shared(beside, os.O_RDONLY, path)
    assert os.read(descriptor, 20) == b"the other's"
    os.close(descriptor)


def test_a_link_into_nowhere_is_an_error(path: Path) -> None:
    beside = path.with_name("beside")
    beside.symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        open_shared(beside, os.O_RDONLY, path)


def test_what_cannot_be_made_like_the_other_is_not_left_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_descriptor: int, _mode: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fchmod", refused)
    before = open_descriptors()
    with pytest.raises(OSError, match="Input/output"):
        open_shared(path.with_name("beside"), os.O_RDONLY, path)
    assert open_descriptors() == before


def test_a_lock_can_be_written_to_and_where_it_cannot_is_opened_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS an exclusive lock needs a descriptor for writing."""
    lock = path.with_name("lock")
    descriptor = open_lock(lock, path)
    assert os.write(descriptor, b"") == 0
    os.close(descriptor)
    real = os.open

    def read_only(file: Path, flags: int, *mode: int) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        return real(file, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    os.close(open_lock(lock, path))
    lock.unlink()
    with pytest.raises(OSError, match="Read-only"):
        open_lock(lock, path)


def test_somebody_elses_file_that_has_the_mode_already_is_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refused)
    monkeypatch.setattr(os, "fchown", refused)
    with path.open("rb") as file:
        copy_owner(file.fileno(), path.stat())
        path.chmod(0o600)
        wanted = path.stat()
        path.chmod(0o664)
        with pytest.raises(PermissionError):
            copy_owner(file.fileno(), wanted)
