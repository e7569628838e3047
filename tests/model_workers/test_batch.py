"""Files scored: what comes out, what is refused, and what an interruption leaves behind."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

import model_workers
from model_workers.batch.progress import watching
from model_workers.batch.scoring import BadRow, Job, Outcome, score
from model_workers.batch.table import BadTable
from model_workers.cli import app
from model_workers.contract.contract import Classes, Contract, Quantity, Row
from model_workers.contract.feature import Choice, Number, Text
from model_workers.predictors.dummy import DummyPredictor
from model_workers.predictors.predictor import Answer
from model_workers.revision import code_version

ROOT = Path(model_workers.__file__).parents[1]
CONTRACT = Contract(
    "parcels",
    "How a parcel goes.",
    (
        Number("weight", 0, 100, missing=1.0),
        Number("stops", 0, 9, whole=True),
        Choice("kind", ("soft", "hard")),
        Text("note", 50, shortest=0),
    ),
    (Classes("way", ("road", "rail", "air")), Quantity("days")),
)
HEAD = ["id", "note", "stops", "kind", "weight"]
LINES = [
    ["007", 'a "quoted", one', "3", "soft", "1.50"],
    ["008", "two\nlines", "0", "hard", ""],
    ["009", "", "9", "soft", " 2e1 "],
    ["010", "ünïcode", "1", "hard", "0.1"],
    ["011", "last", "2", "soft", "99.99999999999999"],
]
ADDED = ["prediction_way", "probability_way", "prediction_days", "model_version", "code_version"]


class Heard:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.seen: list[tuple[int, float]] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def at(self, rows: int, share: float) -> None:
        self.seen.append((rows, share))


def separated(path: Path, lines: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *lines])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def job(source: Path, **more: Any) -> Job:
    target = source.with_name(f"out{source.suffix}")
    chosen = {"predictor": DummyPredictor(CONTRACT), "version": "v7", "part_rows": 2, **more}
    return Job(source, target, **chosen)


def run(source: Path, **more: Any) -> tuple[Outcome, Heard]:
    heard = Heard()
    return score(job(source, **more), heard), heard


def left(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- what comes out


def test_the_output_is_the_input_with_answers_and_both_versions(tmp_path):
    outcome, _ = run(separated(tmp_path / "in.csv", LINES))
    found = read(tmp_path / "out.csv")

    assert outcome == Outcome(5, 0)
    assert list(found[0]) == [*HEAD, *ADDED]
    assert [[row[name] for name in HEAD] for row in found] == LINES
    assert {row["model_version"] for row in found} == {"v7"}
    assert {row["code_version"] for row in found} == {code_version()}
    assert left(tmp_path) == {"in.csv", "out.csv"}


def test_text_of_a_csv_file_is_read_by_the_features_type(tmp_path):
    rows: list[tuple[Row, ...]] = []

    class Listening(DummyPredictor):
        def predict(self, asked: Sequence[Row]) -> Answer:
            rows.append(tuple(asked))
            return super().predict(asked)

    source = separated(tmp_path / "in.csv", LINES)
    score(Job(source, tmp_path / "out.csv", Listening(CONTRACT), "v7"), Heard())

    assert rows[0][:3] == (
        (1.5, 3.0, "soft", 'a "quoted", one'),
        (1.0, 0.0, "hard", "two\nlines"),  # no weight: what the contract puts in its place
        (20.0, 9.0, "soft", ""),
    )


def test_floats_are_written_so_that_they_read_as_the_same_bits(tmp_path):
    run(separated(tmp_path / "in.csv", LINES))
    rows = [
        (1.5, 3.0, "soft", 'a "quoted", one'),
        (99.99999999999999, 2.0, "soft", "last"),
    ]
    answer = DummyPredictor(CONTRACT).predict(rows)
    found = read(tmp_path / "out.csv")

    assert [found[0]["prediction_days"], found[4]["prediction_days"]] == [
        repr(value) for value in answer.predictions[1]
    ]


def test_parquet_keeps_the_types_of_what_is_carried_along(tmp_path):
    table = pa.table(
        {
            "day": [date(2024, 2, n) for n in range(1, 6)],
            "kind": pa.array(["soft", "hard", "soft", "hard", "soft"]).dictionary_encode(),
            "note": ["a", "b", "c", "d", "e"],
            "stops": pa.array([1, 2, 3, 4, 5], pa.int8()),
            "weight": pa.array([Decimal("1.50"), None, Decimal("3.25"), None, Decimal("0.10")]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3)
    outcome, heard = run(tmp_path / "in.parquet")
    found = pq.read_table(tmp_path / "out.parquet")

    assert outcome == Outcome(5, 0)
    assert found.select(table.schema.names).schema.types == table.schema.types
    assert found.select(table.schema.names).to_pylist() == table.to_pylist()
    rows: list[Row] = [
        (1.5, 1.0, "soft", "a"),
        (1.0, 2.0, "hard", "b"),
        (3.25, 3.0, "soft", "c"),
        (1.0, 4.0, "hard", "d"),
        (0.1, 5.0, "soft", "e"),
    ]
    answer = DummyPredictor(CONTRACT).predict(rows)
    assert found["prediction_way"].to_pylist() == answer.predictions[0]
    assert found["prediction_days"].to_pylist() == answer.predictions[1]
    assert heard.seen[-1] == (5, 1.0)


def test_a_column_that_may_be_missing_may_be_missing(tmp_path):
    lines = [line[:-1] for line in LINES]
    run(separated(tmp_path / "less.csv", lines, HEAD[:-1]))
    less = read(tmp_path / "out.csv")
    run(separated(tmp_path / "in.csv", [[*line, "1"] for line in lines]))

    assert [row["prediction_days"] for row in less] == [
        row["prediction_days"] for row in read(tmp_path / "out.csv")
    ]


def test_a_byte_order_mark_and_empty_lines_are_no_data(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(b"\xef\xbb\xbfstops,kind,note\r\n1,soft,a\r\n\r\n2,hard,b\r\n\r\n")

    assert run(source)[0] == Outcome(2, 0)
    assert next(iter(read(tmp_path / "out.csv")[0])) == "stops"


def test_line_ends_of_any_kind_within_a_text_come_out_as_they_went_in(tmp_path):
    lines = [[mark, f"one{mark}two", "3", "soft", "1"] for mark in ("\r", "\n", "\r\n", "\n\r")]
    run(separated(tmp_path / "in.csv", lines))

    assert [[row[name] for name in HEAD] for row in read(tmp_path / "out.csv")] == lines


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_without_rows_becomes_one_without_rows(tmp_path, suffix):
    source = tmp_path / f"in{suffix}"
    if suffix == ".csv":
        separated(source, [])
    else:
        pq.write_table(pa.table({"stops": [1], "kind": ["a"], "note": ["b"]}).slice(1), source)

    assert run(source)[0] == Outcome(0, 0)
    target = tmp_path / f"out{suffix}"
    names = (
        target.read_text().strip().split(",")
        if suffix == ".csv"
        else pq.read_table(target).schema.names
    )
    assert names[-5:] == ADDED


# --- what is refused before anything is scored


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (
            ["id", "note", "kind"],
            "the column 'stops' is missing; the file has 'id', 'note', 'kind'",
        ),
        ([*HEAD, "id"], "the column 'id' is there twice; rename one"),
        ([*HEAD, "code_version"], "has a column 'code_version', which scoring would add"),
    ],
)
def test_columns_that_will_not_do_are_named_before_anything_is_scored(tmp_path, head, words):
    source = separated(tmp_path / "in.csv", [], head)

    with pytest.raises(BadTable, match=words):
        run(source)
    assert left(tmp_path) == {"in.csv"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.txt", b"", r"in.txt is neither .csv nor .parquet"),
        ("in.csv", b"", r"in.csv is empty; its first line must name the columns"),
        ("in.csv", b"stops,kind,note\n1,soft,\xff\n", "not UTF-8 after line 0"),
        ("in.csv", b'stops,kind,note\n1,soft,"a\n', "line 2: unexpected end of data"),
        ("in.parquet", b"PAR1 but no more", "in.parquet is no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadTable, match=words) as caught:
        run(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(BadTable, match=r"in.csv cannot be read: No such file or directory"):
        run(tmp_path / "in.csv")


def test_the_output_is_another_file_of_the_same_format(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)
    predictor = DummyPredictor(CONTRACT)

    with pytest.raises(BadTable, match="is the input; name another file"):
        score(Job(source, source, predictor, "v7"), Heard())
    with pytest.raises(BadTable, match=r"the output has the input's format; name it .csv"):
        score(Job(source, tmp_path / "out.parquet", predictor, "v7"), Heard())
    (tmp_path / "there.csv").mkdir()
    with pytest.raises(BadTable, match=r"there.csv is a directory; name a file"):
        score(Job(source, tmp_path / "there.csv", predictor, "v7"), Heard())
    assert left(tmp_path) == {"in.csv", "there.csv"}


def test_without_pyarrow_parquet_is_refused_by_the_name_of_the_extra(tmp_path, monkeypatch):
    (tmp_path / "in.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "model_workers.batch.parquet", raising=False)

    with pytest.raises(BadTable, match=r"install it: pip install 'canary-gateway\[batch\]'"):
        run(tmp_path / "in.parquet")


# --- rows that will not do

BAD = [
    LINES[0],
    LINES[1],
    ["012", "x", "nan", "soft", "1"],
    ["013", "x", "1.5", "solid", "abc"],
    LINES[2],
    ["014", "too", "many", "fields", "here", "!"],
    LINES[3],
]


def test_a_bad_row_ends_the_work_by_its_number_and_what_is_wrong(tmp_path):
    source = separated(tmp_path / "in.csv", BAD)

    with pytest.raises(BadRow, match=r"in.csv: row 3: stops is NaN; write a whole number from 0"):
        run(source)
    assert not (tmp_path / "out.csv").exists()


def test_bad_rows_that_are_skipped_are_kept_with_the_reason(tmp_path):
    outcome, _ = run(separated(tmp_path / "in.csv", BAD), skip_bad=True)
    rejected = [json.loads(line) for line in lines_of(tmp_path / "out.csv.rejected")]

    assert outcome == Outcome(4, 3)
    assert [row["id"] for row in read(tmp_path / "out.csv")] == ["007", "008", "009", "010"]
    assert [line["row"] for line in rejected] == [3, 4, 6]
    assert "kind is the text 'solid'" in rejected[1]["reason"]
    assert "weight is the text 'abc'" in rejected[1]["reason"]
    assert rejected[1]["record"] == dict(zip(HEAD, BAD[3], strict=True))
    assert rejected[2]["reason"] == "6 fields; the header names 5 columns"
    assert rejected[2]["record"] == BAD[5]


def test_bad_rows_of_parquet_are_skipped_alike(tmp_path):
    table = pa.table(
        {"stops": [1, 2, None], "kind": ["soft", "wood", "hard"], "note": ["a", "b", "c"]}
    )
    pq.write_table(table, tmp_path / "in.parquet")

    assert run(tmp_path / "in.parquet", skip_bad=True)[0] == Outcome(1, 2)
    lines = [json.loads(line) for line in lines_of(tmp_path / "out.parquet.rejected")]
    assert [line["row"] for line in lines] == [2, 3]
    assert lines[1]["record"] == {"stops": None, "kind": "hard", "note": "c"}


def test_values_that_python_cannot_have_are_refused_and_kept_with_the_reason(tmp_path):
    """Of a feature; in another column they are carried along, and told in words if need be."""
    broken = pa.array([b"a", b"\xff", b"c", b"\xfe"])
    notes = pa.StringArray.from_buffers(4, broken.buffers()[1], broken.buffers()[2])
    table = pa.table(
        {
            "stops": [1, 2, 99, 4],
            "kind": ["soft", "hard", "soft", "hard"],
            "note": notes,
            "at": pa.array([0, 0, 2**62, 0], pa.timestamp("us")),  # beyond the year 9999
            "raw": notes.take(pa.array([1, 1, 1, 1])),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")

    assert run(tmp_path / "in.parquet", skip_bad=True)[0] == Outcome(1, 3)
    lines = [json.loads(line) for line in lines_of(tmp_path / "out.parquet.rejected")]
    assert [line["row"] for line in lines] == [2, 3, 4]
    assert "note is a ForeignValue; write text of 0 to 50" in lines[0]["reason"]
    assert lines[0]["record"]["raw"] == "string that cannot be read"
    assert "stops is 99" in lines[1]["reason"]
    assert lines[1]["record"]["note"] == "c"
    assert str(2**62) in lines[1]["record"]["at"]
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["raw"].combine_chunks().cast(pa.binary()).to_pylist() == [b"\xff"]


def test_a_number_of_very_many_digits_and_a_letter_is_refused_at_once(tmp_path):
    line = ["012", "x", "1" * 200_000 + "x", "soft", "1"]

    with pytest.raises(
        BadRow, match=r"row 1: stops is the text '1{40}\.\.\.'; write a whole number"
    ):
        run(separated(tmp_path / "in.csv", [line]))


def test_a_run_without_bad_rows_leaves_none_of_an_earlier_run(tmp_path):
    run(separated(tmp_path / "in.csv", BAD), skip_bad=True)
    run(separated(tmp_path / "in.csv", LINES), skip_bad=True)

    assert left(tmp_path) == {"in.csv", "out.csv"}


def test_what_was_scored_before_a_bad_row_is_not_scored_again_once_it_may_be_skipped(tmp_path):
    source = separated(tmp_path / "in.csv", BAD)
    with pytest.raises(BadRow):
        run(source)

    _, heard = run(source, skip_bad=True)

    assert heard.said == ["going on after row 2"]


def test_an_interrupted_run_that_skips_is_no_excuse_for_one_that_does_not(tmp_path):
    source = separated(tmp_path / "in.csv", BAD)
    with pytest.raises(BadTable, match="the model failed on rows 5 to 6"):
        run(source, skip_bad=True, predictor=Failing(1))

    with pytest.raises(BadRow, match="row 3"):
        run(source)


class Failing(DummyPredictor):
    """Answers so many times, and then no more."""

    def __init__(self, times: int) -> None:
        super().__init__(CONTRACT)
        self._left = times

    def predict(self, rows: Sequence[Row]) -> Answer:
        self._left -= 1
        if self._left < 0:
            raise ArithmeticError("no more")
        return super().predict(rows)


# --- interrupted


class Killed(BaseException):
    """What no code catches."""


TOUCHES: list[tuple[Any, str]] = [
    (os, "fsync"),
    (os, "unlink"),
    (os, "rmdir"),
    (Path, "open"),
    (Path, "replace"),
    (Path, "unlink"),
]


def sabotage(patch: pytest.MonkeyPatch, step: int) -> Callable[[], bool]:
    """Die before (even steps) or after (odd ones) touch ``step // 2`` of the disk; whether it came
    to that.
    """
    touches = count()
    killed = False

    def dying(touch: Any) -> Any:
        def call(*words: Any, **named: Any) -> Any:
            nonlocal killed
            mine = next(touches) == step // 2
            killed = killed or mine
            if mine and step % 2 == 0:
                raise Killed
            done = None
            try:
                done = touch(*words, **named)
            finally:
                if mine:
                    if hasattr(done, "close"):
                        done.close()
                    raise Killed
            return done

        return call

    for owner, name in TOUCHES:
        patch.setattr(owner, name, dying(getattr(owner, name)))
    return lambda: killed


def bytes_of(directory: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_killed_anywhere_and_started_again_the_result_is_the_same(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda held: None)  # slow, and of no effect on this test

    def fresh(name: str) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        if suffix == ".csv":
            return separated(directory / "in.csv", BAD)
        table = pa.table({name: [row[i] for row in BAD] for i, name in enumerate(HEAD[:2])})
        table = table.append_column("stops", pa.array([1, 2, 3, None, 4, 99, 5]))
        table = table.append_column("kind", pa.array(["soft", "hard", "soft"] * 2 + ["hard"]))
        pq.write_table(table, directory / "in.parquet", row_group_size=3)
        return directory / "in.parquet"

    once = fresh("once")
    run(once, skip_bad=True)
    expected = bytes_of(once.parent)

    for step in count():
        source = fresh(str(step))
        with pytest.MonkeyPatch.context() as patch:
            killed = sabotage(patch, step)
            with suppress(Killed):
                run(source, skip_bad=True)
            died = killed()
        if not died:
            break
        resumed, _ = run(source, skip_bad=True)
        assert bytes_of(source.parent) == expected, step
        assert resumed.scored + resumed.rejected == 7
    assert step > 50


def interrupted(source: Path, parts: int) -> Path:
    """The directory of a job that died after so many parts."""
    with pytest.raises(BadTable, match="the model failed"):
        run(source, predictor=Failing(parts))
    return source.with_name(f"out{source.suffix}.parts")


def test_what_was_done_is_not_done_again(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)
    interrupted(source, 2)

    _, heard = run(source)

    assert heard.said == ["going on after row 4"]
    assert [rows for rows, _ in heard.seen] == [5]


def test_a_journal_cut_or_changed_at_any_byte_costs_work_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda held: None)
    source = separated(tmp_path / "in.csv", LINES)
    run(source)
    expected = (tmp_path / "out.csv").read_bytes()
    directory = interrupted(source, 2)
    journal = (directory / "journal.jsonl").read_bytes()
    parts = {path: path.read_bytes() for path in directory.glob("*.scored")}

    for place in range(0, len(journal), 7):
        for damaged in (journal[:place], journal[:place] + b"\0" + journal[place + 1 :]):
            directory.mkdir(exist_ok=True)
            for path, content in parts.items():
                path.write_bytes(content)
            (directory / "journal.jsonl").write_bytes(damaged)
            run(source)
            assert (tmp_path / "out.csv").read_bytes() == expected


def test_a_part_that_was_damaged_on_the_disk_is_made_again(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)
    run(source)
    expected = (tmp_path / "out.csv").read_bytes()
    directory = interrupted(source, 2)
    (directory / "000001.scored").write_bytes(b"half a")

    _, heard = run(source)

    assert heard.said == ["going on after row 2"]
    assert (tmp_path / "out.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_digest": "other"}, "trained model"),
        ({"version": "v8"}, "version"),
        ({"part_rows": 3}, "format"),
    ],
)
def test_another_model_starts_anew_and_says_so(tmp_path, change, named):
    source = separated(tmp_path / "in.csv", LINES)
    interrupted(source, 2)
    heard = Heard()
    asked = {"version": "v7", "part_rows": 2, **change}
    score(Job(source, tmp_path / "out.csv", DummyPredictor(CONTRACT), **asked), heard)

    assert heard.said == [f"what was done before is of no use ({named} changed): starting anew"]
    assert {row["model_version"] for row in read(tmp_path / "out.csv")} == {asked["version"]}


def test_another_input_starts_anew_and_says_so(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)
    interrupted(source, 2)
    separated(source, [["006", *LINES[0][1:]], *LINES[1:]])

    _, heard = run(source)

    assert heard.said == ["what was done before is of no use (input changed): starting anew"]
    assert read(tmp_path / "out.csv")[0]["id"] == "006"


def test_an_input_that_changes_while_it_is_read_gives_no_output(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)

    class Meddling(DummyPredictor):
        def predict(self, rows: Sequence[Row]) -> Answer:
            with source.open("a") as file:
                file.write("015,later,1,soft,1\n")
            return super().predict(rows)

    with pytest.raises(BadTable, match="changed while it was read; start again"):
        run(source, predictor=Meddling(CONTRACT), part_rows=100)
    assert not (tmp_path / "out.csv").exists()


def test_two_processes_never_score_into_one_output(tmp_path):
    source = separated(tmp_path / "in.csv", LINES)

    class Meeting(DummyPredictor):
        def predict(self, rows: Sequence[Row]) -> Answer:
            with pytest.raises(BadTable, match="another process is scoring into it"):
                run(source)
            return super().predict(rows)

    assert run(source, predictor=Meeting(CONTRACT))[0] == Outcome(5, 0)


# --- as a process

HANGING = """
import functools, sys, time
from model_workers.batch import scoring as batch
from model_workers.cli import app
from model_workers.commands import scoring
from model_workers.commands.chosen import Chosen
from tests.model_workers.test_batch import CONTRACT, DummyPredictor

class Hanging(DummyPredictor):
    asked = 0
    def predict(self, rows):
        self.asked += 1
        if self.asked > 1:
            print("hangs", flush=True)
            time.sleep(600)
        return super().predict(rows)

scoring.chosen = lambda *_: Chosen(Hanging(CONTRACT), "v7", "")
batch.Job = functools.partial(batch.Job, part_rows=2)
app(["score", *sys.argv[1:], "--model", "parcels"])
"""


def test_a_process_that_is_terminated_and_then_killed_goes_on_to_the_same_bytes(tmp_path):
    source = separated(tmp_path / "in.csv", LINES * 2)
    target = tmp_path / "out.csv"

    def ended(by: signal.Signals) -> tuple[int, str]:
        with subprocess.Popen(
            [sys.executable, "-c", HANGING, str(source), str(target)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(by)
            _, log = process.communicate()
        assert line == "hangs\n", log
        assert not target.exists()
        return process.returncode, log

    assert ended(signal.SIGTERM)[0] == 128 + signal.SIGTERM
    code, log = ended(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "going on after row 2" in log
    _, heard = run(source)
    assert heard.said == ["going on after row 4"]
    resumed = target.read_bytes()
    run(source)
    assert resumed == target.read_bytes()
    assert left(tmp_path) == {"in.csv", "out.csv"}


FLOWERS = ["petal length (cm)", "sepal length (cm)", "petal width (cm)", "sepal width (cm)"]


def command(*words: object) -> Any:
    chosen = ("--model", "iris", "--predictor", "dummy", "--version", "v0")
    return CliRunner().invoke(app, ["score", *chosen, *map(str, words)])


def test_the_command_says_what_it_did(tmp_path):
    source = separated(tmp_path / "in.csv", [["1", "2", "3", "4"]] * 2 + [["x"] * 4], FLOWERS)
    said = command(source, tmp_path / "out.csv", "--skip-bad")

    assert said.exit_code == 0
    assert said.stdout.splitlines() == [
        f"{tmp_path / 'out.csv'}: 2 rows by iris v0, code {code_version()}",
        f"{tmp_path / 'out.csv'}.rejected: 1 rows refused",
    ]
    assert said.stderr == "3 rows, 100%\n"  # no terminal: no bar


def test_the_command_says_nothing_if_told_so(tmp_path):
    source = separated(tmp_path / "in.csv", [["1", "2", "3", "4"]], FLOWERS)
    said = command(source, tmp_path / "out.csv", "--quiet")

    assert (said.exit_code, said.output) == (0, "")


def test_a_bad_row_is_one_sentence_and_exit_code_1(tmp_path):
    source = separated(tmp_path / "in.csv", [["1", "2", "31", "4"]], FLOWERS)
    said = command(source, tmp_path / "out.csv")

    assert said.exit_code == 1
    rule = "petal width (cm) is 31; write a number from 0 to 30 cm"
    assert said.stderr == f"error: {source}: row 1: {rule}\n"


def test_on_a_terminal_there_is_a_bar(tmp_path):
    text = io.StringIO()
    source = separated(tmp_path / "in.csv", LINES)
    with watching(Console(file=text, force_terminal=True, width=80), quiet=False) as watcher:
        score(job(source), watcher)

    assert "5 rows" in text.getvalue()
    assert "100%" in text.getvalue()
