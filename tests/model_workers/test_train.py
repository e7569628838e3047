"""Artefacts: the same bytes every time, and one sentence when a file cannot be used."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.models.catalogue import RECIPES, data, find
from model_workers.training.artefact import (
    ArtefactError,
    Note,
    fingerprint,
    load,
    note_of,
    pack,
    path_of,
)
from model_workers.training.fitting import fit
from model_workers.training.train import is_current, write

IRIS = find("iris", "v1")


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
    assert sorted(first) == ["v1.skops", "v2.skops", "v3.skops"]
    assert train_apart(tmp_path / "second", hash_seed="2") == first


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.model}-{recipe.name}")
def test_every_version_packs_to_the_same_bytes_and_answers_as_it_did_before(recipe, tmp_path):
    note = Note(fingerprint(recipe), 0.5)
    estimator = fit(recipe)
    packed = pack(estimator, note)
    assert pack(fit(recipe), note) == packed
    path = path_of(recipe, tmp_path)
    path.parent.mkdir()
    path.write_bytes(packed)
    rows = data(recipe.model).rows[::10]
    np.testing.assert_array_equal(
        load(recipe, tmp_path).predict(rows).probabilities[0],
        estimator.predict_proba(np.array(rows)).max(axis=1),
    )


def test_the_table_is_printed_and_what_is_up_to_date_is_left_alone(tmp_path):
    said = CliRunner().invoke(app, ["train", "--model", "iris", "--out", str(tmp_path)])
    assert said.exit_code == 0
    assert "iris           v2          0.980" in said.output
    written = path_of(IRIS, tmp_path).stat()
    said = CliRunner().invoke(app, ["train", "--model", "iris", "--out", str(tmp_path)])
    lines = said.output.splitlines()
    assert len(lines) == 4
    assert all(line.endswith("up to date") for line in lines[1:])
    assert path_of(IRIS, tmp_path).stat().st_ino == written.st_ino


def test_no_half_written_file_is_left_beside_the_artefact(tmp_path):
    path = write(IRIS, tmp_path)
    assert list(path.parent.iterdir()) == [path]


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
        archive.comment = b'{"recipe": "%s", "accuracy": 1}' % fingerprint(IRIS).encode()
    assert note_of(path).recipe == fingerprint(IRIS)


@pytest.mark.parametrize("content", [os.getcwd, {"a": 1}, fit(find("iris", "v3"))])
def test_a_file_that_holds_anything_else_is_refused(tmp_path, content):
    forged(tmp_path, content)
    with pytest.raises(ArtefactError, match="holds no usable model"):
        load(IRIS, tmp_path)


def test_an_estimator_for_other_data_is_refused(tmp_path):
    forged(tmp_path, fit(find("breast-cancer", "v1")))
    with pytest.raises(ArtefactError, match="holds no usable model"):
        load(IRIS, tmp_path)
