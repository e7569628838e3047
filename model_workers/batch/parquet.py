"""Parquet, by pyarrow (the extra ``batch``); columns that are only carried along keep their types.

The same parts always become the same bytes: one thread, no time of day, fixed row groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from .table import Added, BadTable, Chunk, Column

_GROUP = 16  # parts in one row group of the joined file
# Raised for text that is not UTF-8, for days beyond the year 9999, for nanoseconds without pandas.
_NO_VALUE = (ValueError, OverflowError, pa.ArrowException)
_FORMAT = {"compression": "zstd", "version": "2.6", "store_schema": True}


@dataclass(frozen=True, slots=True)
class ParquetChunk:
    """Rows as an Arrow table; a row is never flawed here."""

    first: int
    rows: pa.Table
    flaws: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def column(self, name: str) -> list[object]:
        column = self.rows.column(name)
        try:
            return [_plain(value) for value in column.to_pylist()]
        except _NO_VALUE:
            return [_plain(_value(cell)) for cell in column]

    def record(self, index: int) -> object:
        return {name: _value(self.rows.column(name)[index]) for name in self.rows.column_names}


class ParquetTable:
    """An open Parquet file."""

    text = False
    writer = f"pyarrow {pa.__version__}"

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        try:
            self._file = pq.ParquetFile(file, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise BadTable(f"{name} is no Parquet file: {_line(error)}") from None
        # What pandas notes of its columns would be wrong of the file with more of them.
        self._schema = self._file.schema_arrow.remove_metadata()
        self.names = tuple(self._schema.names)
        self._read = 0

    def chunks(self, start: int, size: int) -> Iterator[ParquetChunk]:
        self._read = start
        held = self._schema.empty_table()
        for batch in self._batches(start, size):
            held = pa.concat_tables([held, pa.Table.from_batches([batch])])
            while held.num_rows >= size:
                yield self._chunk(held.slice(0, size))
                held = held.slice(size)
        if held.num_rows:
            yield self._chunk(held)

    def _chunk(self, rows: pa.Table) -> ParquetChunk:
        chunk = ParquetChunk(self._read + 1, rows)
        self._read += len(chunk)
        return chunk

    def _batches(self, start: int, size: int) -> Iterator[pa.RecordBatch]:
        """From row ``start`` on; row groups that end before it are not read."""
        ahead = start
        try:
            for group in range(self._file.num_row_groups):
                rows = self._file.metadata.row_group(group).num_rows
                if ahead >= rows:
                    ahead -= rows
                    continue
                for batch in self._file.iter_batches(size, [group], use_threads=False):
                    skipped = min(ahead, batch.num_rows)
                    ahead -= skipped
                    if skipped < batch.num_rows:
                        yield batch.slice(skipped).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise BadTable(f"{self._name} is damaged: {_line(error)}") from None

    def share(self) -> float:
        return self._read / max(int(self._file.metadata.num_rows), 1)

    def part(self, chunk: Chunk, kept: Sequence[int], added: Added) -> bytes:
        assert isinstance(chunk, ParquetChunk)
        rows = (
            chunk.rows if len(kept) == len(chunk) else chunk.rows.take(pa.array(kept, pa.int64()))
        )
        for column, values in added.items():
            rows = rows.append_column(column.name, pa.array(values, _type(column)))
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, **_FORMAT)
        whole: bytes = sink.getvalue().to_pybytes()
        return whole

    def join(self, parts: Iterable[Path], added: Sequence[Column], out: BinaryIO) -> None:
        schema = self._schema
        for column in added:
            schema = schema.append(pa.field(column.name, _type(column)))
        remaining = iter(parts)
        with pq.ParquetWriter(out, schema, **_FORMAT) as writer:
            while group := list(islice(remaining, _GROUP)):
                rows = pa.concat_tables([pq.read_table(path, use_threads=False) for path in group])
                if rows.num_rows:
                    writer.write_table(rows.cast(schema), row_group_size=rows.num_rows)


class ForeignValue:
    """What stands in the file and is no value in Python, as far as words can say it. No contract
    allows it.
    """

    def __init__(self, words: str) -> None:
        self._words = words

    def __str__(self) -> str:
        return self._words


def _value(cell: pa.Scalar) -> object:
    try:
        return cell.as_py()
    except _NO_VALUE:
        pass
    try:
        return ForeignValue(cell.cast(pa.string()).as_py())
    except _NO_VALUE:
        return ForeignValue(f"{cell.type} that cannot be read")


def _type(column: Column) -> pa.DataType:
    return pa.float64() if column.number else pa.string()


def _plain(value: object) -> object:
    """A decimal is a number, too; whatever else is neither number nor text is for the validator."""
    return float(value) if isinstance(value, Decimal) else value


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
