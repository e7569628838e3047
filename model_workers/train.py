"""Train the models and write them to files: ``python -m model_workers.train``.

Writes ``artefacts/<model>/<version>.skops`` and prints a table. What is up to date is left alone;
training twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .artefact import ArtefactError, Note, fingerprint, note_of, pack, path_of
from .models import MODELS, RECIPES, Recipe, accuracy, train

ARTEFACTS = Path("artefacts")


def is_current(recipe: Recipe, directory: Path) -> bool:
    """Whether the artefact is there, whole, and made by this recipe with these libraries."""
    try:
        return note_of(path_of(recipe, directory)).recipe == fingerprint(recipe)
    except ArtefactError:
        return False


def write(recipe: Recipe, directory: Path) -> Path:
    """Train one version and put its artefact in place, whole or not at all."""
    path = path_of(recipe, directory)
    # One thread: sums over several threads may be added in another order on the next run.
    with threadpool_limits(limits=1):
        packed = pack(train(recipe), Note(fingerprint(recipe), accuracy(recipe)))
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is out of date and print the table; the exit code is 1 if a file cannot be
    written.
    """
    parser = argparse.ArgumentParser(prog="python -m model_workers.train", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ARTEFACTS, metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--model", choices=MODELS, help="only this one; default: all")
    options = parser.parse_args(arguments)
    print(f"{'model':<15}{'version':<9}{'accuracy':>8}{'bytes':>9}  done")
    for recipe in RECIPES:
        if options.model not in (None, recipe.model):
            continue
        current = is_current(recipe, options.out)
        try:
            path = path_of(recipe, options.out) if current else write(recipe, options.out)
        except ArtefactError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(
            f"{recipe.model:<15}{recipe.version:<9}{note_of(path).accuracy:>8.3f}"
            f"{path.stat().st_size:>9}  {'up to date' if current else 'trained'}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
