"""``model-worker train`` and ``samples``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..models.catalogue import RECIPES, data, model_of
from ..models.model import UnknownModel
from .serving import ARTEFACTS


def train(
    model: Annotated[str, typer.Option(help="Only this one. Default: all.")] = "",
    out: Annotated[Path, typer.Option(metavar="DIR")] = ARTEFACTS,
) -> None:
    """Train what is out of date and print a table; training twice gives the same bytes.

    Exit code: 1 if a file cannot be written.
    """
    from ..training.artefact import ArtefactError, note_of, path_of
    from ..training.train import is_current, write

    _known(model)
    typer.echo(f"{'model':<15}{'recipe':<9}{'accuracy':>8}{'bytes':>9}  done")
    for recipe in RECIPES:
        if recipe.learner is None or model not in ("", recipe.model):
            continue
        current = is_current(recipe, out)
        try:
            path = path_of(recipe, out) if current else write(recipe, out)
        except ArtefactError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        typer.echo(
            f"{recipe.model:<15}{recipe.name:<9}{note_of(path).accuracy:>8.3f}"
            f"{path.stat().st_size:>9}  {'up to date' if current else 'trained'}"
        )


def samples(model: Annotated[str, typer.Option()]) -> None:
    """Print the labelled rows a model knows, as one JSON object: ``rows`` of feature values, and
    ``labels`` with the right label of each; for load generators and tests.
    """
    _known(model)
    found = data(model)
    json.dump({"rows": found.rows, "labels": found.answers[0]}, sys.stdout)


def _known(model: str) -> None:
    if model:
        try:
            model_of(model)
        except UnknownModel as error:
            raise typer.BadParameter(str(error)) from None
