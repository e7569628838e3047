"""From a snapshot to a registered version: trained, evaluated, gated, kept, served, told of."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.models.catalogue import data, find, model_of
from model_workers.models.corpus import TOPICS
from model_workers.models.model import Data
from model_workers.registry import versions
from model_workers.registry.candidates import look
from model_workers.registry.files import CannotUse, digest_of
from model_workers.registry.judging import named
from model_workers.registry.shots import Sources, take
from model_workers.registry.versions import ARTEFACT, EVALUATION, GATE, MANIFEST, SUMS
from model_workers.training.teaching import CannotLearn, measured, teach
from model_workers.training.train import write

MODEL = "breast-cancer"


def run(*arguments: object, code: int = 0) -> str:
    """What a command says, after its exit code was as expected."""
    said = CliRunner().invoke(app, list(map(str, arguments)))
    assert said.exit_code == code, said.output
    return said.output if code == 0 else said.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A snapshot, a poor and a good model trained from it, both registered, the good one through
    the gate.
    """
    place = tmp_path_factory.mktemp("made")
    shot, _ = take(MODEL, Sources(bundled=True), 0.3, place)
    shot.path.rename(place / "data.jsonl")
    shot.path.with_name(shot.path.name.replace(".snapshot.jsonl", ".manifest.json")).rename(
        place / "data.manifest.json"
    )
    common = ("--model", MODEL)
    for recipe, seed in (("v3", 1), ("v2", 7)):
        run(
            *("train", *common, "--predictor", recipe, "--data", place / "data.jsonl"),
            *("--seed", seed, "--out", place / f"{recipe}.skops"),
        )
    registry = ("--registry", place / "registry")
    run(
        *("register", *common, "--version", "2026-03-01", "--artefact", place / "v3.skops"),
        *("--without-gate", "the first version", "--by", "ana", *registry),
    )
    run(
        *("evaluate", *common, "--candidate", place / "v2.skops", "--production", "2026-03-01"),
        *("--data", place / "data.jsonl", "--out", place / "evaluation.json", *registry),
    )
    run("gate", "--evaluation", place / "evaluation.json", "--min-quality", "0.9")
    run(
        *("register", *common, "--version", "2026-03-08", "--artefact", place / "v2.skops"),
        *("--gate", place / "gate.json", "--by", "ana", *registry),
    )
    return place


@pytest.fixture
def registry(made, tmp_path) -> Path:
    """A copy that may be damaged."""
    shutil.copytree(made / "registry", tmp_path / "registry")
    for path in [tmp_path / "registry", *(tmp_path / "registry").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "registry"


# --- trained


def test_the_same_snapshot_and_seed_give_the_same_bytes_in_another_process(made, tmp_path):
    command = [
        *(sys.executable, "-m", "model_workers", "train", "--model", MODEL, "--predictor", "v2"),
        *("--data", str(made / "data.jsonl"), "--seed", "7", "--out", str(tmp_path / "v2.skops")),
    ]
    subprocess.run(
        command,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "3"},
        stdout=subprocess.DEVNULL,
    )
    assert (tmp_path / "v2.skops").read_bytes() == (made / "v2.skops").read_bytes()


def test_a_seed_decides_what_is_random_and_is_told(made, tmp_path):
    snapshot, _ = take("iris", Sources(bundled=True), 0.3, tmp_path)
    said = []
    for seed in (1, 1, 2):
        out = tmp_path / f"{len(said)}.skops"
        run(
            *("train", "--model", "iris", "--predictor", "forest", "--data", snapshot.path),
            *("--seed", seed, "--out", out),
        )
        said.append(look("iris", out))
    first, again, other = said
    assert first.content == again.content
    assert first.predictor.predict(data("iris").rows) != other.predictor.predict(data("iris").rows)
    assert other.note.provenance.seed == 2
    assert other.note.provenance.parameters["random_state"] == "2"


def test_nothing_is_learned_from_held_out_rows(tmp_path):
    """Their labels may be anything: the model is the same but for the name of its data."""
    shot, _ = take("iris", Sources(bundled=True), 0.3, tmp_path / "true")
    text = shot.path.read_text().splitlines(keepends=True)
    held_out = [json.dumps(list(one.row)) for one in shot.snapshot.side(held_out=True)]
    wrong = [
        one.replace("versicolor", "setosa").replace("virginica", "setosa")
        if any(json.dumps(json.loads(one).get("row")) == row for row in held_out)
        else one
        for one in text
    ]
    assert wrong != text
    (tmp_path / "wrong.jsonl").write_text("".join(wrong))
    models = []
    for number, path in enumerate((shot.path, tmp_path / "wrong.jsonl")):
        out = tmp_path / f"{number}.skops"
        run("train", "--model", "iris", "--predictor", "v1", "--data", path, "--out", out)
        models.append(look("iris", out))
    rows = data("iris").rows
    assert models[0].predictor.predict(rows) == models[1].predictor.predict(rows)
    assert models[0].note.provenance.snapshot != models[1].note.provenance.snapshot


def test_rows_of_one_label_alone_teach_nothing(tmp_path):
    (tmp_path / "few.jsonl").write_text(
        "".join(
            json.dumps(
                dict(zip(model_of("iris").contract.names, row, strict=True))
                | {"species": "setosa"},
            )
            + "\n"
            for row in data("iris").rows[:30]
        )
    )
    shot, _ = take("iris", Sources(files=(tmp_path / "few.jsonl",)), 0.3, tmp_path)
    said = run(*("train", "--model", "iris", "--predictor", "v1", "--data", shot.path), code=1)
    assert said.startswith("error: 0 rows to learn from have the species versicolor; 5 are")


def labelled(model, rows, *answers):
    """Rows as :mod:`teaching` takes them."""
    assert len(answers) == len(model_of(model).contract.outputs)
    return Data(tuple(rows), tuple(map(tuple, answers)))


def test_rows_from_which_a_library_cannot_learn_are_one_sentence(recwarn):
    """And never a figure that is no number: the artefact that had it could not be read."""
    known = data("diabetes")
    few = labelled("diabetes", known.rows[:9], known.answers[0][:9])
    with pytest.raises(CannotLearn, match="9 rows to learn from; 10 are the least"):
        measured(find("diabetes", "v2"), few, 0)

    alike = labelled("iris", data("iris").rows[:1] * 15, ["setosa", "versicolor", "virginica"] * 5)
    with pytest.raises(CannotLearn, match="v2 cannot learn species: index 0 is out of bounds"):
        teach(find("iris", "v2"), alike, 0)

    texts = ["such words" if number < 3 else f"alone{number}" for number in range(40)]
    topics, urgent = [*TOPICS] * 10, [["no", "yes"][number // 4 % 2] for number in range(40)]
    odd = labelled("tickets", [(text, "email") for text in texts], topics, urgent)
    teach(find("tickets", "bag-of-words"), odd, 0)
    with pytest.raises(CannotLearn, match=r"topic from 4 folds of 5: After pruning, no terms"):
        measured(find("tickets", "bag-of-words"), odd, 0)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--predictor", "v1"], "need --data SNAPSHOT"),
        (["--data", "x.jsonl"], "--data needs --model and --predictor"),
        (["--data", "x.jsonl", "--model", "iris", "--predictor", "rules"], "does not learn"),
    ],
)
def test_training_asked_for_wrongly_is_exit_code_2(more, words):
    assert words in " ".join(run("train", *more, code=2).replace("│", "").split())


# --- evaluated and gated


def test_the_evaluation_counts_pairs_on_the_held_out_rows(made):
    found = json.loads((made / "evaluation.json").read_text())
    assert found["rows"] == {
        "snapshot": digest_of((made / "data.jsonl").read_bytes()),
        "labels_are": "given",
        "share": 0.3,
        "held_out": 175,
        "copies": 0,
        "left_out": 0,
    }
    (result,) = found["results"]
    rows, better, worse = result["pairs"]
    assert rows == 175 == sum(one["rows"] for one in result["labels"])
    new, old = result["candidate"]["accuracy"], result["production"]["accuracy"]
    assert new - old == pytest.approx((better - worse) / rows)
    assert 0 < result["candidate"]["log_loss"] < result["production"]["log_loss"]


def test_a_worse_candidate_is_refused_with_the_numbers_and_leaves_no_record(made, tmp_path):
    out = tmp_path / "evaluation.json"
    run(
        *("evaluate", "--model", MODEL, "--candidate", "2026-03-01", "--production", "2026-03-08"),
        *("--data", made / "data.jsonl", "--registry", made / "registry", "--out", out),
    )
    said = run("gate", "--evaluation", out, code=1)
    assert said.startswith("refused: accuracy 0.891 of 175 held-out rows; difference to production")
    assert (
        "2026-03-08 -0.091 (95 % interval -0.144 to -0.053) is not proven above 0: 0 rows" in said
    )
    assert not (tmp_path / "gate.json").exists()
    document = CliRunner().invoke(app, ["gate", "--evaluation", str(out), "--json"])
    assert document.exit_code == 1
    assert json.loads(document.output)["passed"] is False


def test_a_model_against_itself_never_passes(made, tmp_path):
    out = tmp_path / "evaluation.json"
    same = ("--candidate", made / "v2.skops", "--production", "2026-03-08")
    run(
        *("evaluate", "--model", MODEL, *same, "--data", made / "data.jsonl"),
        *("--registry", made / "registry", "--out", out),
    )
    assert "0 rows better, 0 worse; more rows like these" in run(
        "gate", "--evaluation", out, code=1
    )
    run("gate", "--evaluation", out, "--min-improvement", "-0.05")


def test_rows_that_production_learned_from_are_left_out(made, tmp_path):
    """Bundled artefacts learned from all bundled rows; one that held out less from some of them."""
    write(find(MODEL, "v1"), tmp_path)
    old = tmp_path / MODEL / "v1.skops"
    asked = ("evaluate", "--model", MODEL, "--candidate", made / "v2.skops")
    said = run(*asked, "--production", old, "--data", made / "data.jsonl", code=1)
    assert "none of the 175 held-out rows" in said
    assert "v1.skops learned from all bundled rows" in said
    less, _ = take(MODEL, Sources(bundled=True), 0.1, tmp_path)
    run(
        *("train", "--model", MODEL, "--predictor", "v1", "--data", less.path),
        *("--out", tmp_path / "less.skops"),
    )
    out = tmp_path / "evaluation.json"
    said = run(
        *(*asked, "--production", tmp_path / "less.skops", "--data", made / "data.jsonl"),
        *("--out", out),
    )
    rows = json.loads(out.read_text())["rows"]
    assert rows["share"] == 0.1
    assert rows["held_out"] == less.snapshot.side(held_out=True).total()
    assert rows["held_out"] + rows["left_out"] == 175
    assert f"{rows['left_out']} left out that one of the two may have learned from" in said


def test_a_regressor_is_judged_by_its_mean_absolute_error(tmp_path):
    shot, _ = take("diabetes", Sources(bundled=True), 0.3, tmp_path)
    for recipe in ("v2", "v3"):
        run(
            *("train", "--model", "diabetes", "--predictor", recipe, "--data", shot.path),
            *("--out", tmp_path / f"{recipe}.skops"),
        )
    out = tmp_path / "evaluation.json"
    said = run(
        *("evaluate", "--model", "diabetes", "--candidate", tmp_path / "v2.skops"),
        *("--production", tmp_path / "v3.skops", "--data", shot.path, "--out", out),
    )
    assert "progression mean absolute error" in said
    assert run("gate", "--evaluation", out, "--max-error", "50").startswith(
        "passed: mean absolute error 4"
    )
    assert "above 30, the most that is asked for" in run(
        "gate", "--evaluation", out, "--max-error", "30", code=1
    )
    assert "no accuracy that --min-quality could be held against; say --max-error" in run(
        "gate", "--evaluation", out, "--min-quality", "0.9", code=1
    )
    where = ("--model", "diabetes", "--registry", tmp_path / "registry")
    run(
        *("register", *where, "--version", "w1", "--artefact", tmp_path / "v2.skops"),
        *("--gate", tmp_path / "gate.json"),
    )
    assert "asked: mean absolute error at most 50, better than" in run("lineage", "w1", *where)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--max-false-pass", "5%", "--confidence", "90"], 2, "not both"),
        (["--max-false-pass", "many"], 2, "write 0.005% to 25%"),
        (["--output", "price"], 1, "has no output 'price'; it has diagnosis"),
        (["--evaluation", "nowhere.json"], 1, "nowhere.json cannot be read"),
        (["--min-quality", "0.99"], 1, "below 0.99, the least that is asked for"),
        (["--max-error", "3"], 1, "no mean absolute error that --max-error could be held against"),
        (["--min-improvement", "-2"], 1, "a share of the rows, 0.01 is one point"),
        (["--min-improvement", "nan"], 2, "--min-improvement is nan; write a number"),
        (["--max-error", "inf"], 2, "--max-error is inf; write a number"),
    ],
)
def test_a_gate_asked_for_wrongly_or_in_vain_says_so(made, more, code, words):
    asked = ["gate", "--evaluation", made / "evaluation.json", *more]
    assert words in " ".join(run(*asked, code=code).replace("│", "").split())


# --- registered


def test_a_version_is_a_folder_of_plain_files_with_their_checksums(made):
    folder = made / "registry" / MODEL / "2026-03-08"
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        [ARTEFACT, EVALUATION, GATE, MANIFEST, SUMS]
    )
    subprocess.run(
        ["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True, capture_output=True
    )
    assert {one.stat().st_mode & 0o222 for one in (folder, *folder.iterdir())} == {0}
    assert (folder / ARTEFACT).read_bytes() == (made / "v2.skops").read_bytes()


def register(made: Path, registry: Path, version: str, *more: object, code: int = 0) -> str:
    return run(
        *("register", "--model", MODEL, "--version", version, "--registry", registry, *more),
        code=code,
    )


def test_the_same_once_more_is_nothing_to_do_and_another_is_refused(made, registry):
    artefact = ("--artefact", made / "v2.skops", "--gate", made / "gate.json")
    before = (registry / MODEL / "2026-03-08" / MANIFEST).read_bytes()
    assert "there already" in register(made, registry, "2026-03-08", *artefact, "--by", "bob")
    assert (registry / MODEL / "2026-03-08" / MANIFEST).read_bytes() == before
    other = ("--artefact", made / "v3.skops", "--without-gate", "I want to")
    said = register(made, registry, "2026-03-08", *other, code=1)
    assert "is there with another artefact (" in said
    assert "a version never changes: choose another name" in said


def judged_again(made: Path, place: Path, *asked: object) -> tuple[object, ...]:
    """All steps once more, elsewhere and later: what ``register`` gets of it."""
    place.mkdir()
    shutil.copy(made / "v2.skops", place / "model.skops")
    run(
        *("evaluate", "--model", MODEL, "--candidate", place / "model.skops"),
        *("--production", "2026-03-01", "--data", made / "data.jsonl"),
        *("--out", place / "evaluation.json", "--registry", made / "registry"),
    )
    evaluation = place / "evaluation.json"
    hour = json.loads(evaluation.read_text())["made_at"]
    evaluation.write_text(evaluation.read_text().replace(hour, "2999-01-01T00:00:00Z"))
    run("gate", "--evaluation", evaluation, *asked)
    return "--artefact", place / "model.skops", "--gate", place / "gate.json"


def test_all_steps_once_more_with_the_same_outcome_is_nothing_to_do_either(
    made, registry, tmp_path
):
    again = judged_again(made, tmp_path / "again", "--min-quality", "0.9")
    before = {one: one.read_bytes() for one in registry.rglob("*") if one.is_file()}
    assert "there already" in register(made, registry, "2026-03-08", *again)
    assert {one: one.read_bytes() for one in registry.rglob("*") if one.is_file()} == before


def test_the_same_artefact_judged_otherwise_is_refused_and_told_what_differs(
    made, registry, tmp_path
):
    other = judged_again(made, tmp_path / "again", "--min-quality", "0.8")
    said = register(made, registry, "2026-03-08", *other, code=1)
    assert "is there with this artefact, but its gate.json says something else; keep it" in said
    bare = ("--artefact", made / "v2.skops", "--without-gate", "in a hurry")
    said = register(made, registry, "2026-03-08", *bare, code=1)
    assert "is there with this artefact, but there it has evaluation.json, too" in said
    assert "choose another name" in said


def test_the_same_as_one_that_was_damaged_with_its_sums_is_refused(made, registry):
    (folder := registry / MODEL / "2026-03-08").chmod(0o755)
    rewrite(folder / GATE, b"{")
    artefact = ("--artefact", made / "v2.skops", "--gate", made / "gate.json")
    said = register(made, registry, "2026-03-08", *artefact, code=1)
    assert "gate.json cannot be read: Input data was truncated; restore it" in said


def test_what_is_in_the_way_of_a_version_is_left_there(made, registry):
    (registry / MODEL / "new").symlink_to("nowhere")
    new = ("--artefact", made / "v2.skops", "--without-gate", "x")
    said = register(made, registry, "new", *new, code=1)
    assert f"{MODEL}/new cannot be written: Not a directory" in said
    assert (registry / MODEL / "new").is_symlink()
    (registry / MODEL / "new").unlink()
    assert "registered" in register(made, registry, "new", *new)


def test_a_first_version_is_on_the_disk_with_all_folders_above_it(made, tmp_path, monkeypatch):
    """A power cut after ``registered`` was said takes no folder whose name was not written yet."""
    synced = []
    real = os.fsync

    def watched(number: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{number}"))
        real(number)

    monkeypatch.setattr(os, "fsync", watched)
    place = tmp_path / "new/registry"
    register(made, place, "v1", "--artefact", made / "v2.skops", "--without-gate", "x")
    assert {str(tmp_path), str(tmp_path / "new"), str(place), str(place / MODEL)} <= {*synced}


@pytest.mark.parametrize("version", ["latest", "Latest", "../v1", ".v1", "a/b", "", "x" * 64])
def test_a_name_that_is_none_is_refused(made, tmp_path, version):
    said = register(
        made, tmp_path, version, "--artefact", made / "v2.skops", "--without-gate", "x", code=1
    )
    assert said.startswith("refused: ")
    assert list(tmp_path.iterdir()) == []


def test_without_a_gate_there_must_be_a_reason(made, tmp_path):
    said = register(made, tmp_path, "v1", "--artefact", made / "v2.skops", code=2)
    assert "--without-gate REASON" in " ".join(said.replace("│", "").split())


def test_a_gate_of_another_artefact_or_a_forged_one_is_refused(made, tmp_path):
    papers = ("--gate", made / "gate.json")
    said = register(made, tmp_path / "r", "x", "--artefact", made / "v3.skops", *papers, code=1)
    assert "is for another artefact" in said
    evaluation = (made / "evaluation.json").read_text()
    (tmp_path / "evaluation.json").write_text(evaluation)
    gate = json.loads((made / "gate.json").read_text())
    gate["thresholds"]["min_quality"] = 0.999
    (tmp_path / "gate.json").write_text(json.dumps(gate))
    forged = ("--artefact", made / "v2.skops", "--gate", tmp_path / "gate.json")
    said = register(made, tmp_path / "r", "x", *forged, code=1)
    assert "does not say what its evaluation gives" in said
    (tmp_path / "evaluation.json").write_text(evaluation + " ")
    said = register(made, tmp_path / "r", "x", *forged, code=1)
    assert "is of another evaluation" in said
    assert not (tmp_path / "r").exists()


def test_what_cannot_be_written_leaves_nothing(made, tmp_path):
    (tmp_path / "registry").touch()
    said = register(
        made,
        tmp_path / "registry",
        "v1",
        *("--artefact", made / "v2.skops", "--without-gate", "x"),
        code=1,
    )
    assert "cannot be written" in said


# --- loaded and served


def rewrite(path: Path, content: bytes) -> None:
    """Also in the checksums: as somebody does who means it."""
    path.write_bytes(content)
    sums = path.parent / SUMS
    lines = sums.read_text().splitlines()
    sums.write_text(
        "".join(
            f"{digest_of(content)}  {path.name}\n" if one.endswith(path.name) else f"{one}\n"
            for one in lines
        )
    )


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: flip(folder / ARTEFACT), "model.skops was changed"),
        (lambda folder: flip(folder / EVALUATION), "evaluation.json was changed"),
        (lambda folder: (folder / ARTEFACT).unlink(), "model.skops is missing"),
        (lambda folder: (folder / SUMS).unlink(), "SHA256SUMS is missing"),
        (lambda folder: (folder / SUMS).write_text("hello\n"), "SHA256SUMS:1 is no checksum"),
        (lambda folder: (folder / SUMS).write_text(""), "does not name model.skops"),
        (
            lambda folder: rewrite(folder / ARTEFACT, pickle.dumps({"a": 1})),
            "is damaged or no artefact",
        ),
        (lambda folder: rewrite(folder / MANIFEST, b"{}"), "manifest.json cannot be read"),
        (lambda folder: folder.rename(folder.with_name("other")), "has no version '2026-03-08'"),
    ],
    ids=[
        *("a byte", "a byte of the evaluation", "no artefact", "no sums", "other sums"),
        *("empty sums", "a pickle", "no manifest", "no folder"),
    ],
)
def test_a_version_that_is_not_as_it_was_is_not_served(registry, damage, words):
    damage(registry / MODEL / "2026-03-08")
    asked = ("--model", MODEL, "--version", "2026-03-08", "--registry", registry)
    said = run("serve", *asked, "--port", "0", code=1)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert words in said


def test_a_version_for_another_contract_is_not_served(registry, monkeypatch):
    monkeypatch.setattr("model_workers.registry.versions.fingerprint", lambda contract: "0" * 64)
    with pytest.raises(CannotUse, match="was registered for another contract"):
        versions.load(registry, MODEL, "2026-03-08")


def test_a_registered_version_answers_under_its_name(made, connect_registered):
    client = connect_registered(made / "registry", MODEL, "2026-03-08")
    row = list(data(MODEL).rows[0])
    answer = client.post("/predict", json={"instances": [row]}).json()
    assert answer["model_version"] == "2026-03-08"
    known = look(MODEL, made / "v2.skops").predictor.predict([tuple(row)])
    assert answer["predictions"] == list(known.predictions[0])
    assert answer["probabilities"] == list(known.probabilities[0] or ())


def test_a_registered_version_scores_files_and_explains_rows_too(made, tmp_path):
    rows, names = data(MODEL).rows[:3], model_of(MODEL).contract.names
    with (tmp_path / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    asked = ("--model", MODEL, "--version", "2026-03-08", "--registry", made / "registry")
    said = run("score", tmp_path / "in.csv", tmp_path / "out.csv", *asked, "--quiet")
    assert said == ""

    known = look(MODEL, made / "v2.skops").predictor.predict(rows)
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [line["probability"] for line in found] == list(map(repr, known.probabilities[0] or ()))
    assert {line["model_version"] for line in found} == {"2026-03-08"}

    explained = run("explain", json.dumps(rows[0]), *asked)
    assert f"diagnosis: {known.predictions[0][0]}; log-odds" in explained
    said = run(
        "score", tmp_path / "in.csv", tmp_path / "o.csv", *asked[:3], "no", *asked[4:], code=1
    )
    assert "breast-cancer has no version 'no'" in said


@pytest.fixture
def connect_registered():
    from starlette.testclient import TestClient

    from model_workers.commands.serving import _recipe
    from model_workers.serving.process import Options, _app

    def client(registry: Path, model: str, version: str) -> TestClient:
        options = Options(_recipe(model, version, "", registry), version, Path("nowhere"))
        return TestClient(_app(options), client=("127.0.0.1", 50_000))

    return client


def test_a_worker_of_a_registered_version_imports_nothing_that_learns(made):
    program = (
        "import sys; from pathlib import Path; import model_workers.cli;"
        "from model_workers.registry.versions import load;"
        f"load(Path({str(made / 'registry')!r}), {MODEL!r}, '2026-03-08');"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
    assert not loaded & {"sklearn", "skops", "scipy", "joblib", "xgboost"}


def test_a_copy_or_a_link_under_another_name_is_no_version(registry):
    """It would be told of, and served, as what it is not."""
    (registry / MODEL / "prod").symlink_to("2026-03-08")
    shutil.copytree(registry / MODEL / "2026-03-08", registry / MODEL / "copy")
    asked = ("--model", MODEL, "--registry", registry)
    for name in ("prod", "copy"):
        for command in (
            ("lineage", name, *asked),
            ("serve", *asked, "--version", name, "--port", "0"),
        ):
            said = run(*command, code=1)
            assert f"{name} was registered as {MODEL} 2026-03-08, which stays its name" in said
    said = run("versions", *asked, code=1)
    assert [one.split()[0] for one in said.splitlines() if "passed: " in one] == ["2026-03-08"]
    assert said.count("which stays its name") == 2


def test_what_else_lies_among_the_versions_is_none(registry):
    (registry / MODEL / "README.md").write_text("by hand")
    assert versions.names(registry, MODEL) == ["2026-03-01", "2026-03-08"]


def test_a_version_is_judged_by_the_bytes_that_were_verified(registry, monkeypatch):
    """Not by what lies there a moment later."""
    real = versions.usable

    def then_changed(*asked):
        found = real(*asked)
        flip(registry / MODEL / "2026-03-08" / ARTEFACT)
        return found

    good = (registry / MODEL / "2026-03-08" / ARTEFACT).read_bytes()
    monkeypatch.setattr(versions, "usable", then_changed)
    assert named(MODEL, "2026-03-08", registry).content == good


# --- told of


def test_the_lineage_tells_data_code_seed_and_gate(made):
    asked = ("--model", MODEL, "--registry", made / "registry")
    said = run("lineage", "2026-03-08", *asked)
    told = dict(one.split(None, 1) for one in said.splitlines() if not one.startswith(" "))
    assert told["data"] == f"snapshot {digest_of((made / 'data.jsonl').read_bytes())}"
    assert "from bundled breast-cancer: 569 rows" in said
    assert told["seed"] == "7"
    assert told["code"].startswith("0.")
    assert "LogisticRegression, C 1000" in told["parameters"]
    assert "scikit-learn" in told["libraries"]
    assert told["gate"].startswith("passed: accuracy 0.983 of 175 held-out rows; difference to")
    assert told["registered"].endswith("by ana")
    assert told["checksums"] == "all 4 files are as they were registered"
    document = json.loads(run("lineage", "2026-03-08", *asked, "--json"))
    assert document["version"]["provenance"]["seed"] == 7
    assert document["gate"]["passed"] is True


def test_the_versions_are_listed_with_their_gates(made):
    said = run("versions", "--model", MODEL, "--registry", made / "registry").splitlines()
    assert [one.split()[0] for one in said] == ["2026-03-01", "2026-03-08"]
    assert said[0].endswith("without gate: the first version")
    assert "passed: accuracy 0.983" in said[1]
    nothing = run("versions", "--model", "iris", "--registry", made / "registry")
    assert nothing.startswith("iris has no versions in ")


def test_lineage_and_list_of_a_changed_version_are_exit_code_1(registry):
    flip(registry / MODEL / "2026-03-08" / ARTEFACT)
    asked = ("--model", MODEL, "--registry", registry)
    assert "was changed" in run("lineage", "2026-03-08", *asked, code=1)
    said = run("versions", *asked, code=1)
    assert "2026-03-01 " in said
    assert "2026-03-08/model.skops was changed" in said
