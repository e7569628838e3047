"""Space kept for the edit that must be made on a full disk, too: taking a candidate out.

``routing.yaml`` has ``.routing.yaml.reserve``: an inode, a name and blocks that nobody else can
take. Such an edit writes its text *into* it and lets it change places with the file as always, so
it needs nothing that a full disk cannot give. Its content means nothing; whoever dies over it
leaves a reserve, or what :func:`gateway.files.atomic.recover` finishes.

It helps where a file is overwritten in its own blocks (ext4, XFS, tmpfs). Where each write takes
new ones (Btrfs, ZFS) the edit may fail all the same, with nothing changed.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.files.neighbour import copy_owner, sync_directory

SIZE: Final = 64 * 1024
"""Bytes that are kept at least: for the text, and for a row of the history."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errors that a reserve is for."""

_PAGE: Final = 4096


def place(path: Path) -> Path:
    """Where the reserve of a file lies."""
    return path.with_name(f".{path.name}.reserve")


def half_made(path: Path) -> Path:
    """Where it is while it is being made."""
    return path.with_name(f".{path.name}.reserve.part")


def prepare(path: Path) -> None:
    """See to it that the reserve lies there and is large enough: one look, if it does. To be used
    under the lock that edits hold. Raises OSError, and leaves a smaller one where it is.
    """
    like = path.stat()
    size = max(SIZE, _whole_blocks(2 * like.st_size, _PAGE))
    if _serves(place(path), like, size):
        return
    part = half_made(path)
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            # Neither holes nor what a file system could compress: blocks.
            file.write(os.urandom(size))
            file.flush()
            copy_owner(file.fileno(), like)
            os.fsync(file.fileno())
        part.rename(place(path))
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        sync_directory(path.parent)


def fill(path: Path, text: bytes) -> Path:
    """Write a text into the reserve, on disk when it returns; gives the reserve, which the caller
    renames. Raises OSError; FileNotFoundError if there is none.
    """
    file = place(path)
    descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        if os.write(descriptor, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        os.ftruncate(descriptor, len(text))
        copy_owner(descriptor, path.stat())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return file


def shrink(path: Path, needed: int) -> bool:
    """Give away, for a row of the history, what a text of so many bytes does not need; False if
    that is nothing. Raises OSError.
    """
    try:
        descriptor = os.open(place(path), os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        found = os.fstat(descriptor)
        kept = _whole_blocks(needed, max(_PAGE, found.st_blksize))
        if found.st_size <= kept:
            return False
        os.ftruncate(descriptor, kept)
        # Freed blocks can be used when the journal of the file system says so.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _whole_blocks(size: int, block: int) -> int:
    return -(-size // block) * block


def _serves(file: Path, like: os.stat_result, size: int) -> bool:
    """Whether it is a reserve of that size for whoever may edit the file."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    shared = stat.S_IMODE(found.st_mode) == stat.S_IMODE(like.st_mode)
    if os.geteuid() == 0:
        shared = shared and (found.st_uid, found.st_gid) == (like.st_uid, like.st_gid)
    large = found.st_size >= size and found.st_blocks * 512 >= size
    return stat.S_ISREG(found.st_mode) and shared and large
