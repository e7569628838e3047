"""Which format a file has, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from .separated import SeparatedTable
from .table import BadTable, Table

CSV = {".csv"}
PARQUET = {".parquet", ".pq"}


@contextmanager
def opened(source: Path, target: Path) -> Iterator[tuple[BufferedReader, Table]]:
    """The input, open; the output is to be of the same format. Raises BadTable."""
    for kind in (CSV, PARQUET):
        if source.suffix.lower() in kind:
            break
    else:
        raise BadTable(f"{source} is neither .csv nor .parquet; convert it, or rename it")
    if target.suffix.lower() not in kind:
        raise BadTable(f"{target}: the output has the input's format; name it {source.suffix}")
    try:
        file = source.open("rb")
    except OSError as error:
        raise BadTable(f"{source} cannot be read: {error.strerror}") from None
    with file:
        yield file, SeparatedTable(file, str(source)) if kind is CSV else _parquet(file, source)


def _parquet(file: BufferedReader, source: Path) -> Table:
    try:
        from .parquet import ParquetTable
    except ImportError:
        raise BadTable(
            f"{source}: Parquet needs pyarrow; install it: pip install 'canary-gateway[batch]'"
        ) from None
    return ParquetTable(file, str(source))
