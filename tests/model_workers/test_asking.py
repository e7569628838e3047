"""``model-worker ask``, and ``samples`` as a table, against workers that say what they are told."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.models.catalogue import data
from tests.sockets.peers import Talk, Worker, answering


def rightly(talk: Talk) -> bool:
    """Setosa, whatever it is; with an id for each request."""
    number = len(talk.worker.requests)
    body = json.dumps({"model_version": "w", "predictions": ["setosa"]}).encode()
    fields = [("X-Model-Version", f"v{number % 2}"), ("X-Request-Id", f"r{number}")]
    return talk.reply(200, body, fields)


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker(rightly)
    yield found
    found.close()


def ask(url: str, *more: str, model: str = "iris") -> tuple[int, str]:
    options = ["--model", model, "--rate", "1000", "-n", "40", *more]
    ended = CliRunner().invoke(app, ["ask", f"{url}/predict/iris?a=b", *options])
    return ended.exit_code, ended.output


def test_rows_are_sent_and_who_answered_how_many_rightly_is_told(
    worker: Worker, tmp_path: Path
) -> None:
    code, printed = ask(worker.url, "--labels", str(tmp_path / "labels.csv"))

    rows = [json.loads(one.body)["instances"] for one in worker.requests]
    known = dict(zip(data("iris").rows, data("iris").answers[0], strict=True))
    right = [known[tuple(row)] for (row,) in rows]
    assert code == 0
    assert len(rows) == 40
    assert {one.target for one in worker.requests} == {"/predict/iris?a=b"}
    assert len({str(row) for row in rows}) > 20
    share = {n: [one == "setosa" for one in right[(n + 1) % 2 :: 2]] for n in (0, 1)}
    told = [f"v{n} answered 20 ({100 * sum(share[n]) / 20:.1f} % right)" for n in (0, 1)]
    assert printed == f"{', '.join(told)}, 0 failed\n"
    with (tmp_path / "labels.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(one["request_id"], one["species"]) for one in lines] == [
        (f"r{number}", label) for number, label in enumerate(right, 1)
    ]


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answering(503), id="no 200"),
        pytest.param(answering(200, b"{}"), id="no prediction"),
        pytest.param(answering(200, b"["), id="no JSON"),
    ],
)
def test_what_was_not_answered_is_counted_and_exits_1(worker: Worker, behaviour: object) -> None:
    worker.behaviour = behaviour  # type: ignore[assignment]

    assert ask(worker.url) == (1, "error: nobody answered, 40 failed\n")


def test_of_numbers_the_mean_error_is_told(worker: Worker) -> None:
    worker.behaviour = answering(200, b'{"model_version": "w", "predictions": [0]}')

    code, printed = ask(worker.url, model="diabetes")

    assert code == 0
    assert re.fullmatch(r"w answered 40 \(off by 1\d\d(\.\d+)? on average\), 0 failed\n", printed)


@pytest.mark.parametrize("url", ["https://a", "nowhere", "http://a:b", "http://a:0"])
def test_what_is_no_address_is_wrong_use(url: str) -> None:
    assert ask(url)[0] == 2


def test_samples_are_a_table_that_a_snapshot_is_made_of(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["samples", "--model", "tickets", "--csv"]).stdout
    (tmp_path / "a.csv").write_text(printed)
    options = ["--model", "tickets", "--from", str(tmp_path / "a.csv"), "--out", str(tmp_path)]

    taken = CliRunner().invoke(app, ["snapshot", *options])

    head, *rows = csv.reader(io.StringIO(printed))
    assert head == ["text", "channel", "topic", "urgent"]
    found = data("tickets")
    assert [tuple(row[:2]) for row in rows] == list(found.rows)
    assert [(row[2], row[3]) for row in rows] == list(zip(*found.answers, strict=True))
    assert taken.exit_code == 0
    assert f": {len(rows)} rows" in taken.stdout
