"""The space kept for a rollback: it is there, it is real, and it is given away only on purpose."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gateway.files import reserve
from gateway.files.reserve import FULL, SIZE, fill, half_made, place, prepare, shrink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_bytes(b"text\n")
    file.chmod(0o640)
    return file


def names(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()}


def test_it_is_made_of_blocks_that_are_really_there(path: Path) -> None:
    prepare(path)
    made = place(path).stat()
    assert names(path) == {"routing.yaml", ".routing.yaml.reserve"}
    assert made.st_size == SIZE
    assert made.st_blocks * 512 >= SIZE
    assert made.st_mode & 0o777 == 0o640


def test_it_is_left_alone_while_it_serves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(path)
    monkeypatch.setattr(os, "open", pytest.fail)
    prepare(path)


@pytest.mark.parametrize("flaw", ["short", "hollow", "of another mode", "a link"])
def test_one_that_does_not_serve_is_made_anew(path: Path, flaw: str) -> None:
    prepare(path)
    file = place(path)
    if flaw == "short":
        os.truncate(file, 4096)
    elif flaw == "hollow":
        os.truncate(file, 0)
        os.truncate(file, SIZE)
    elif flaw == "of another mode":
        file.chmod(0o600)
    else:
        file.rename(path.with_name("elsewhere"))
        file.symlink_to("elsewhere")
    prepare(path)
    made = file.lstat()
    assert (made.st_size, made.st_mode & 0o777) == (SIZE, 0o640)
    assert made.st_blocks * 512 >= SIZE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_it_belongs_to_whom_the_file_belongs(path: Path) -> None:
    prepare(path)
    os.chown(path, 1234, 2345)
    prepare(path)
    assert (place(path).stat().st_uid, place(path).stat().st_gid) == (1234, 2345)


def test_it_has_room_for_a_text_of_any_length(path: Path) -> None:
    path.write_bytes(b"x" * 100_000)
    prepare(path)
    assert place(path).stat().st_size >= 200_000


@pytest.mark.parametrize("call", ["open", "fsync", "fchmod", "rename"])
def test_where_it_cannot_be_made_nothing_is_left_and_a_smaller_one_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place(path).write_bytes(b"x" * 4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match="No space"):
            prepare(path)
    assert names(path) == {"routing.yaml", ".routing.yaml.reserve"}
    assert place(path).stat().st_size == 4096


def test_half_of_one_that_somebody_died_over_is_no_obstacle(path: Path) -> None:
    half_made(path).write_bytes(b"x" * 100)
    prepare(path)
    assert names(path) == {"routing.yaml", ".routing.yaml.reserve"}


def test_a_text_is_written_into_the_very_same_file(path: Path) -> None:
    prepare(path)
    place(path).chmod(0o600)
    inode = place(path).stat().st_ino
    written = fill(path, b"new text\n")
    assert written == place(path)
    assert written.read_bytes() == b"new text\n"
    assert (written.stat().st_ino, written.stat().st_mode & 0o777) == (inode, 0o640)


def test_a_text_that_does_not_fit_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    with pytest.raises(OSError, match="No space") as caught:
        fill(path, b"new text\n")
    assert caught.value.errno in FULL


def test_what_a_text_does_not_need_can_be_given_away_once(path: Path) -> None:
    assert not shrink(path, 5)
    prepare(path)
    assert shrink(path, 5)
    kept = place(path).stat()
    assert 0 < kept.st_blocks * 512 <= SIZE // 2
    assert kept.st_size >= 5
    assert not shrink(path, 5)


def test_without_one_there_is_nothing_to_write_into(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fill(path, b"new text\n")
    assert names(path) == {"routing.yaml"}


def test_a_link_in_its_place_is_not_followed(path: Path) -> None:
    place(path).symlink_to("routing.yaml")
    for use in (fill, lambda path, _text: shrink(path, 1)):
        with pytest.raises(OSError, match="symbolic links"):
            use(path, b"new text\n")
    assert path.read_bytes() == b"text\n"
    assert reserve.place(path).is_symlink()
