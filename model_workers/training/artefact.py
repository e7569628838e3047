"""A trained model as a file: the same bytes from the same recipe, and loaded without trusting it.

The format is skops' (a zip of ``schema.json`` and one ``.npy`` for each array), but for numbers
alone: a text in JSON says what they mean. So there is nothing to trust: no type is looked up, no
pickle is read. Reading it needs neither skops nor scikit-learn, whose import would take longer
than all the rest of a worker's start. The comment of the zip says what the file is.
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..contract.contract import Contract, Row
from ..contract.feature import Choice, Feature, Number
from ..models.catalogue import model_of
from ..models.model import Recipe
from ..predictors.scorer import Linear, Quadratic, Scorer
from ..predictors.trained import TrainedPredictor
from ..predictors.trees import Trees
from ..predictors.words import Words
from .provenance import Provenance

FORMAT = 3  # another number makes all artefacts out of date
_REMEDY = "train it with 'model-worker train'"
_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold


class ArtefactError(Exception):
    """The file cannot be used; the message is one sentence that says why and what to do."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the zip's comment says. ``recipe`` is compared when a file is loaded, ``made`` when it
    is asked whether to train anew, ``quality`` (the first output's, of five folds) only shown.
    ``provenance`` is there if it was trained from a snapshot.
    """

    recipe: str
    made: str
    quality: float = msgspec.field(name="accuracy")  # in files that are registered for ever
    provenance: Provenance | None = None


def path_of(recipe: Recipe, directory: Path) -> Path:
    """Where what it learned lives."""
    return directory / recipe.model / f"{recipe.name}.skops"


def fingerprint(recipe: Recipe) -> str:
    """A digest of what was asked for: the contract, the learner and its settings."""
    learner = recipe.learner
    assert isinstance(learner, partial), f"{recipe.model} {recipe.name} has no artefact"
    settings = [learner.func.__qualname__, repr(learner.args), repr(sorted(learner.keywords))]
    contract = repr(model_of(recipe.model).contract)
    parts = [str(FORMAT), recipe.model, recipe.name, *settings, contract]
    return sha256("\n".join(parts).encode()).hexdigest()


def pack(predictor: TrainedPredictor, note: Note) -> bytes:
    """The bytes of an artefact."""
    import skops.io

    content: dict[str, Any] = {}
    about = []
    for place, scorer in enumerate(predictor.scorers):
        parts = scorer.parts()
        arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
        content |= {f"{place}.{name}": np.ascontiguousarray(a) for name, a in arrays.items()}
        plain = {name: part for name, part in parts.items() if name not in arrays}
        about.append({"kind": scorer.kind, "arrays": sorted(arrays), "plain": plain})
    content["about"] = json.dumps(about)
    return _canonical(skops.io.dumps(content), msgspec.json.encode(note))


def note_of(path: Path) -> Note:
    """What an artefact says of itself, after checking that all its bytes are sound."""
    return note_in(content_of(path), path)


def content_of(path: Path) -> bytes:
    """The bytes of an artefact; raises ArtefactError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtefactError(f"{path} is missing; {_REMEDY}") from None
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}; make it readable") from error


def note_in(content: bytes, path: Path) -> Note:
    """The same of bytes that were read from ``path``."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("a checksum does not match")
            return msgspec.json.decode(archive.comment, type=Note)
    except Exception as error:  # zipfile raises a dozen types; one wrong byte may bring any of them
        raise ArtefactError(f"{path} is damaged or no artefact ({error}); {_REMEDY}") from error


def load(recipe: Recipe, directory: Path) -> TrainedPredictor:
    """The trained model, ready to answer, after it answered one row."""
    path = path_of(recipe, directory)
    content = content_of(path)
    if note_in(content, path).recipe != fingerprint(recipe):
        raise ArtefactError(f"{path} was trained by another recipe or contract; {_REMEDY}")
    return read(content, model_of(recipe.model).contract, path)


def read(content: bytes, contract: Contract, path: Path) -> TrainedPredictor:
    """What bytes hold that were read from ``path``, by whatever recipe it was made."""
    try:
        predictor = TrainedPredictor(_scorers(content), contract)
        predictor.predict([typical(contract)])
    except Exception as error:  # whatever a crafted file brings about, the remedy is the same
        raise ArtefactError(
            f"{path} holds no usable model ({type(error).__name__}: {error}); {_REMEDY}"
        ) from error
    return predictor


def typical(contract: Contract) -> Row:
    """A row that a contract allows: what stands in for the missing, or something in the range."""
    return tuple(_typical(feature) for feature in contract.features)


def _typical(feature: Feature) -> float | str:
    if feature.missing is not None:
        return feature.missing
    if isinstance(feature, Number):
        middle = (feature.low + feature.high) / 2
        return float(round(middle)) if feature.whole else middle
    return feature.values[0] if isinstance(feature, Choice) else "a" * feature.shortest


def _scorers(content: bytes) -> list[Scorer]:
    """What the file holds; raises whatever a file that is none of ours makes Python raise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        nodes = json.loads(archive.read(_SCHEMA))["content"]
        scorers = []
        for place, told in enumerate(json.loads(json.loads(nodes["about"]["content"]))):
            parts = dict(told["plain"])
            for name in told["arrays"]:
                array = archive.read(nodes[f"{place}.{name}"]["file"])
                parts[name] = np.load(io.BytesIO(array), allow_pickle=False)
            scorers.append(_scorer(told["kind"], parts))
        return scorers


def _scorer(kind: str, parts: dict[str, Any]) -> Scorer:
    if kind == Linear.kind:
        return Linear(**parts)
    if kind == Quadratic.kind:
        return Quadratic(**parts)
    if kind == Trees.kind:
        return Trees(**parts)
    if kind == Words.kind:
        vocabulary, rarity = parts.pop("vocabulary"), parts.pop("rarity")
        return Words(vocabulary, rarity, Linear(**parts))
    raise ValueError(f"there is no scorer {kind!r}")


def _canonical(dumped: bytes, comment: bytes) -> bytes:
    """The same in bytes that depend on nothing but the model.

    skops names objects and array files by their address in memory, and zip entries carry the time
    of day. Objects get their position in the schema instead, array files the name of what they
    hold, and all entries one date.
    """
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(dumped)) as source,
        zipfile.ZipFile(packed, "w") as target,
    ):
        schema = json.loads(source.read(_SCHEMA))
        schema["__id__"] = 1
        # Skops would keep the type of each key; without the list it takes them as they are in JSON.
        for number, (name, node) in enumerate(schema["content"].items(), start=2):
            node["__id__"] = number
            if "file" in node:
                content, node["file"] = source.read(node["file"]), f"{name}.npy"
                target.writestr(zipfile.ZipInfo(node["file"], date_time=_EPOCH), content)
        keys = schema["key_types"]
        keys["__id__"] = 0
        for key in keys["content"]:
            key["__id__"] = -1  # all are texts
        written = json.dumps(schema, separators=(",", ":"))
        target.writestr(zipfile.ZipInfo(_SCHEMA, date_time=_EPOCH), written)
        target.comment = comment
    return packed.getvalue()
