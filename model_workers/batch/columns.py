"""A contract's columns in a file: which features are there, and what scoring adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..contract import cell
from ..contract.contract import Classes, Contract
from ..predictors.predictor import Answer
from .table import Added, BadTable, Chunk, Column, Table

VERSIONS = ("model_version", "code_version")


def added(contract: Contract) -> list[Column]:
    """``prediction`` and ``probability`` (with several outputs ``prediction_NAME`` for each), and
    the two versions.
    """
    several = len(contract.outputs) > 1
    columns = []
    for output in contract.outputs:
        ending = f"_{output.name}" if several else ""
        columns.append(Column(f"prediction{ending}", not isinstance(output, Classes)))
        if isinstance(output, Classes):
            columns.append(Column(f"probability{ending}", True))
    return columns + [Column(name, False) for name in VERSIONS]


def values(contract: Contract, answer: Answer, versions: Sequence[str]) -> Added:
    """What stands in the added columns."""
    arrays: list[Sequence[str] | Sequence[float]] = []
    for predictions, probabilities in zip(answer.predictions, answer.probabilities, strict=True):
        arrays.append(predictions)
        if probabilities is not None:
            arrays.append(probabilities)
    arrays += [[version] * len(answer.predictions[0]) for version in versions]
    return dict(zip(added(contract), arrays, strict=True))


def check(contract: Contract, table: Table, name: str) -> None:
    """Raise BadTable unless the file has each column that is needed, once, and none that is to be
    added.
    """
    problems = [
        f"the column {feature!r} is missing"
        for feature, known in zip(contract.names, contract.features, strict=True)
        if feature not in table.names and known.missing is None
    ]
    if problems:
        listed = ", ".join(map(repr, table.names[:40]))
        raise BadTable(f"{name}: {'; '.join(problems)}; the file has {listed}")
    twice = [column for column, count in Counter(table.names).items() if count > 1]
    if twice:
        raise BadTable(f"{name}: the column {twice[0]!r} is there twice; rename one")
    taken = [column.name for column in added(contract) if column.name in table.names]
    if taken:
        raise BadTable(f"{name} has a column {taken[0]!r}, which scoring would add; rename it")


def instances(contract: Contract, table: Table, chunk: Chunk) -> list[list[object]]:
    """The chunk's rows for the validator: values by position, None for what is missing."""
    columns: list[Sequence[object]] = []
    for feature in contract.features:
        if feature.name not in table.names:
            columns.append([None] * len(chunk))
        elif table.text:
            columns.append([cell.read(feature, str(said)) for said in chunk.column(feature.name)])
        else:
            columns.append(chunk.column(feature.name))
    return [list(row) for row in zip(*columns, strict=True)]
