"""A file of rows as scoring sees it, whatever its format: chunks in, parts of a file out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class BadTable(Exception):
    """The file cannot be scored; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that scoring adds: of text, or of 64-bit floats."""

    name: str
    number: bool


Added = Mapping[Column, Sequence[str] | Sequence[float]]
"""What scoring adds, in its order, with a value for each row that is kept."""


class Chunk(Protocol):
    """Some consecutive rows. ``first`` is the number of the first one, from 1; ``flaws`` says what
    is wrong with rows that are none (by their index in the chunk): their values mean nothing.
    """

    @property
    def first(self) -> int: ...
    @property
    def flaws(self) -> Mapping[int, str]: ...
    def __len__(self) -> int: ...
    def column(self, name: str) -> Sequence[object]:
        """The column's values as Python has them; in CSV all are text."""
        ...

    def record(self, index: int) -> object:
        """One row as it stands in the file, for JSON."""
        ...


class Table(Protocol):
    """An open file with named columns."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def text(self) -> bool:
        """Whether values come as text, an empty one for one that is missing."""
        ...

    @property
    def writer(self) -> str:
        """What wrote the parts, where other versions of it may write other bytes."""
        ...

    def chunks(self, start: int, size: int) -> Iterator[Chunk]:
        """All rows after the first ``start`` in chunks of ``size``, the last one shorter; raises
        :class:`BadTable`.
        """
        ...

    def share(self) -> float:
        """How much has been read, from 0 to 1."""
        ...

    def part(self, chunk: Chunk, kept: Sequence[int], added: Added) -> bytes:
        """The rows of these indices, with what was added."""
        ...

    def join(self, parts: Iterable[Path], added: Sequence[Column], out: BinaryIO) -> None:
        """One file of all parts."""
        ...
