"""Snapshots: immutable, named by their content, made of tables and of the prediction log."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.models.catalogue import data
from model_workers.registry.files import CannotUse
from model_workers.registry.prediction_log import Wanted
from model_workers.registry.shots import Sources, look, manifest_at, take

NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
FLOWER = (5.1, 3.5, 1.4, 0.2)


def at_noon() -> datetime:
    return datetime(2026, 3, 2, 12, tzinfo=UTC)


def table(path: Path, rows, *, label: str = "species") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*NAMES, label])
        writer.writerows([*row, answer] for row, answer in rows)
    return path


def line(request_id: str, **others) -> dict[str, object]:
    return {
        "timestamp": "2026-03-01T10:00:00Z",
        "request_id": request_id,
        "route": "iris",
        "assigned": "v2",
        "version": "v2",
        "assignment": "weighted",
        "user": None,
        "prediction": "setosa",
        "score": 0.9,
        "missing": None,
        "status": 200,
        "reason": None,
        "cause": None,
        "seconds": 0.001,
        "upstream_seconds": 0.001,
        "generation": "g",
        "features": {"instances": [list(FLOWER)]},
    } | others


def written(path: Path, *lines: object) -> Path:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def labels(path: Path, **by_id: str) -> str:
    path.write_text(
        "request_id,label\n" + "".join(f"{name},{label}\n" for name, label in by_id.items())
    )
    return str(path)


def from_log(tmp_path: Path, log: Path, right: str, **wanted):
    sources = Sources(logs=(log,), labels=right, wanted=Wanted(**wanted))
    return take("iris", sources, 0.3, tmp_path / "out", at_noon)[0]


# --- the file


def test_a_snapshot_is_named_by_its_content_and_made_once(tmp_path):
    first, new = take("iris", Sources(bundled=True), 0.3, tmp_path, at_noon)
    assert new
    assert first.path.name == f"iris-{first.snapshot.digest[:16]}.snapshot.jsonl"
    assert first.path.stat().st_mode & 0o222 == 0
    before = manifest_at(first.path).read_bytes()
    again, new = take("iris", Sources(bundled=True), 0.3, tmp_path)
    assert not new
    assert again == first
    assert manifest_at(first.path).read_bytes() == before
    other, _ = take("iris", Sources(bundled=True), 0.2, tmp_path)
    assert other.path != first.path


@pytest.mark.parametrize("damage", ["manifest", "snapshot"])
def test_a_damaged_one_is_made_anew_as_its_error_advises(tmp_path, damage):
    first, _ = take("iris", Sources(bundled=True), 0.3, tmp_path, at_noon)
    broken = first.path if damage == "snapshot" else manifest_at(first.path)
    broken.chmod(0o644)
    broken.write_text("{")
    with pytest.raises(CannotUse, match="anew"):
        look("iris", first.path)
    again, new = take("iris", Sources(bundled=True), 0.3, tmp_path, at_noon)
    assert new
    assert again == first == look("iris", first.path)


def test_the_manifest_says_what_is_in_it_and_where_it_came_from(tmp_path):
    shot, _ = take("iris", Sources(bundled=True), 0.3, tmp_path, at_noon)
    manifest = shot.manifest
    assert (manifest.rows, manifest.distinct, manifest.made_at) == (
        150,
        149,
        "2026-03-02T12:00:00Z",
    )
    assert manifest.labels == {"species": {"setosa": 50, "versicolor": 50, "virginica": 50}}
    assert manifest.held_out == shot.snapshot.side(held_out=True).total()
    (source,) = manifest.sources
    assert (source.kind, source.rows) == ("bundled", 150)


def test_a_snapshot_grows_from_another_and_knows_its_parent(tmp_path):
    first, _ = take("iris", Sources(bundled=True), 0.3, tmp_path)
    more = table(tmp_path / "more.csv", [((9.0, 3.0, 5.0, 2.0), "virginica")], label="label")
    grown, _ = take("iris", Sources(files=(first.path, more)), 0.3, tmp_path)
    assert grown.manifest.parents == (first.snapshot.digest,)
    assert grown.manifest.rows == 151
    assert first.snapshot.side(held_out=True) <= grown.snapshot.side(held_out=True)


@pytest.mark.parametrize("change", [lambda text: text + b" ", lambda text: text[:-20] + b"\n"])
def test_a_changed_snapshot_is_refused(tmp_path, change):
    shot, _ = take("iris", Sources(bundled=True), 0.3, tmp_path)
    shot.path.chmod(0o644)
    shot.path.write_bytes(change(shot.path.read_bytes()))
    with pytest.raises(CannotUse, match="was changed"):
        look("iris", shot.path)


# --- tables


def test_csv_and_json_lines_of_the_same_rows_are_the_same_snapshot(tmp_path):
    found = data("iris")
    rows = list(zip(found.rows, found.answers[0], strict=True))[::10]
    separated = table(tmp_path / "rows.csv", rows)
    lines = tmp_path / "rows.jsonl"
    lines.write_text(
        "".join(
            json.dumps(dict(zip(NAMES, row, strict=True)) | {"species": answer}) + "\n"
            for row, answer in rows
        )
    )
    first, _ = take("iris", Sources(files=(separated,)), 0.3, tmp_path)
    second, new = take("iris", Sources(files=(lines,)), 0.3, tmp_path)
    assert not new
    assert second.path == first.path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", "a,species\n1,setosa\n", "the column 'sepal length"),
        ("rows.csv", ",".join(NAMES) + "\n1,2,3,4\n", "has no column 'species'"),
        ("rows.csv", ",".join((*NAMES, "label")) + "\n1,2,3,4,rose\n", "row 1: species is 'rose'"),
        ("rows.csv", ",".join((*NAMES, "label")) + "\n1,2,3,4,setosa\n1,2,3,99,setosa\n", "row 2"),
        ("rows.csv", ",".join((*NAMES, "label")) + "\n1,2,3\n", "row 1: 3 fields"),
        ("rows.csv", ",".join((*NAMES, "label")) + "\n", "has no rows"),
        ("rows.csv", "", "is empty"),
        ("rows.jsonl", "[]\n", "rows.jsonl:1: "),
        ("rows.jsonl", '{"species": "setosa"}\n', "sepal length .* is missing"),
        ("rows.txt", "x", "neither .csv nor .jsonl"),
    ],
)
def test_a_table_that_will_not_do_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(CannotUse, match=words):
        take("iris", Sources(files=(tmp_path / name,)), 0.3, tmp_path)


# --- the prediction log


def test_lines_are_joined_with_their_labels_by_request_id(tmp_path):
    log = written(
        tmp_path / "log.jsonl",
        line("a"),
        line("b", version="v1", timestamp="2026-03-01T11:00:00Z"),
        line("c", features={"instances": [[6.0, 3.0, 5.0, 2.0]]}),
    )
    right = labels(tmp_path / "labels.csv", a="setosa", b="versicolor", z="setosa")
    shot = from_log(tmp_path, log, right)
    assert {(one.row, one.answers): n for one, n in shot.snapshot.counts.items()} == {
        (FLOWER, ("setosa",)): 1,
        (FLOWER, ("versicolor",)): 1,
    }
    (source,) = shot.manifest.sources
    assert source.versions == {"v1": 1, "v2": 1}
    assert source.first.startswith("2026-03-01T10:00")
    assert source.last.startswith("2026-03-01T11:00")
    assert source.dropped == {"not_labelled": 1}
    assert source.labels == "labels.csv"


def test_every_line_that_is_dropped_is_counted_by_why(tmp_path):
    log = written(
        tmp_path / "log.jsonl",
        line("kept"),
        "{torn",
        '{"timestamp": 1}',
        line("failed", status=503),
        line("left", status=499),
        {name: value for name, value in line("bare").items() if name != "features"},
        line("several", features={"instances": [list(FLOWER)] * 2}),
        line("none", features={"instances": []}),
        line("wide", features={"instances": [[99.0, 1, 1, 1]]}),
        line("text", features="hello"),
        line("other", route="digits"),
        line("old", timestamp="2025-01-01T00:00:00Z"),
        line("mine", version="v3"),
        line("again"),
        line("again"),
        line("unclear"),
        line("unclear", features={"instances": [[6.0, 3.0, 5.0, 2.0]]}),
        line("nobody"),
    )
    right = labels(tmp_path / "labels.csv", kept="setosa", again="setosa", unclear="setosa")
    wanted = {
        "route": "iris",
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "without": frozenset({"v3"}),
    }
    shot = from_log(tmp_path, log, right, **wanted)
    assert shot.manifest.rows == 2
    assert shot.manifest.sources[0].dropped == {
        "excluded_version": 1,
        "failed": 2,
        "no_features": 1,
        "not_labelled": 1,
        "other_route": 1,
        "refused_by_contract": 3,
        "repeated_id": 3,
        "several_instances": 1,
        "too_old": 1,
        "unreadable": 2,
    }


def test_rotated_files_and_those_of_other_processes_belong_to_a_log(tmp_path):
    for number, name in enumerate(
        ["log.jsonl", "log.jsonl.1", "log.jsonl.2", "log.0.jsonl", "log.1.jsonl.1"]
    ):
        written(tmp_path / name, line(f"r{number}"))
    written(tmp_path / "log2.jsonl", line("r9"))
    written(tmp_path / "log.jsonl.bak", line("r8"))
    right = labels(tmp_path / "l.csv", **{f"r{number}": "setosa" for number in range(10)})
    shot = from_log(tmp_path, tmp_path / "log.jsonl", right)
    assert shot.manifest.rows == 5
    assert shot.manifest.sources[0].files == (
        *("log.jsonl.2", "log.jsonl.1", "log.jsonl"),
        *("log.0.jsonl", "log.1.jsonl.1"),
    )


def test_a_request_of_the_open_inference_protocol_is_the_same_row(tmp_path):
    inputs = [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": list(FLOWER)}]
    log = written(tmp_path / "log.jsonl", line("a", features={"inputs": inputs}))
    shot = from_log(tmp_path, log, labels(tmp_path / "l.csv", a="setosa"))
    assert [one.row for one in shot.snapshot.counts] == [FLOWER]


def test_predicted_labels_are_marked_and_stay_marked(tmp_path):
    log = written(tmp_path / "log.jsonl", line("a"), line("b", prediction=None))
    shot = from_log(tmp_path, log, "predicted")
    assert shot.manifest.labels_are == "predicted"
    assert shot.manifest.sources[0].dropped == {"not_labelled": 1}
    child, _ = take("iris", Sources(files=(shot.path,), bundled=True), 0.3, tmp_path)
    assert child.manifest.labels_are == "predicted"


def test_a_log_of_several_routes_needs_one_of_them(tmp_path):
    log = written(tmp_path / "log.jsonl", line("a"), line("b", route="digits"))
    with pytest.raises(CannotUse, match="routes digits, iris; say --route"):
        from_log(tmp_path, log, labels(tmp_path / "l.csv", a="setosa"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("request_id,label\na,rose\n", r"l\.csv:2: species is 'rose'"),
        ("request_id,label\na,setosa\na,virginica\n", "'a' was labelled otherwise"),
        ("id,label\na,setosa\n", "no column 'request_id'"),
        ("request_id,price\na,1\n", "no column 'species'"),
        ('request_id,label\n"a,setosa\n', "no CSV in UTF-8"),
    ],
)
def test_labels_that_will_not_do_are_one_sentence(tmp_path, content, words):
    (tmp_path / "l.csv").write_text(content)
    log = written(tmp_path / "log.jsonl", line("a"))
    with pytest.raises(CannotUse, match=words):
        from_log(tmp_path, log, str(tmp_path / "l.csv"))


# --- the command


def test_the_command_says_what_it_made_and_what_was_dropped(tmp_path):
    log = written(tmp_path / "log.jsonl", line("a"), line("b", status=500))
    right = labels(tmp_path / "l.csv", a="setosa")
    asked = ["snapshot", "--model", "iris", "--out", str(tmp_path / "data")]
    said = CliRunner().invoke(app, [*asked, "--from-log", str(log), "--labels", right])
    assert said.exit_code == 0, said.output
    assert ": 1 rows (1 distinct, " in said.output
    assert "dropped of the log: 1 failed" in said.output
    said = CliRunner().invoke(app, [*asked, "--bundled", "--json"])
    assert json.loads(said.output)["manifest"]["rows"] == 150


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ([], 2, "say --bundled, --from FILE or --from-log FILE"),
        (["--from-log", "log.jsonl"], 2, "--from-log and --labels belong together"),
        (["--from", "nowhere.csv"], 1, "nowhere.csv cannot be read: No such file"),
        (["--from-log", "nowhere.jsonl", "--labels", "predicted"], 1, "nowhere.jsonl is not there"),
    ],
)
def test_what_cannot_be_made_is_one_sentence_and_an_exit_code(more, code, words):
    said = CliRunner().invoke(app, ["snapshot", "--model", "iris", *more])
    assert said.exit_code == code
    assert words in " ".join(said.stderr.replace("│", "").split())
