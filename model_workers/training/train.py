"""From a recipe to its artefact, ``artefacts/<model>/<recipe>.skops``."""

from __future__ import annotations

import os
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..models.model import Recipe
from .artefact import ArtefactError, Note, fingerprint, note_of, pack, path_of
from .fitting import accuracy, fit


def is_current(recipe: Recipe, directory: Path) -> bool:
    """Whether the artefact is there, whole, and made by this recipe with these libraries."""
    try:
        return note_of(path_of(recipe, directory)).recipe == fingerprint(recipe)
    except ArtefactError:
        return False


def write(recipe: Recipe, directory: Path) -> Path:
    """Train one recipe and put its artefact in place, whole or not at all."""
    path = path_of(recipe, directory)
    # One thread: sums over several threads may be added in another order on the next run.
    with threadpool_limits(limits=1):
        packed = pack(fit(recipe), Note(fingerprint(recipe), accuracy(recipe)))
    # Two workers that start together may both get here. Each writes a file of its own, and since
    # the bytes are the same it does not matter who renames last.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(packed)
        temporary.replace(path)
    except OSError as error:
        raise ArtefactError(
            f"{path} cannot be written: {error.strerror}; choose another directory"
        ) from error
    return path
