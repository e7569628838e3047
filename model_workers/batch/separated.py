"""CSV: UTF-8, commas, one header line; read and written by Python itself, so that text which is
only carried along stays as it was and floats are written so that they read as the same bits.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

from .table import Added, BadTable, Chunk, Column

csv.field_size_limit(16 << 20)  # characters; a text may be longer than the 128 KiB of the default


@dataclass(frozen=True, slots=True)
class SeparatedChunk:
    """Rows as lists of text."""

    first: int
    rows: list[list[str]]
    flaws: dict[int, str]
    places: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        place = self.places[name]
        return [row[place] if place < len(row) else "" for row in self.rows]

    def record(self, index: int) -> object:
        row = self.rows[index]
        return row if index in self.flaws else dict(zip(self.places, row, strict=True))


class SeparatedTable:
    """An open CSV file."""

    text = True
    writer = "csv"

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._size = max(file.seek(0, io.SEEK_END), 1)
        self.names = tuple(next(self._lines(), ()))
        if not self.names:
            raise BadTable(f"{name} is empty; its first line must name the columns")

    def _lines(self) -> Iterator[list[str]]:
        """The header and all rows; empty lines are none."""
        self._file.seek(0)
        # A byte order mark, as spreadsheets write it, is no part of the first name.
        text = io.TextIOWrapper(self._file, "utf-8-sig", newline="")
        reader = csv.reader(text, strict=True)
        try:
            yield from filter(None, reader)
        except csv.Error as error:
            line = reader.line_num
            raise BadTable(f"{self._name}: line {line}: {error}; correct the quotes") from None
        except UnicodeDecodeError as error:
            line = reader.line_num
            said = f"not UTF-8 after line {line}: {error.reason}; save it as UTF-8"
            raise BadTable(f"{self._name}: {said}") from None
        finally:
            text.detach()

    def chunks(self, start: int, size: int) -> Iterator[SeparatedChunk]:
        places = {name: place for place, name in enumerate(self.names)}
        width = len(self.names)
        rows = islice(self._lines(), 1 + start, None)
        first = start + 1
        while chunk := list(islice(rows, size)):
            flaws = {
                index: f"{len(row)} fields; the header names {width} columns"
                for index, row in enumerate(chunk)
                if len(row) != width
            }
            yield SeparatedChunk(first, chunk, flaws, places)
            first += len(chunk)

    def share(self) -> float:
        return min(self._file.tell() / self._size, 1.0)

    def part(self, chunk: Chunk, kept: Sequence[int], added: Added) -> bytes:
        assert isinstance(chunk, SeparatedChunk)
        rows = (chunk.rows[index] for index in kept)
        values = zip(*map(_written, added.values()), strict=True)
        return _encoded([*row, *more] for row, more in zip(rows, values, strict=True))

    def join(self, parts: Iterable[Path], added: Sequence[Column], out: BinaryIO) -> None:
        out.write(_encoded([[*self.names, *(column.name for column in added)]]))
        for path in parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, out)


def _written(values: Sequence[str] | Sequence[float]) -> list[str]:
    """Floats in the fewest digits that read as the same 64 bits."""
    return [value if isinstance(value, str) else repr(float(value)) for value in values]


def _encoded(rows: Iterable[Sequence[str]]) -> bytes:
    lines: list[str] = []
    # Before Python 3.13 only what stands in the line's end is quoted for it: with \n alone, a \r in
    # a text would end the line for whoever reads it. So both stand there, and one is taken off.
    csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(rows)
    return "".join(f"{line[:-2]}\n" for line in lines).encode()


assert sys.float_repr_style == "short"
