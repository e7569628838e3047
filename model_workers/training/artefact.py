"""A trained model as a file: the same bytes from the same recipe, and loaded without trusting it.

The format is skops': a zip of ``schema.json`` and one ``.npy`` per array, no pickle. Two things
are added. The bytes are made reproducible (see :func:`_canonical`), and the comment of the zip
says what the file is: its recipe's fingerprint and the accuracy measured while training.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version as installed
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import skops.io

from ..models.catalogue import data, model_of
from ..models.model import Recipe
from ..predictors.trained import Estimator, TrainedPredictor

# skops trusts plain scikit-learn estimators and numpy arrays; this one more type is what a decision
# tree keeps its splits in. A file that holds anything else is refused before anything is built.
TRUSTED = ["sklearn.tree._tree.Tree"]

_REMEDY = "train it with 'model-worker train'"
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "skops")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold


class ArtefactError(Exception):
    """The file cannot be used; the message is one sentence that says why and what to do."""


class Note(msgspec.Struct, frozen=True):
    """What the zip's comment says. ``recipe`` is compared, ``accuracy`` only shown."""

    recipe: str
    accuracy: float


def path_of(recipe: Recipe, directory: Path) -> Path:
    """Where what it learned lives."""
    return directory / recipe.model / f"{recipe.name}.skops"


def fingerprint(recipe: Recipe) -> str:
    """A digest of all that decides the trained model: data, estimator, settings, libraries."""
    estimator = _untrained(recipe)
    parts = [recipe.model, recipe.name, type(estimator).__qualname__]
    parts += [f"{key}={value!r}" for key, value in sorted(estimator.get_params().items())]
    parts += [f"{name}=={installed(name)}" for name in _LIBRARIES]
    return sha256("\n".join(parts).encode()).hexdigest()


def pack(estimator: Estimator, note: Note) -> bytes:
    """The bytes of an artefact."""
    return _canonical(skops.io.dumps(estimator), msgspec.json.encode(note))


def note_of(path: Path) -> Note:
    """What an artefact says of itself, after checking that all its bytes are sound."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("a checksum does not match")
            return msgspec.json.decode(archive.comment, type=Note)
    except FileNotFoundError:
        raise ArtefactError(f"{path} is missing; {_REMEDY}") from None
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}; make it readable") from error
    except Exception as error:  # zipfile raises a dozen types; one wrong byte may bring any of them
        raise ArtefactError(f"{path} is damaged or no artefact ({error}); {_REMEDY}") from error


def load(recipe: Recipe, directory: Path) -> TrainedPredictor:
    """The trained model, ready to answer."""
    path = path_of(recipe, directory)
    if note_of(path).recipe != fingerprint(recipe):
        raise ArtefactError(
            f"{path} was trained by another recipe or by other library versions; {_REMEDY}"
        )
    try:
        estimator = skops.io.load(path, trusted=TRUSTED)
        if type(estimator) is not type(_untrained(recipe)):
            raise TypeError(f"it holds a {type(estimator).__name__}")
        predictor = TrainedPredictor(estimator, model_of(recipe.model).contract)
        predictor.predict(data(recipe.model).rows[:1])
    except Exception as error:  # whatever a crafted file makes skops raise, the remedy is the same
        raise ArtefactError(
            f"{path} holds no usable model ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error
    return predictor


def _untrained(recipe: Recipe) -> Estimator:
    assert recipe.learner is not None, f"{recipe.model} {recipe.name} has no artefact"
    return recipe.learner()


def _canonical(dumped: bytes, comment: bytes) -> bytes:
    """The same model in bytes that depend on nothing but the model.

    skops names objects and array files by their address in memory, and zip entries carry the time
    of day. Objects get their position in the schema instead, array files a running number, and all
    entries one date.
    """
    with zipfile.ZipFile(io.BytesIO(dumped)) as source:
        schema = json.loads(source.read("schema.json"))
        names: dict[str, str] = {}
        _renumber(schema, count(), names)
        entries = {new: source.read(old) for old, new in names.items()}
    entries["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, content in entries.items():
            target.writestr(zipfile.ZipInfo(name, date_time=_EPOCH), content)
        target.comment = comment
    return packed.getvalue()


def _renumber(node: Any, numbers: Iterator[int], names: dict[str, str]) -> None:
    """Rewrite ``__id__`` and ``file`` throughout a schema, noting old and new file names."""
    if isinstance(node, list):
        for child in node:
            _renumber(child, numbers, names)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = next(numbers)
        if isinstance(node.get("file"), str):
            node["file"] = names.setdefault(node["file"], f"{len(names)}.npy")
        for child in node.values():
            _renumber(child, numbers, names)
