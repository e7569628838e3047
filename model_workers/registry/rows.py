"""Rows with their right answers, and on which side of the held-out split each of them stands. Pure.

A row stands where a digest of its values puts it, so the same row is on the same side in every
snapshot, and all its copies are: what a model was not to learn from last week it will not learn
from next week. Whoever holds out a smaller share holds out a part of the same rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import sha256
from statistics import fmean
from typing import NamedTuple

import msgspec

from ..contract.contract import Contract, Quantity, Row
from ..contract.feature import Value
from ..models.model import Data


class Labelled(NamedTuple):
    """One row and its right answers, one for each output of the contract."""

    row: Row
    answers: tuple[Value, ...]


def canonical(row: Row) -> Row:
    """The same row; -0.0, which equals 0.0, is written as that."""
    return tuple(value + 0.0 if isinstance(value, float) else value for value in row)


def place_of(model: str, row: Row) -> float:
    """Where a row stands, from 0 to less than 1, by the SHA-256 of its values: uniform over rows,
    the same on every machine.
    """
    written = msgspec.json.encode([model, *canonical(row)])
    return int.from_bytes(sha256(written).digest()[:8]) / 2**64


def is_held_out(model: str, row: Row, share: float) -> bool:
    """Whether a row is among the ``share`` (0 to 1) of all rows that nothing learns from."""
    return place_of(model, row) < share


def counted(rows: Iterable[Labelled]) -> Counter[Labelled]:
    """How often each row comes with these answers."""
    return Counter(Labelled(canonical(one.row), one.answers) for one in rows)


def distinct(contract: Contract, counts: Counter[Labelled]) -> Data:
    """Each row once, in the order of their places. Copies of a row say nothing new, so that they
    must not make a sample look larger than it is. If they disagree, a label is the most frequent
    one, a number their mean.
    """
    copies: defaultdict[Row, list[tuple[Labelled, int]]] = defaultdict(list)
    for one, count in counts.items():
        copies[one.row].append((one, count))
    rows = sorted(copies, key=lambda row: (place_of(contract.model, row), repr(row)))
    columns: list[tuple[str, ...] | tuple[float, ...]] = []
    for at, output in enumerate(contract.outputs):
        said = [[(one.answers[at], count) for one, count in copies[row]] for row in rows]
        if isinstance(output, Quantity):
            columns.append(tuple(fmean(*_numbers(given)) for given in said))
        else:
            columns.append(tuple(_most_frequent(given) for given in said))
    return Data(tuple(rows), tuple(columns))


def repeated(contract: Contract, counts: Counter[Labelled]) -> Data:
    """Each row as often as it comes, in the order of their places: what a model learns from."""
    ordered = sorted(counts, key=lambda one: (place_of(contract.model, one.row), repr(one)))
    rows = [one for one in ordered for _ in range(counts[one])]
    columns: list[tuple[str, ...] | tuple[float, ...]] = []
    for at, output in enumerate(contract.outputs):
        given = [one.answers[at] for one in rows]
        if isinstance(output, Quantity):
            columns.append(tuple(map(float, given)))
        else:
            columns.append(tuple(map(str, given)))
    return Data(tuple(one.row for one in rows), tuple(columns))


def _numbers(given: list[tuple[Value, int]]) -> tuple[list[float], list[float]]:
    ordered = sorted((float(value), float(count)) for value, count in given)
    return [value for value, _ in ordered], [count for _, count in ordered]


def _most_frequent(given: list[tuple[Value, int]]) -> str:
    totals: Counter[str] = Counter()
    for value, count in given:
        totals[str(value)] += count
    return min(totals, key=lambda label: (-totals[label], label))
