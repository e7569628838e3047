"""Rows of JSON beside the routing file, one a line, only ever appended to.

``routing.yaml`` has ``routing.history.jsonl``. Each row is an object with ``row`` (its kind, always
the first key), ``id`` and ``at``. Long rows of no interest are told by their first bytes and cost
no parsing, and nothing here holds the whole file. What is no row (a crash tore it, somebody else
wrote it) is passed over.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway.files import routing_file
from gateway.files.neighbour import open_shared, sync_directory

Row: TypeAlias = dict[str, Any]

_OPENING: Final = b'{"row":"'


def history_path(path: Path) -> Path:
    """Where the history of a routing file lies."""
    target = routing_file.resolve(path)
    return target.with_name(f"{target.stem}.history.jsonl")


def append(path: Path, row: Mapping[str, object], *, sync: bool = False) -> None:
    """One row, whole or not at all; with ``sync`` on disk when it returns. A torn row before it
    gets the line end it lacks. Raises OSError, and KeyError for a row that names no kind.
    """
    file = history_path(path)
    text = json.dumps({"row": row["row"], **row}, ensure_ascii=False, separators=(",", ":"))
    # What is no Unicode (a reason from a strange terminal) becomes the escape JSON has for it.
    line = text.encode("utf-8", "backslashreplace") + b"\n"
    descriptor = open_shared(file, os.O_RDWR | os.O_APPEND, routing_file.resolve(path))
    try:
        # Where files cannot be locked two rows still do not mix: each is one write at the end.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if not size:
            sync_directory(file.parent)  # and until that is done no row comes in
        _write_at_end(descriptor, size, line)
        if sync:
            os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(file)
        raise
    finally:
        os.close(descriptor)


def rows(
    path: Path, kinds: Collection[str] | None = None, *, until: int | None = None
) -> Iterator[Row]:
    """The rows that can be read, oldest first, of these kinds (None: all); up to the byte position
    ``until``. None if there is no history. Raises OSError.
    """
    for line, _ in _lines(path, 0, until):
        if row := _row(line, kinds):
            yield row


def tail(path: Path, position: int, kinds: Collection[str] | None = None) -> tuple[list[Row], int]:
    """The rows appended since a position in bytes (0 at first), and the position to ask from next.

    A last line that is not whole yet is left for then. A history that was cut off or replaced is
    read from its beginning. Raises OSError.
    """
    found = []
    position = _start(path, position)
    for row, end in since(path, position, kinds):
        position = end
        if row:
            found.append(row)
    return found, position


def since(
    path: Path, position: int, kinds: Collection[str] | None = None
) -> Iterator[tuple[Row | None, int]]:
    """As :func:`tail`, but one whole line at a time, with the position after it; None for a line
    that is no row of these kinds. Raises OSError.
    """
    for line, end in _lines(path, _start(path, position)):
        if not line.endswith(b"\n"):
            return
        yield _row(line, kinds), end


def _write_at_end(descriptor: int, size: int, line: bytes) -> None:
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    if os.write(descriptor, line) != len(line):
        # Its beginning is of no use, and the space it takes is dear. Where it cannot be taken back
        # (a file that may only be appended to), the next row passes it over.
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lines(path: Path, start: int, until: int | None = None) -> Iterator[tuple[bytes, int]]:
    """Each line from a position on, with its end; and the position after it."""
    try:
        file = history_path(path).open("rb")
    except FileNotFoundError:
        return
    with file:
        position = file.seek(start)
        for line in file:
            position += len(line)
            if until is not None and position > until:
                return
            yield line, position


def _start(path: Path, position: int) -> int:
    """The position, or the beginning if no row ended there."""
    return position if position and _is_boundary(path, position) else 0


def _is_boundary(path: Path, position: int) -> bool:
    """Whether a row ended at this position."""
    try:
        with history_path(path).open("rb") as file:
            file.seek(position - 1)
            return file.read(1) == b"\n"
    except FileNotFoundError:
        return False


def _row(line: bytes, kinds: Collection[str] | None) -> Row | None:
    if kinds is not None and line.startswith(_OPENING):
        kind = line[len(_OPENING) : line.find(b'"', len(_OPENING))]
        if kind.decode("utf-8", "replace") not in kinds:
            return None
    with suppress(ValueError):
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            named = row.get("row")
            wanted = kinds is None or (isinstance(named, str) and named in kinds)
            return row if wanted else None
    return None
