"""Artefacts trained from snapshots: made, written, and read again wherever they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from platform import python_version

import msgspec

from ..contract.fingerprint import fingerprint as contract_of
from ..models.catalogue import model_of
from ..models.model import Recipe
from ..predictors.trained import TrainedPredictor
from ..revision import code_version
from ..training.artefact import ArtefactError, Note, content_of, note_in, read
from ..training.provenance import Provenance
from .files import CannotUse, Clock, digest_of, now, stamp, write
from .rows import distinct, repeated
from .shots import Shot
from .snapshot import Manifest


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside an artefact: all that its bytes must not depend on. ``data`` is the
    manifest of the snapshot it was trained from.
    """

    artefact: str
    model: str
    recipe: str
    trained_at: str
    data: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artefact, loaded. ``name`` is the version it is registered as, or its path."""

    name: str
    path: Path
    content: bytes
    note: Note
    predictor: TrainedPredictor
    beside: Beside | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes."""
        return digest_of(self.content)


def trained(recipe: Recipe, shot: Shot, seed: int) -> tuple[bytes, Provenance]:
    """The bytes of an artefact that learned from a snapshot, its held-out rows left out. Raises
    CannotLearn and MissingExtra.
    """
    from ..training.artefact import fingerprint, pack
    from ..training.teaching import measured, seeded, settings, teach
    from ..training.train import libraries

    contract = model_of(recipe.model).contract
    side = shot.snapshot.side(held_out=False)
    each = distinct(contract, side)
    predictor = teach(recipe, repeated(contract, side), seed)
    metrics = measured(recipe, each, seed)
    provenance = Provenance(
        snapshot=shot.snapshot.digest,
        labels_are=shot.snapshot.head.labels,
        holdout=shot.snapshot.head.holdout,
        rows=side.total(),
        distinct=len(each.rows),
        contract=contract_of(contract),
        recipe=recipe.name,
        seed=seed,
        parameters=settings(recipe, seed),
        code_version=code_version(),
        libraries={"python": python_version(), **libraries(seeded(recipe, seed))},
        metrics=metrics,
    )
    first = metrics[contract.outputs[0].name]
    quality = first.get("accuracy", first.get("r2", 0.0))
    made = digest_of(msgspec.json.encode(provenance))
    return pack(predictor, Note(fingerprint(recipe), made, quality, provenance)), provenance


def keep(recipe: Recipe, content: bytes, shot: Shot, out: Path, clock: Clock = now) -> Path:
    """Write an artefact, and what stands beside it; ``out`` is a file ``.skops`` or a directory.
    Raises CannotUse.
    """
    name = f"{recipe.model}-{recipe.name}-{digest_of(content)[:16]}.skops"
    path = out if out.suffix == ".skops" else out / name
    beside = Beside(
        artefact=digest_of(content),
        model=recipe.model,
        recipe=recipe.name,
        trained_at=stamp(clock),
        data=shot.manifest,
    )
    write(path, content)
    write(path.with_suffix(".manifest.json"), pretty(beside))
    return path


def look(model: str, path: Path) -> Candidate:
    """An artefact of a file, by whatever way it was made. Raises CannotUse."""
    try:
        found = opened(model, content_of(path), path)
    except ArtefactError as error:
        raise CannotUse(str(error)) from None
    manifest = path.with_suffix(".manifest.json")
    if not manifest.exists():
        return found
    try:
        beside = msgspec.json.decode(manifest.read_bytes(), type=Beside)
    except (msgspec.MsgspecError, OSError) as error:
        raise CannotUse(f"{manifest} cannot be read: {error}; train anew") from None
    return replace(found, beside=beside) if beside.artefact == found.digest else found


def opened(model: str, content: bytes, path: Path) -> Candidate:
    """The same of bytes that were read from ``path``, whatever stands beside. Raises CannotUse."""
    contract = model_of(model).contract
    try:
        note = note_in(content, path)
        _check_contract(note, contract_of(contract), path)
        return Candidate(str(path), path, content, note, read(content, contract, path))
    except ArtefactError as error:
        raise CannotUse(str(error)) from None


def recipe_of(model: str, note: Note) -> str:
    """Which recipe made an artefact; ``unknown`` if the catalogue has changed since."""
    from ..training.artefact import fingerprint

    if note.provenance is not None:
        return note.provenance.recipe
    for recipe in model_of(model).recipes:
        if recipe.learner is not None and fingerprint(recipe) == note.recipe:
            return recipe.name
    return "unknown"


def pretty(value: object) -> bytes:
    """JSON that people read, with its end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _check_contract(note: Note, wanted: str, path: Path) -> None:
    if note.provenance is not None and note.provenance.contract != wanted:
        raise CannotUse(
            f"{path} was trained for another contract ({note.provenance.contract[:12]}; this code "
            f"has {wanted[:12]}); train it anew"
        )
