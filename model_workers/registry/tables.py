"""Rows with right answers from files that people make: CSV, or a JSON object on each line.

The columns are called like the features and the outputs of the contract; where that has one output
alone, its column may be called ``label``. Other columns are passed over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..batch import columns
from ..batch.separated import SeparatedTable
from ..batch.table import BadTable
from ..contract.contract import Classes, Contract, Output
from ..contract.feature import Value
from ..contract.refusal import RefusedBody
from ..contract.validation import Validator
from .files import CannotUse, content_of
from .rows import Labelled
from .snapshot import wrong_answer

LABEL = "label"
_CHUNK = 8192


def rows_of(contract: Contract, path: Path) -> list[Labelled]:
    """All rows of a file; raises CannotUse for the first one that will not do."""
    content = content_of(path)
    if path.suffix == ".csv":
        found = list(_separated(contract, content, path))
    elif path.suffix == ".jsonl":
        found = list(_lines(contract, content, path))
    else:
        raise CannotUse(f"{path} is neither .csv nor .jsonl; convert it")
    if not found:
        raise CannotUse(f"{path} has no rows; name another file")
    return found


def labels_of(contract: Contract, path: Path) -> dict[str, tuple[Value, ...]]:
    """Right answers by request id, from CSV with the columns ``request_id`` and one for each
    output. Raises CannotUse, also if an id comes with two answers.
    """
    try:
        text = content_of(path).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = _output_columns(contract, tuple(reader.fieldnames or ()), path)
        if "request_id" not in (reader.fieldnames or ()):
            raise CannotUse(f"{path} has no column 'request_id'; labels are joined by it")
        found: dict[str, tuple[Value, ...]] = {}
        for record in reader:
            answers = _answers(contract, [record.get(name) or "" for name in names])
            if problem := wrong_answer(contract, answers):
                raise CannotUse(f"{path}:{reader.line_num}: {problem}")
            known = found.setdefault(record["request_id"], answers)
            if known != answers:
                raise CannotUse(
                    f"{path}:{reader.line_num}: {record['request_id']!r} was labelled otherwise "
                    "above; keep one of the two lines"
                )
        return found
    except (UnicodeDecodeError, csv.Error) as error:
        raise CannotUse(f"{path} is no CSV in UTF-8: {error}; save it as that") from None


def _separated(contract: Contract, content: bytes, path: Path) -> Iterator[Labelled]:
    validator = Validator(contract, _CHUNK)
    try:
        table = SeparatedTable(io.BytesIO(content), str(path))
        columns.check(contract, table, str(path))
        names = _output_columns(contract, table.names, path)
        for chunk in table.chunks(0, _CHUNK):
            if chunk.flaws:
                index, flaw = next(iter(chunk.flaws.items()))
                raise CannotUse(f"{path}: row {chunk.first + index}: {flaw}")
            try:
                rows = validator.rows(columns.instances(contract, table, chunk))
            except RefusedBody as error:
                problem = error.problems[0]
                raise CannotUse(
                    f"{path}: row {chunk.first + int(problem.loc[0])}: {problem.msg}"
                ) from None
            given = zip(*(chunk.column(name) for name in names), strict=True)
            for number, (row, said) in enumerate(zip(rows, given, strict=True), chunk.first):
                answers = _answers(contract, list(said))
                if problem_of := wrong_answer(contract, answers):
                    raise CannotUse(f"{path}: row {number}: {problem_of}")
                yield Labelled(row, answers)
    except BadTable as error:
        raise CannotUse(str(error)) from None


def _lines(contract: Contract, content: bytes, path: Path) -> Iterator[Labelled]:
    validator = Validator(contract, 1)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
            names = _output_columns(contract, tuple(record), path)
            instance = {name: record[name] for name in contract.names if name in record}
            (row,) = validator.rows([instance])
        except (msgspec.DecodeError, RefusedBody) as error:
            raise CannotUse(f"{path}:{number}: {error}") from None
        answers = _answers(contract, [record[name] for name in names])
        if problem := wrong_answer(contract, answers):
            raise CannotUse(f"{path}:{number}: {problem}")
        yield Labelled(row, answers)


def _output_columns(contract: Contract, names: tuple[str, ...], path: Path) -> list[str]:
    """What the columns of the outputs are called here."""
    found = []
    for output in contract.outputs:
        name = output.name
        if name not in names and len(contract.outputs) == 1 and LABEL in names:
            name = LABEL
        if name not in names:
            raise CannotUse(
                f"{path} has no column {name!r} with the right answers; it has {', '.join(names)}"
            )
        found.append(name)
    return found


def _answers(contract: Contract, said: list[object]) -> tuple[Value, ...]:
    return tuple(_answer(one, output) for one, output in zip(said, contract.outputs, strict=True))


def _answer(said: object, output: Output) -> Value:
    """A text where a number belongs stays text, for whoever checks it."""
    if isinstance(output, Classes):
        return str(said)
    try:
        return float(said)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return str(said)
