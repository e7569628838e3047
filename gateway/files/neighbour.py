"""Files that lie beside another and are shared like it: whoever may edit the one must be able to
use its lock, its history and its reserve.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def open_shared(path: Path, flags: int, like: Path) -> int:
    """Open a file that accompanies another, creating it with that one's mode and owner. The caller
    sees to it that its name survives a power cut. Raises OSError.
    """
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    owner = like.stat()
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)  # somebody else was first
    try:
        copy_owner(descriptor, owner)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_lock(path: Path, like: Path) -> int:
    """Open a file to lock. Raises OSError.

    For writing where that is allowed: NFS gives exclusive locks on no other descriptors.
    """
    with suppress(OSError):
        return open_shared(path, os.O_RDWR, like)
    return open_shared(path, os.O_RDONLY, like)


def copy_owner(descriptor: int, like: os.stat_result) -> None:
    """Give an open file the mode and, as far as we may, the owner and group of another."""
    for owner in (like.st_uid, -1):
        try:
            os.fchown(descriptor, owner, like.st_gid)
        except PermissionError:
            continue
        break
    # Somebody else's file that has the mode already may be left as it is.
    mode = stat.S_IMODE(like.st_mode)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)


def sync_directory(directory: Path) -> None:
    """Make new names in a directory survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
