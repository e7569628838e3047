"""The same bits from a file and from HTTP: for every model, in groups of any size."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_workers.batch.progress import Silent
from model_workers.batch.scoring import Job, score
from model_workers.contract.contract import Contract
from model_workers.models.catalogue import RECIPES, data, model_of
from model_workers.models.model import DUMMY

from .conftest import trained

ROWS = 200
ONE_BY_ONE = 40  # of them: a request for each takes longest
EVERYBODY = [(recipe.model, recipe.name) for recipe in RECIPES]
EVERYBODY += [(model, DUMMY) for model in sorted({recipe.model for recipe in RECIPES})]


def online(client: Any, contract: Contract, rows: list[Any], size: int) -> list[list[str]]:
    """For each row all that is answered; floats as text, which has all their bits."""
    found: list[list[str]] = []
    for start in range(0, len(rows), size):
        asked = {"instances": rows[start : start + size]}
        said = client.post("/predict", json=asked)
        assert said.status_code == 200, said.text
        found += map(list, zip(*_arrays(contract, said.json()), strict=True))
    return found


def _arrays(contract: Contract, said: Any) -> list[list[str]]:
    arrays = []
    for output in contract.outputs:
        for what in ("predictions", "probabilities"):
            given = said.get(what)
            if len(contract.outputs) > 1:
                given = given.get(output.name)
            if given is not None:
                arrays.append([one if isinstance(one, str) else repr(one) for one in given])
    return arrays


def from_csv(path: Path, contract: Contract, rows: list[Any], job: Any) -> list[list[str]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([contract.names, *rows])
    score(job(path), Silent())
    with path.with_name("out.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    return [line[len(contract.names) : -2] for line in lines]


def from_parquet(path: Path, contract: Contract, rows: list[Any], job: Any) -> list[list[str]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(dict(zip(contract.names, columns, strict=True))), path)
    score(job(path), Silent())
    answers = pq.read_table(path.with_name("out.parquet")).columns[len(contract.names) : -2]
    arrays = [column.to_pylist() for column in answers]
    return [
        [x if isinstance(x, str) else repr(x) for x in row] for row in zip(*arrays, strict=True)
    ]


@pytest.mark.parametrize(("model", "recipe"), EVERYBODY)
def test_a_file_is_answered_as_requests_are_to_the_last_bit(model, recipe, connect, tmp_path):
    contract = model_of(model).contract
    rows = [list(row) for row in itertools.islice(itertools.cycle(data(model).rows), ROWS)]
    client = connect(model, recipe)

    def job(source: Path) -> Job:
        predictor = trained(model, recipe)
        return Job(source, source.with_name(f"out{source.suffix}"), predictor, recipe, part_rows=90)

    expected = online(client, contract, rows, ROWS)
    assert online(client, contract, rows, 7) == expected
    assert online(client, contract, rows[:ONE_BY_ONE], 1) == expected[:ONE_BY_ONE]
    assert from_csv(tmp_path / "in.csv", contract, rows, job) == expected
    assert from_parquet(tmp_path / "in.parquet", contract, rows, job) == expected
