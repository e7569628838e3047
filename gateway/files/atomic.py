"""Replace a file only if it still is what one thinks it is, and never half.

Comparing and then renaming leaves a gap: a person may save between the two, and the rename would
throw that save away unseen. Advisory locks do not help, editors take none. So where the kernel can
(Linux, ``renameat2``), the new text and the file *change places* in one step, and what came out is
looked at once more, now that nobody can reach it. If it is not the expected text, it is swapped
back in. For that moment a reader may see the new text: whole, valid, and soon gone again.

What came out may still be open in an editor that writes in place (truncate, then write). Half-saved
text differs from the expected text; and a read lease is granted only while nobody has a file open
for writing, so asking for one tells whether the text is at rest.

A kill leaves at worst one temporary file, whose name says which text was to replace which. From
that :func:`recover` knows whether it is rubbish or somebody's save, and finishes the work. Callers
hold a lock of their own against each other; this module is about those who know of no lock.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final

from gateway.errors import StaleEdit
from gateway.files import reserve
from gateway.files.neighbour import copy_owner, sync_directory
from gateway.model import generation_of

NO_FILE: Final = "no file"
"""What :class:`StaleEdit` says it found where the file was gone."""

_AT_FDCWD: Final = -100
_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_RESERVED: Final = ".reserve"
"""The suffix of a temporary file that was the reserve."""

# How often, and how far apart in seconds, a text that an editor has open is looked at again before
# it is taken as it is: a handle that is never closed must not keep a rollback from happening.
_LOOKS: Final = 500
_PAUSE: Final = 0.001

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def replace_if(path: Path, expected: bytes, new: bytes, *, use_reserve: bool = False) -> None:
    """Put ``new`` in the place of ``expected``, keeping mode and owner, on disk when it returns.
    With ``use_reserve`` on a full disk, too, where there is a
    :mod:`reserve <gateway.files.reserve>`.

    Raises :class:`StaleEdit` if the file holds anything else, up to the very last moment, and
    OSError where the file system refuses; the file is as it was, then.
    """
    try:
        try:
            temporary = _write_beside(path, expected, new)
        except OSError as error:
            if not use_reserve or error.errno not in reserve.FULL:
                raise
            temporary = _write_into_reserve(path, expected, new, error)
        try:
            _swap_in(temporary, path, expected, new)
            # It is done, whatever becomes of this: a power cut could still bring the old text
            # back, which is whole as well.
            with suppress(OSError):
                sync_directory(path.parent)
        finally:
            # However it ended, what lies there now is judged as after a kill.
            _finish(temporary, path, generation_of(expected), generation_of(new))
    except FileNotFoundError:
        raise StaleEdit(generation_of(expected), NO_FILE) from None


def recover(path: Path) -> None:
    """Tidy up after an edit that was killed, under the lock that edits hold.

    Its temporary file goes away, unless it is a person's save that had come out of the swap: that
    is put back or, if the file has been saved again since, kept as ``<name>.saved-<generation>``.
    """
    for half in (_part(path), reserve.half_made(path)):
        with suppress(OSError):
            half.unlink(missing_ok=True)
    leftover = re.compile(
        re.escape(f".{path.name}.") + r"([0-9a-f]{12})-([0-9a-f]{12})\.(tmp|reserve)"
    )
    for temporary in list(path.parent.iterdir()):
        if found := leftover.fullmatch(temporary.name):
            _finish(temporary, path, found[1], found[2])


def _part(path: Path) -> Path:
    """Where a text is while it is being written."""
    return path.with_name(f".{path.name}.part")


def _whole(path: Path, expected: bytes, new: bytes, suffix: str) -> Path:
    """Where it is afterwards. Only whole texts get the name that `recover` reads: no half-written
    one is ever mistaken for somebody's save.
    """
    names = f"{generation_of(expected)}-{generation_of(new)}"
    return path.with_name(f".{path.name}.{names}{suffix}")


def _write_beside(path: Path, expected: bytes, new: bytes) -> Path:
    """The new text in a temporary file of the same directory, on disk."""
    part = _part(path)
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(new)
            file.flush()
            copy_owner(file.fileno(), path.stat())
            os.fsync(file.fileno())
        return part.rename(_whole(path, expected, new, ".tmp"))
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_into_reserve(path: Path, expected: bytes, new: bytes, full: OSError) -> Path:
    """The same without a new block. Raises the error that led here, if there is no reserve."""
    try:
        return reserve.fill(path, new).rename(_whole(path, expected, new, _RESERVED))
    except FileNotFoundError:
        raise full from None


def _swap_in(temporary: Path, path: Path, expected: bytes, new: bytes) -> None:
    """Exchange the files if the one holds the expected text, else leave them as they are."""
    found = path.read_bytes()
    if found != expected:
        raise StaleEdit(generation_of(expected), generation_of(found))
    if not _rename(temporary, path, _EXCHANGE):
        # The second best, where files cannot change places: a gap of some microseconds remains.
        temporary.replace(path)
        return
    try:
        out = _at_rest(temporary, expected)
    except OSError:
        # It cannot be looked at, so nobody knows whether it may be replaced.
        _rename(temporary, path, _EXCHANGE)
        raise
    if out != expected:
        _put_back(temporary, path, new)
        raise StaleEdit(generation_of(expected), generation_of(out))


def _put_back(temporary: Path, path: Path, placed: bytes) -> None:
    """Swap back what came out. If that brings out yet another save, that one is the newest: on,
    until what comes out is what was placed there.
    """
    while True:
        placing = temporary.read_bytes()
        try:
            _rename(temporary, path, _EXCHANGE)
        except FileNotFoundError:
            # Some editors move the old file away before they write the new one.
            with suppress(FileExistsError):
                _rename(temporary, path, _NOREPLACE)
                return
            continue
        if _at_rest(temporary, placed) == placed:
            return
        placed = placing


def _finish(temporary: Path, path: Path, expected: str, new: str) -> None:
    """Do away with a temporary file, but with no text that only a person can have written. One that
    was the reserve is it again.

    What cannot be done now, for want of space or rights, the next edit tries again.
    """
    with suppress(OSError):
        if generation_of(temporary.read_bytes()) not in (expected, new):
            present = path.read_bytes() if path.exists() else b""
            if generation_of(present) == new:
                _put_back(temporary, path, present)
        out = generation_of(temporary.read_bytes())
        if out in (expected, new):
            if not (temporary.suffix == _RESERVED and _give_back(temporary, path)):
                temporary.unlink()
        else:
            temporary.rename(path.with_name(f"{path.name}.saved-{out}"))


def _give_back(temporary: Path, path: Path) -> bool:
    """Make it the reserve, to be written into by the next edit; unless that could be noticed:
    another name for it, or somebody who has it open.
    """
    with temporary.open("rb") as file:
        alone = os.fstat(file.fileno()).st_nlink == 1 and lease(file.fileno(), fcntl.F_WRLCK)
        if alone and not reserve.place(path).exists():
            temporary.rename(reserve.place(path))
            return True
    return False


def _at_rest(path: Path, hoped: bytes) -> bytes:
    """What a file holds once nobody has it open for writing; at once, if it is not what was hoped
    for.
    """
    content = hoped
    for _ in range(_LOOKS):
        with path.open("rb") as file:
            leased = lease(file.fileno())
            content = file.read()
            at_rest = leased is None or (leased and keeps_lease(file.fileno()))
        if content != hoped or at_rest:
            break
        sleep(_PAUSE)
    return content


def lease(descriptor: int, kind: int = fcntl.F_RDLCK) -> bool | None:
    """Ask to be told of writers (``F_WRLCK``: of anybody else who opens the file): True if there is
    none now, False if there is; None where the system cannot say (no such leases, or not our file).
    """
    if sys.platform != "linux":
        return None
    try:
        # The signal for "somebody wants to write" would by default end the process; this one is
        # ignored, as we look ourselves.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, kind)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    return True


def keeps_lease(descriptor: int) -> bool:
    """Whether nobody has begun to open the file for writing since."""
    return sys.platform != "linux" or fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def _rename(source: Path, target: Path, flags: int) -> bool:
    """``renameat2``; False where C library, kernel or file system has none."""
    if _renameat2 is None:
        return False
    names = os.fsencode(source), os.fsencode(target)
    if _renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(code, os.strerror(code), str(target))
