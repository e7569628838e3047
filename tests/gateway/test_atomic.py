"""Replacing a file under the eyes of editors that know of no lock. Their saves are made at the
exact instants that matter: just before a swap of files, or while an old text is looked at.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path

import pytest

from gateway.errors import StaleEdit
from gateway.files import atomic, reserve
from gateway.files.atomic import NO_FILE, recover, replace_if
from gateway.model import generation_of

OLD, NEW, SAVED, SAVED_LATER = b"old text\n", b"the new text\n", b"a save\n", b"a later save\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_bytes(OLD)
    return file


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def save_by_rename(path: Path, text: bytes) -> None:
    """As most editors save."""
    copy = path.with_name("copy~")
    copy.write_bytes(text)
    copy.rename(path)


def before_swaps(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> None:
    """Have the first action happen just before the first swap, and so on."""
    waiting, real = list(actions), atomic._rename

    def rename(source: Path, target: Path, flags: int) -> bool:
        if waiting:
            waiting.pop(0)()
        return real(source, target, flags)

    monkeypatch.setattr(atomic, "_rename", rename)


def nothing() -> None:
    pass


def test_expected_text_is_replaced_and_nothing_left_behind(path: Path) -> None:
    path.chmod(0o640)
    replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": NEW}
    assert path.stat().st_mode & 0o7777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_survives(path: Path) -> None:
    os.chown(path, 1234, 2345)
    replace_if(path, OLD, NEW)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_another_text_stays(path: Path) -> None:
    path.write_bytes(SAVED)
    with pytest.raises(StaleEdit) as caught:
        replace_if(path, OLD, NEW)
    assert (caught.value.expected, caught.value.found) == (generation_of(OLD), generation_of(SAVED))
    assert files(path) == {"routing.yaml": SAVED}


def test_a_save_just_before_the_swap_is_put_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_swaps(monkeypatch, lambda: save_by_rename(path, SAVED))
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": SAVED}


def test_of_two_saves_the_later_one_is_in_place_and_the_other_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_swaps(
        monkeypatch,
        lambda: save_by_rename(path, SAVED),
        lambda: save_by_rename(path, SAVED_LATER),
    )
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {
        "routing.yaml": SAVED_LATER,
        f"routing.yaml.saved-{generation_of(SAVED)}": SAVED,
    }


def test_an_editor_caught_between_truncating_and_writing_finishes_its_save(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[BufferedRandom] = []
    before_swaps(monkeypatch, lambda: opened.append(path.open("wb+")))
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    with opened[0] as editor:
        editor.write(SAVED)
    assert files(path) == {"routing.yaml": SAVED}


def test_an_editor_that_has_not_even_begun_to_write_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[BufferedRandom] = []

    def save(_pause: float) -> None:
        with opened[0] as editor:
            editor.truncate()
            editor.write(SAVED)

    before_swaps(monkeypatch, lambda: opened.append(path.open("rb+")))
    monkeypatch.setattr(atomic, "sleep", save)
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": SAVED}


def test_a_handle_that_is_never_closed_does_not_keep_an_edit_from_happening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "sleep", lambda _pause: None)
    with path.open("rb+"):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": NEW}


def test_a_reader_is_no_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "sleep", pytest.fail)
    with path.open("rb"):
        replace_if(path, OLD, NEW)


def test_an_editor_that_moves_the_old_file_away_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_swaps(monkeypatch, lambda: path.rename(path.with_name("routing.yaml~")))
    with pytest.raises(StaleEdit) as caught:
        replace_if(path, OLD, NEW)
    assert caught.value.found == NO_FILE
    assert files(path) == {"routing.yaml~": OLD}


def test_a_file_that_vanishes_before_a_save_is_put_back_gets_that_save(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_swaps(monkeypatch, lambda: save_by_rename(path, SAVED), path.unlink)
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": SAVED}


def test_a_file_that_vanishes_and_returns_before_a_save_is_put_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_swaps(
        monkeypatch,
        lambda: save_by_rename(path, SAVED),
        path.unlink,
        lambda: save_by_rename(path, SAVED_LATER),
    )
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path)["routing.yaml"] == SAVED_LATER


def test_a_save_that_cannot_be_looked_at_is_put_back_unseen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_path: Path, _hoped: bytes) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic, "_at_rest", unreadable)
    with pytest.raises(OSError, match="Input/output"):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": OLD}


@pytest.fixture(params=["no function", errno.ENOSYS, errno.EINVAL])
def no_exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> int:
        ctypes.set_errno(request.param)
        return -1

    replacement = None if request.param == "no function" else unsupported
    monkeypatch.setattr(atomic, "_renameat2", replacement)


@pytest.mark.usefixtures("no_exchange")
def test_without_exchange_it_is_compare_and_rename(path: Path) -> None:
    replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": NEW}
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": NEW}
    path.unlink()
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW)
    assert files(path) == {}


def test_other_refusals_of_the_kernel_are_errors(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> int:
        ctypes.set_errno(errno.EACCES)
        return -1

    monkeypatch.setattr(atomic, "_renameat2", refused)
    with pytest.raises(PermissionError):
        replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": OLD}


@pytest.mark.parametrize("call", ["open", "fsync", "fchmod", "rename"])
def test_a_full_or_read_only_disk_leaves_the_file_and_no_litter(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match="No space"):
            replace_if(path, OLD, NEW)
    assert files(path) == {"routing.yaml": OLD}


RESERVE = ".routing.yaml.reserve"


@pytest.fixture
def full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No new file can be made, but there is a reserve."""
    reserve.prepare(path)
    real = os.open

    def full(file: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return real(file, flags, *mode)

    monkeypatch.setattr(os, "open", full)


def inode(path: Path) -> int:
    return path.stat().st_ino


@pytest.mark.usefixtures("full_disk")
def test_only_who_may_use_the_reserve_does(path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        replace_if(path, OLD, NEW)
    assert path.read_bytes() == OLD
    assert path.with_name(RESERVE).stat().st_size == reserve.SIZE


@pytest.mark.usefixtures("full_disk")
def test_on_a_full_disk_file_and_reserve_change_places(path: Path) -> None:
    path.chmod(0o640)
    kept = path.with_name(RESERVE)
    before = inode(path), inode(kept)
    replace_if(path, OLD, NEW, use_reserve=True)
    assert files(path) == {"routing.yaml": NEW, RESERVE: OLD}
    assert (inode(kept), inode(path)) == before
    assert path.stat().st_mode & 0o7777 == 0o640


@pytest.mark.usefixtures("full_disk")
def test_on_a_full_disk_it_works_again_and_again(path: Path) -> None:
    for old, new in ((OLD, NEW), (NEW, SAVED), (SAVED, OLD)):
        replace_if(path, old, new, use_reserve=True)
        assert files(path) == {"routing.yaml": new, RESERVE: old}


def test_while_there_is_space_the_reserve_is_kept(path: Path) -> None:
    reserve.prepare(path)
    before = inode(path.with_name(RESERVE))
    replace_if(path, OLD, NEW, use_reserve=True)
    assert set(files(path)) == {"routing.yaml", RESERVE}
    assert path.with_name(RESERVE).stat().st_size == reserve.SIZE
    assert inode(path.with_name(RESERVE)) == before


@pytest.mark.usefixtures("full_disk")
def test_without_a_reserve_a_full_disk_is_an_error(path: Path) -> None:
    path.with_name(RESERVE).unlink()
    with pytest.raises(OSError, match="No space"):
        replace_if(path, OLD, NEW, use_reserve=True)
    assert files(path) == {"routing.yaml": OLD}


@pytest.mark.usefixtures("full_disk")
def test_what_has_another_name_or_is_open_does_not_become_the_reserve(path: Path) -> None:
    """Or the next edit would write over somebody's copy, or under somebody's eyes."""
    copy = path.with_name("copy")
    os.link(path, copy)
    replace_if(path, OLD, NEW, use_reserve=True)
    assert files(path) == {"routing.yaml": NEW, "copy": OLD}
    copy.rename(path.with_name(RESERVE))
    with path.open("rb") as reader:
        replace_if(path, NEW, SAVED, use_reserve=True)
        assert reader.read() == NEW
    assert files(path) == {"routing.yaml": SAVED}


@pytest.mark.usefixtures("full_disk")
def test_a_save_just_before_the_swap_is_put_back_on_a_full_disk_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = path.with_name("copy~")
    copy.write_bytes(SAVED)
    before_swaps(monkeypatch, lambda: copy.rename(path))
    with pytest.raises(StaleEdit):
        replace_if(path, OLD, NEW, use_reserve=True)
    assert files(path) == {"routing.yaml": SAVED, RESERVE: NEW}


@pytest.mark.usefixtures("full_disk", "no_exchange")
def test_without_exchange_a_full_disk_takes_the_reserve(path: Path) -> None:
    replace_if(path, OLD, NEW, use_reserve=True)
    assert files(path) == {"routing.yaml": NEW}


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("call", ["write", "ftruncate", "fsync", "fchmod", "rename"])
def test_a_reserve_that_cannot_be_used_leaves_the_file_and_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path.chmod(0o640)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match="Input/output"):
            replace_if(path, OLD, NEW, use_reserve=True)
    assert path.read_bytes() == OLD
    assert set(files(path)) == {"routing.yaml", RESERVE}
    replace_if(path, OLD, NEW, use_reserve=True)
    assert path.read_bytes() == NEW


LEFT = f".routing.yaml.{generation_of(OLD)}-{generation_of(NEW)}.tmp"
KEPT = f"routing.yaml.saved-{generation_of(SAVED)}"


@pytest.mark.parametrize(
    ("present", "leftover", "after"),
    [
        (OLD, NEW, {"routing.yaml": OLD}),
        (NEW, OLD, {"routing.yaml": NEW}),
        (NEW, SAVED, {"routing.yaml": SAVED}),
        (SAVED, NEW, {"routing.yaml": SAVED}),
        (SAVED_LATER, SAVED, {"routing.yaml": SAVED_LATER, KEPT: SAVED}),
        (None, SAVED, {KEPT: SAVED}),
    ],
    ids=[
        "killed before the swap",
        "killed after the swap",
        "killed after a save had come out",
        "killed after a save was put back",
        "killed after a save had come out, and saved again",
        "killed after a save had come out, and removed",
    ],
)
def test_what_a_killed_edit_left_is_finished(
    path: Path, present: bytes | None, leftover: bytes, after: dict[str, bytes]
) -> None:
    if present is None:
        path.unlink()
    else:
        path.write_bytes(present)
    path.with_name(LEFT).write_bytes(leftover)
    recover(path)
    assert files(path) == after


@pytest.mark.parametrize(("present", "leftover"), [(OLD, NEW), (NEW, OLD), (SAVED, NEW)])
@pytest.mark.parametrize("made_since", [False, True])
def test_of_an_edit_that_was_killed_over_the_reserve_the_reserve_stays(
    path: Path, present: bytes, leftover: bytes, made_since: bool
) -> None:
    path.write_bytes(present)
    path.with_name(LEFT).with_suffix(".reserve").write_bytes(leftover)
    if made_since:
        path.with_name(RESERVE).write_bytes(b"blocks")
    recover(path)
    assert files(path) == {"routing.yaml": present, RESERVE: b"blocks" if made_since else leftover}


def test_a_save_that_came_out_in_exchange_for_the_reserve_is_put_back(path: Path) -> None:
    path.write_bytes(NEW)
    path.with_name(LEFT).with_suffix(".reserve").write_bytes(SAVED)
    recover(path)
    assert files(path) == {"routing.yaml": SAVED, RESERVE: NEW}


def test_a_half_written_text_is_dropped_and_strangers_files_are_not(path: Path) -> None:
    strangers = {".routing.yaml.swp": b"vim", f".other.yaml.{'0' * 12}-{'1' * 12}.tmp": b"?"}
    for name, content in strangers.items():
        path.with_name(name).write_bytes(content)
    path.with_name(".routing.yaml.part").write_bytes(NEW[:3])
    path.with_name(".routing.yaml.reserve.part").write_bytes(NEW[:3])
    recover(path)
    assert files(path) == {"routing.yaml": OLD, **strangers}


def test_leftovers_that_cannot_be_removed_do_not_block(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path.with_name(LEFT).write_bytes(NEW)
    monkeypatch.setattr(os, "unlink", refused)
    recover(path)
    assert path.read_bytes() == OLD
