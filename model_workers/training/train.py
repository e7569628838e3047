"""From a recipe to its artefact, ``artefacts/<model>/<recipe>.skops``."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from ..models.catalogue import data
from ..models.model import Recipe
from .artefact import ArtefactError, Note, fingerprint, note_of, pack, path_of
from .fitting import fit, quality, untrained
from .threads import one_thread

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "skops")


def is_current(recipe: Recipe, directory: Path) -> bool:
    """Whether the artefact is there, whole, and made by this recipe from these rows with these
    libraries. Raises :class:`~..models.learners.MissingExtra`.
    """
    try:
        note = note_of(path_of(recipe, directory))
    except ArtefactError:
        return False
    return (note.recipe, note.made) == (fingerprint(recipe), made_from(recipe))


def made_from(recipe: Recipe) -> str:
    """A digest of all else that decides the trained model: every row and right answer, the
    estimator with all its settings, the versions of the libraries.
    """
    estimator = untrained(recipe)
    found = data(recipe.model)
    parts = [repr(found.rows), repr(found.answers), type(estimator).__qualname__]
    parts += [
        f"{key}={value!r}"
        for key, value in sorted(estimator.get_params().items())
        if _is_setting(value)
    ]
    parts += [f"{name}=={version}" for name, version in libraries(estimator).items()]
    return sha256("\n".join(parts).encode()).hexdigest()


def libraries(estimator: Any) -> dict[str, str]:
    """The versions of what decides the bytes of an artefact."""
    more = ("xgboost",) if type(estimator).__module__.startswith("xgboost") else ()
    return {name: _installed(name) for name in (*_LIBRARIES, *more)}


def write(recipe: Recipe, directory: Path) -> Path:
    """Train one recipe and put its artefact in place, whole or not at all."""
    path = path_of(recipe, directory)
    with one_thread():
        note = Note(fingerprint(recipe), made_from(recipe), quality(recipe))
        packed = pack(fit(recipe), note)
    # Two workers that start together may both get here. Each writes a file of its own, and since
    # the bytes are the same it does not matter who renames last.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(packed)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # it may not even be there
            temporary.unlink()
        raise ArtefactError(
            f"{path} cannot be written: {error.strerror}; choose another directory"
        ) from error
    return path


def _is_setting(value: Any) -> bool:
    """What is written the same in every process; steps of a pipeline are listed beside."""
    return value is None or isinstance(value, str | int | float)


def _installed(library: str) -> str:
    from importlib.metadata import PackageNotFoundError

    if library == "xgboost":
        import xgboost

        return str(xgboost.__version__)
    try:
        return installed(library)
    except PackageNotFoundError:
        return "none"
