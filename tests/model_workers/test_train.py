"""Artefacts: the same bytes every time, and one sentence when a file cannot be used."""

import ast
import dataclasses
import errno
import functools
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.contract.validation import Validator
from model_workers.models import learners
from model_workers.models.catalogue import MODELS, RECIPES, data, find, model_of
from model_workers.models.learners import MissingExtra
from model_workers.models.model import Data
from model_workers.training.artefact import (
    ArtefactError,
    Note,
    fingerprint,
    load,
    note_of,
    pack,
    path_of,
    typical,
)
from model_workers.training.comparison import compared, out_of_bag, title
from model_workers.training.fitting import fit
from model_workers.training.supply import supply
from model_workers.training.train import is_current, made_from, write
from tests.model_workers.conftest import trained

IRIS = find("iris", "v1")
LEARNED = [recipe for recipe in RECIPES if recipe.learner]


def train_apart(directory: Path, *, hash_seed: str) -> dict[str, bytes]:
    """All artefacts of iris as a process of its own writes them."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "model_workers",
            "train",
            "--model",
            "iris",
            "--out",
            str(directory),
        ],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.DEVNULL,
    )
    return {path.name: path.read_bytes() for path in directory.rglob("*.skops")}


def test_two_processes_write_the_same_bytes(tmp_path):
    first = train_apart(tmp_path / "first", hash_seed="1")
    assert sorted(first) == sorted(f"{one.name}.skops" for one in LEARNED if one.model == "iris")
    assert train_apart(tmp_path / "second", hash_seed="2") == first


def test_learning_takes_one_thread_however_many_there_are(tmp_path):
    program = (
        "from pathlib import Path; from threadpoolctl import threadpool_info;"
        "from model_workers.models.catalogue import find; from model_workers.training import train;"
        "train.pack = lambda *_: repr([(x['filepath'], x['num_threads']) for x in"
        f" threadpool_info()]).encode(); train.write(find('iris', 'v3'), Path({str(tmp_path)!r}))"
    )
    more = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "3")
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **more})
    found = ast.literal_eval(path_of(find("iris", "v3"), tmp_path).read_text())

    assert len(found) >= 2
    assert {threads for _, threads in found} == {1}


@pytest.mark.parametrize("recipe", LEARNED, ids=lambda recipe: f"{recipe.model}-{recipe.name}")
def test_every_recipe_packs_to_the_same_bytes_and_answers_as_it_did_before(recipe, tmp_path):
    predictor = trained(recipe.model, recipe.name)
    note = Note(fingerprint(recipe), "", 0.5)
    packed = pack(predictor, note)
    assert pack(fit(recipe), note) == packed
    path = path_of(recipe, tmp_path)
    path.parent.mkdir()
    path.write_bytes(packed)
    rows = data(recipe.model).rows[::10]
    loaded = load(recipe, tmp_path)
    assert loaded.predict(rows) == predictor.predict(rows)
    assert pack(loaded, note) == packed


def test_an_artefact_is_a_skops_file_with_nothing_to_trust(tmp_path):
    path = write(find("tickets", "v3"), tmp_path)
    assert skops.io.get_untrusted_types(file=path) == []
    held = skops.io.load(path, trusted=[])
    assert {type(one) for one in held.values()} == {str, np.ndarray}
    np.testing.assert_array_equal(
        held["0.weights"], load(find("tickets", "v3"), tmp_path).scorers[0].parts()["weights"]
    )


def test_the_table_is_printed_and_what_is_up_to_date_is_left_alone(tmp_path):
    said = CliRunner().invoke(app, ["train", "--model", "iris", "--out", str(tmp_path)])
    assert said.exit_code == 0
    assert "iris           v2            accuracy 0.980" in said.output
    written = path_of(IRIS, tmp_path).stat()
    said = CliRunner().invoke(app, ["train", "--model", "iris", "--out", str(tmp_path)])
    lines = said.output.splitlines()
    assert len(lines) == 1 + len([one for one in LEARNED if one.model == "iris"])
    assert all(line.endswith("up to date") for line in lines[1:])
    assert path_of(IRIS, tmp_path).stat().st_ino == written.st_ino


def test_no_half_written_file_is_left_beside_the_artefact(tmp_path):
    path = write(IRIS, tmp_path)
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_no_half_written_file(tmp_path, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ArtefactError, match="No space left on device; choose another directory"):
        write(IRIS, tmp_path)
    assert list(path_of(IRIS, tmp_path).parent.iterdir()) == []


def test_an_unwritable_directory_is_one_sentence_and_exit_code_1(tmp_path):
    (tmp_path / "file").touch()
    said = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "file")])
    assert said.exit_code == 1
    error = said.stderr
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_missing_artefact_says_how_to_make_it(tmp_path):
    with pytest.raises(ArtefactError, match=r"v1\.skops is missing; train it with 'model-worker"):
        load(IRIS, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"no zip at all",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:150] + b"\xff" + whole[151:],
        lambda whole: whole[:-10],
        lambda whole: whole[:-10] + b"0123456789",
    ],
    ids=["empty", "other", "half", "one byte", "comment cut", "comment wrong"],
)
def test_a_damaged_artefact_is_refused_and_trained_anew(tmp_path, damage):
    path = write(IRIS, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with pytest.raises(ArtefactError, match="train it with"):
        load(IRIS, tmp_path)
    assert not is_current(IRIS, tmp_path)
    write(IRIS, tmp_path)
    assert path.read_bytes() == whole


def test_no_single_wrong_byte_changes_an_answer(tmp_path):
    path = write(IRIS, tmp_path)
    whole = path.read_bytes()
    rows = data("iris").rows
    expected = load(IRIS, tmp_path).predict(rows)
    directory = whole.index(b"PK\1\2")  # where the zip lists its entries: the touchiest part
    for place in (*range(0, directory, 97), *range(directory, directory + 46)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = load(IRIS, tmp_path)
        except ArtefactError:
            continue
        assert found.predict(rows) == expected


def test_an_artefact_of_another_recipe_is_refused(tmp_path):
    other = write(find("iris", "v2"), tmp_path)
    other.rename(path_of(IRIS, tmp_path))
    with pytest.raises(ArtefactError, match="another recipe"):
        load(IRIS, tmp_path)


def forged(tmp_path: Path, content: object) -> None:
    """A file that claims to be made by the right recipe, but holds something else."""
    path = path_of(IRIS, tmp_path)
    path.parent.mkdir()
    skops.io.dump(content, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b'{"recipe": "%s", "made": "", "accuracy": 1}' % (
            fingerprint(IRIS).encode()
        )
    assert note_of(path).recipe == fingerprint(IRIS)


def linear(**parts: object) -> dict[str, object]:
    """What an artefact of a linear model may hold."""
    plain = {"soft": True} | {k: v for k, v in parts.items() if not isinstance(v, np.ndarray)}
    arrays = {"weights": np.ones((3, 4)), "offsets": np.zeros(3)}
    arrays |= {k: v for k, v in parts.items() if isinstance(v, np.ndarray)}
    about = [{"kind": "linear", "arrays": sorted(arrays), "plain": plain}]
    return {"about": json.dumps(about)} | {f"0.{name}": array for name, array in arrays.items()}


@pytest.mark.parametrize(
    "content",
    [
        os.getcwd,
        {"a": 1},
        DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1]),
        {"about": "[]"},
        {"about": '[{"kind": "os.system", "arrays": [], "plain": {}}]'},
        {"about": '[{"kind": "linear", "arrays": ["weights"], "plain": {}}]'},
        linear(weights=np.ones((3, 5))),
        linear(weights=np.ones((2, 4)), offsets=np.zeros(2)),
        linear(offsets=np.zeros(4)),
        linear(offsets=np.array(["x"] * 3)),
        linear(weights=np.full((3, 4), np.nan)),
        linear(more=1),
    ],
    ids=[
        *("a function", "a number", "an estimator", "no scorer", "an unknown scorer", "no arrays"),
        *("too many features", "too few labels", "too many offsets", "texts", "no numbers"),
        "something more",
    ],
)
def test_a_file_that_holds_anything_else_is_refused(tmp_path, content):
    forged(tmp_path, content)
    with pytest.raises(ArtefactError, match="holds no usable model"):
        load(IRIS, tmp_path)


def test_a_pickle_in_an_array_is_not_read(tmp_path):
    ran = tmp_path / "ran"

    class Harmful:
        def __reduce__(self):
            return (ran.touch, ())

    forged(tmp_path, linear())
    path = path_of(IRIS, tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
        note = archive.comment
    harmful = io.BytesIO()
    np.save(harmful, np.array([Harmful()], dtype=object), allow_pickle=True)
    name = json.loads(entries["schema.json"])["content"]["0.offsets"]["file"]
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in (entries | {name: harmful.getvalue()}).items():
            archive.writestr(entry, content)
        archive.comment = note
    with pytest.raises(ArtefactError, match="allow_pickle=False"):
        load(IRIS, tmp_path)
    assert not ran.exists()


# --- what an artefact was made from


def test_other_rows_make_an_artefact_out_of_date_but_do_not_keep_it_from_loading(
    tmp_path, monkeypatch
):
    write(IRIS, tmp_path)
    assert is_current(IRIS, tmp_path)
    learned = data("iris")
    fewer = Data(learned.rows[1:], (learned.answers[0][1:],))
    monkeypatch.setattr("model_workers.training.train.data", lambda model: fewer)
    assert not is_current(IRIS, tmp_path)
    assert load(IRIS, tmp_path)


def test_settings_and_libraries_are_part_of_what_an_artefact_was_made_from(monkeypatch):
    before = made_from(IRIS)
    other = dataclasses.replace(IRIS, learner=functools.partial(learners.regression, 0.2))
    assert made_from(other) != before
    assert fingerprint(other) != fingerprint(IRIS)
    monkeypatch.setattr("model_workers.training.train.installed", lambda library: "0")
    assert made_from(IRIS) != before


def test_another_contract_refuses_what_was_learned_for_this_one(tmp_path, monkeypatch):
    write(IRIS, tmp_path)
    renamed = dataclasses.replace(model_of("iris").contract, description="another")
    model = dataclasses.replace(model_of("iris"), contract=renamed)
    monkeypatch.setattr("model_workers.training.artefact.model_of", lambda name: model)
    with pytest.raises(ArtefactError, match="another recipe or contract"):
        load(IRIS, tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_the_row_that_tries_a_loaded_model_is_one_its_contract_allows(model):
    contract = model_of(model).contract
    row = typical(contract)
    assert Validator(contract).rows([list(row)]) == [row]


# --- what is imported


def imported_by(program: str) -> set[str]:
    """The packages a process of its own has imported after a program."""
    ends = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.check_output([sys.executable, "-c", program + ends], text=True).split())


SUPPLY = (
    "import model_workers.cli; from pathlib import Path;"
    "from model_workers.models.catalogue import find, model_of;"
    "from model_workers.training.supply import supply;"
)


@pytest.mark.parametrize(
    ("model", "name", "row"),
    [
        ("iris", "rules", (5.0, 3.0, 1.0, 0.2)),
        ("tickets", "v1", ("asap", "email")),
        ("digits", "dummy", (0.0,) * 64),
    ],
)
def test_rules_and_dummies_need_nothing_that_learns(model, name, row):
    asked = f"supply(find({model!r}, {name!r}), Path()).predict([{row!r}])"
    assert not imported_by(SUPPLY + asked) & {"sklearn", "skops", "scipy", "joblib", "xgboost"}


def test_a_worker_that_finds_its_artefact_imports_nothing_that_learns(tmp_path):
    for name in ("v2", "forest"):
        write(find("iris", name), tmp_path)
    write(find("tickets", "v3"), tmp_path)
    program = (
        SUPPLY
        + f"there = Path({str(tmp_path)!r});"
        + (
            "supply(find('iris', 'v2'), there); supply(find('iris', 'forest'), there);"
            "supply(find('tickets', 'v3'), there)"
        )
    )
    assert not imported_by(program) & {"sklearn", "skops", "scipy", "joblib", "xgboost"}


def test_an_artefact_is_trained_only_where_there_is_none(tmp_path):
    rows = data("iris").rows[:9]
    first = supply(IRIS, tmp_path)
    written = path_of(IRIS, tmp_path).stat()
    assert supply(IRIS, tmp_path).predict(rows) == first.predict(rows)
    assert path_of(IRIS, tmp_path).stat().st_ino == written.st_ino


# --- without the extra


def test_without_xgboost_one_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingExtra, match=r"pip install 'canary-gateway\[xgboost\]'"):
        supply(find("iris", "xgboost"), tmp_path)
    said = CliRunner().invoke(app, ["train", "--model", "iris", "--out", str(tmp_path)])
    assert said.exit_code == 0
    assert "iris           xgboost       left out: XGBoost is not installed" in said.output
    assert not path_of(find("iris", "xgboost"), tmp_path).exists()


def test_without_xgboost_what_it_learned_before_still_answers(tmp_path, monkeypatch):
    recipe = find("iris", "xgboost")
    write(recipe, tmp_path)
    monkeypatch.setitem(sys.modules, "xgboost", None)
    rows = data("iris").rows[::20]
    assert supply(recipe, tmp_path).predict(rows) == trained("iris", "xgboost").predict(rows)


# --- the comparison


def test_the_comparison_is_a_table_with_a_line_for_each_way_to_answer(tmp_path):
    said = CliRunner().invoke(app, ["compare", "--model", "diabetes", "--artefacts", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert max(map(len, said.output.splitlines())) < 80
    table, legend = said.output.split("\n\n")
    first, second, title, *lines = table.splitlines()
    assert title == "diabetes: R2, mean absolute error of progression"
    assert {len(line) for line in lines} == {len(first)} == {len(second)}
    rows = [re.split(" {2,}", line.strip()) for line in lines]
    assert [row[0] for row in rows] == ["v1", "v2", "v3", "dummy"]
    assert rows[1][1] == "0.489, 44.3"
    assert rows[3][1].endswith("*")
    assert "* " in legend
    for row in rows:
        assert 0 < float(row[4]) <= float(row[5])
        assert int(row[7]) < 100  # eleven numbers, without what is needed to read them


def test_each_model_is_measured_by_what_its_outputs_are():
    assert title("iris") == "iris: accuracy of species"
    assert title("tickets") == "tickets, synthetic: accuracy of topic / accuracy of urgent"


def test_numbers_are_not_said_to_have_an_accuracy_when_they_are_trained(tmp_path):
    said = CliRunner().invoke(app, ["train", "--model", "diabetes", "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "accuracy" not in said.output
    assert re.search(r"^diabetes +v2 +R2 0\.489 +\d+  trained$", said.output, re.MULTILINE)


def test_rules_are_compared_by_all_rows_and_a_forest_out_of_bag_too(tmp_path):
    rules = compared(find("iris", "rules"), tmp_path)
    assert (rules.five_folds, rules.leave_one_out, rules.out_of_bag) == ("0.960*", "-", "-")
    assert rules.artefact_bytes == "-"
    stump = compared(find("iris", "v3"), tmp_path)
    assert (stump.five_folds, stump.leave_one_out) == ("0.667", "0.333")
    assert out_of_bag(find("iris", "forest")) == "0.960"


def test_each_output_has_its_own_share(tmp_path):
    line = compared(find("tickets", "rules"), tmp_path)
    assert line.five_folds == "0.598 / 0.825*"
