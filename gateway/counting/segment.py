"""A ledger in memory that another process can read at any moment, also after the writer was killed.

One memory file (memfd) per generation and process: a head, the counts, the sums, and a directory
that says what they count. Only the child writes. An entry of the directory is written before the
mark that says how much of it is used, and carries a checksum, so a reader sees whole entries or
none. The numbers are eight bytes each at multiples of eight: no reader sees half of one.

The file is as large as everything that can ever be named, and sparse: a page that nobody has
touched takes no memory.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple
from zlib import crc32

from gateway.counting.ledger import Entry, Kind, Ledger, Name
from gateway.counting.room import Room

_MAGIC: Final = 0x63616E6172793031
_HEAD: Final = 64  # bytes: eight numbers, of which six are used
_ENTRY: Final = struct.Struct("<IIIIc")  # checksum, first, size, bytes of the name, kind
_BETWEEN: Final = "\x1f"  # parts of a name; no name of the file or label holds control characters
_USED: Final = 4  # where in the head the mark stands
_SPARE: Final = 5  # and the number of cells for what finds no room


class _Layout(NamedTuple):
    """The parts of a memory file, in bytes from its beginning."""

    counts: slice
    sums: slice
    directory: slice

    @classmethod
    def of(cls, counts: int, sums: int, directory: int) -> _Layout:
        first = _HEAD + 8 * counts
        second = first + 8 * sums
        return cls(slice(_HEAD, first), slice(first, second), slice(second, second + directory))


def create(room: Room) -> int:
    """A memory file for a ledger of this size; its descriptor, which the caller closes."""
    counts, sums = room.counts + room.widest, room.sums + 1
    directory = -(-(room.names + _ENTRY.size * room.entries) // 8) * 8
    descriptor = os.memfd_create("canary-ledger", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, _Layout.of(counts, sums, directory).directory.stop)
    os.pwrite(descriptor, struct.pack("=6Q", _MAGIC, counts, sums, directory, 0, room.widest), 0)
    return descriptor


class _Mapped(Ledger):
    """What writer and reader have in common."""

    __slots__ = ("_directory", "_head")

    def __init__(self, descriptor: int, *, writable: bool) -> None:
        super().__init__()
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        whole = memoryview(mmap.mmap(descriptor, 0, access=access))
        self._head = whole[:_HEAD].cast("Q")
        magic, counts, sums, directory = self._head[:4]
        if magic != _MAGIC:
            raise ValueError("this memory holds no ledger")
        layout = _Layout.of(counts, sums, directory)
        self.counts = whole[layout.counts].cast("q")
        self.sums = whole[layout.sums].cast("d")
        self._directory = whole[layout.directory]


class SharedLedger(_Mapped):
    """The writer's side. The first cells take what finds no room, without a name: that cannot
    happen with a room computed by :func:`gateway.counting.room.room_for`, and shall fail no
    request if it does.
    """

    __slots__ = ("_next_count", "_next_sum")

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, writable=True)
        self._next_count = int(self._head[_SPARE])
        self._next_sum = 1

    def _allocate(self, kind: Kind, size: int, name: Name) -> Entry:
        is_sum = kind is Kind.SUM
        first = self._next_sum if is_sum else self._next_count
        cells = len(self.sums) if is_sum else len(self.counts)
        entry = Entry(kind, first, size, name)
        text = _BETWEEN.join(name).encode()
        rest = _ENTRY.pack(0, first, size, len(text), kind.value.encode())[4:] + text
        written = struct.pack("<I", crc32(rest)) + rest
        used = self._head[_USED]
        if first + size > cells or used + len(written) > len(self._directory):
            return Entry(kind, 0, size, name)
        self._directory[used : used + len(written)] = written
        if is_sum:
            self._next_sum += size
        else:
            self._next_count += size
        self._head[_USED] = used + len(written)  # the last: only now it is there
        return entry


class LedgerReader(_Mapped):
    """The reader's side: ``entries`` are those the writer has named so far."""

    __slots__ = ("_read",)

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, writable=False)
        self._read = 0

    def entries(self) -> Iterable[Entry]:
        used = min(self._head[_USED], len(self._directory))
        while self._read + _ENTRY.size <= used:
            entry, size = self._entry(self._read)
            if entry is None:
                break  # not all of it can be seen yet; the next look will find it
            self._read += size
            self._entries[entry.name] = entry
        return self._entries.values()

    def _entry(self, start: int) -> tuple[Entry | None, int]:
        raw = bytes(self._directory[start : start + _ENTRY.size])
        checksum, first, size, length, kind = _ENTRY.unpack(raw)
        text = bytes(self._directory[start + _ENTRY.size : start + _ENTRY.size + length])
        if crc32(raw[4:] + text) != checksum:
            return None, 0
        name = tuple(text.decode().split(_BETWEEN))
        return Entry(Kind(kind.decode()), first, size, name), _ENTRY.size + length
