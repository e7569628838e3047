"""One controller per file: whoever holds the lock beside it acts, the others stand by.

The lock ends with its holder, however that ends, so the next one takes over at its next look. It
keeps two from acting and from telling twice; that no edit is lost to another is what the content
hash is for, with or without it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.files import routing_file
from gateway.files.neighbour import open_lock
from gateway.logs import Log

log = Log()


def lock_path(path: Path) -> Path:
    """Where the lock of the controllers of a file lies; beside its target if it is a link."""
    target = routing_file.resolve(path)
    return target.with_name(f".{target.name}.controller.lock")


def is_led(path: Path) -> bool:
    """Whether a controller acts on the file. Changes nothing."""
    try:
        descriptor = os.open(lock_path(path), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def last_look(path: Path) -> float | None:
    """When the controller of the file looked last, Unix time; None if there is none. Changes
    nothing.
    """
    try:
        return lock_path(path).stat().st_mtime if is_led(path) else None
    except OSError:
        return None


class Leadership:
    """Whether this process is the one that acts on a file. To be closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._trouble = ""

    def holds(self) -> bool:
        """Look, and take the lock if it is free. Once held it is kept, until somebody removes its
        file or has the link point elsewhere.

        Where files cannot be locked (a directory that may not be written to), this is logged once,
        and every controller acts: if all stood by for ever, nobody would roll back.
        """
        lock = lock_path(self._path)
        if self._descriptor is not None and not _is(self._descriptor, lock):
            self.close()
        if self._descriptor is None and not self._has(lock):
            return False
        if self._descriptor is not None:
            with suppress(OSError):
                os.utime(self._descriptor)  # for whoever wants to know whether it still looks
        return True

    def _has(self, lock: Path) -> bool:
        """Take the lock; whether this controller may act."""
        try:
            self._take(lock)
        except BlockingIOError:
            return False
        except FileNotFoundError:
            return True  # no file, nothing to act on: whoever tries to read it says so
        except OSError as error:
            self._cannot(lock, error)
            return True
        self._trouble = ""
        return True

    def close(self) -> None:
        """Let another one act."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, lock: Path) -> None:
        """Raises BlockingIOError if another one has it, OSError if it cannot be had."""
        descriptor = open_lock(lock, routing_file.resolve(self._path))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been removed before it was locked: then another one may hold a new file.
            if not _is(descriptor, lock):
                raise BlockingIOError
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _cannot(self, lock: Path, error: OSError) -> None:
        why = error.strerror or str(error)
        if why != self._trouble:
            self._trouble = why
            log.warning(
                "cannot tell whether another controller acts on this file, so this one does",
                lock=str(lock),
                why=why,
                todo="run one controller only, or make the directory writable for this user",
            )


def _is(descriptor: int, file: Path) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except OSError:
        return False
