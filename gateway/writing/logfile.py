"""Files of lines: appended to, and given way to new ones before they become too large or too old.

A file is opened for each page and closed behind it, at most some ten times a second: so a file that
somebody moved away is made anew, one whose route is gone is held by nobody, and after trouble of
any kind the next page is as good as the first. Only its owner may read a file that is made here. A
symbolic link is not followed: where others may write to the directory, it could lead anywhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.logs import readable
from gateway.model import Rotation
from gateway.writing.logbook import Lost
from gateway.writing.scribe import STDOUT, Book

PIECE: Final = 4096  # bytes to a pipe, which others write to as well: PIPE_BUF of Linux
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ONLY_OURS: Final = 0o600
_REMEMBERED: Final = 1000  # files; each is as quickly looked at again
_BEGINNING: Final = re.compile(rb'\{"timestamp":"([^"]{1,40})"')


class Files:
    """The files of one process. ``number`` is its own, where there are several: then it stands in
    the names, before the suffix. ``clock`` says Unix time.
    """

    def __init__(self, clock: Callable[[], float], number: int | None = None) -> None:
        self._clock = clock
        self._number = number
        self._born: dict[tuple[int, int], float] = {}  # by device and inode: of files in use

    def write(self, book: Book, lines: bytes) -> Lost:
        """Append whole lines. Never raises OSError: what could not be written is lost."""
        try:
            if book.path == STDOUT:
                _print(lines)
                return Lost()
            return self._append(self.path_of(book), lines, book.rotation)
        except OSError as error:
            return Lost(lines.count(b"\n"), error.strerror or str(error))

    def path_of(self, book: Book) -> Path:
        path = Path(book.path)
        return path if self._number is None else path.with_stem(f"{path.stem}.{self._number}")

    def _append(self, path: Path, lines: bytes, rotation: Rotation) -> Lost:
        descriptor, size = _open(path)
        try:
            if self._is_over(descriptor, size, len(lines), rotation):
                os.close(descriptor)
                descriptor = -1
                _rotate(path, rotation.keep)
                descriptor, size = _open(path)
            return _write(descriptor, size, lines)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _is_over(self, descriptor: int, size: int, more: int, rotation: Rotation) -> bool:
        found = os.fstat(descriptor)
        key = found.st_dev, found.st_ino
        if not size:  # also one that was cut off by somebody, or with the number of a former one
            self._born.pop(key, None)
            return False
        born = self._born.get(key)
        if born is None:
            if len(self._born) >= _REMEMBERED:
                self._born.clear()
            born = self._born[key] = _beginning(descriptor) or self._clock()
        return size + more > rotation.size or self._clock() - born >= rotation.age


def _open(path: Path) -> tuple[int, int]:
    """A descriptor to append with, and how large the file is. Raises OSError."""
    try:
        descriptor = os.open(path, _FLAGS, _ONLY_OURS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("it is a symbolic link; write the path of the file itself") from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return descriptor, found.st_size


def _write(descriptor: int, size: int, lines: bytes) -> Lost:
    """At the end. What does not fit is taken back to the last whole line."""
    torn = bool(size) and os.pread(descriptor, 1, size - 1) != b"\n"  # by a crash
    data = memoryview(b"\n" + lines if torn else lines)
    done, why = 0, ""
    try:
        while done < len(data):
            done += os.write(descriptor, data[done:])
    except OSError as error:
        why = error.strerror or str(error)
    if not why:
        return Lost()
    whole = bytes(data[:done]).rfind(b"\n") + 1
    with suppress(OSError):
        os.ftruncate(descriptor, size + whole)
    return Lost(bytes(data[whole:]).count(b"\n"), why)


def _rotate(path: Path, keep: int) -> None:
    """``path`` becomes ``path.1``, and so on; the oldest goes. Raises OSError."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, keep + 1))]
    if not keep:
        path.unlink()
    for number in range(keep, 0, -1):
        with suppress(FileNotFoundError):
            names[number - 1].replace(names[number])


def _beginning(descriptor: int) -> float | None:
    """When the first line was written, Unix time; None if it does not say so."""
    found = _BEGINNING.match(os.pread(descriptor, 64, 0))
    if found is not None:
        with suppress(ValueError):
            return datetime.fromisoformat(found[1].decode()).timestamp()
    return None


def _print(lines: bytes) -> None:
    """On stdout, as somebody can read it there. Raises OSError."""
    if os.isatty(1):
        lines = readable(lines)
    while lines:
        end = len(lines) if len(lines) <= PIECE else lines.rfind(b"\n", 0, PIECE) + 1
        piece = lines[: end or lines.find(b"\n") + 1]
        os.write(1, piece)
        lines = lines[len(piece) :]
