"""Which model, answering how, under which version: the options that commands on rows share."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from ..models.catalogue import find
from ..models.model import Recipe, UnknownModel
from ..predictors.predictor import Predictor

ModelOption = Annotated[str, typer.Option("--model", envvar="MODEL_WORKER_MODEL")]
PredictorOption = Annotated[
    str,
    typer.Option(
        "--predictor",
        envvar="MODEL_WORKER_PREDICTOR",
        help="Which recipe. Default: the one named as --version.",
    ),
]
VersionOption = Annotated[
    str,
    typer.Option(
        "--version",
        envvar="MODEL_WORKER_VERSION",
        help="Told in the output. Default: the recipe's.",
    ),
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """``digest`` is of the artefact; empty where there is none."""

    predictor: Predictor
    version: str
    digest: str


def chosen(model: str, predictor: str, version: str, artefacts: Path) -> Chosen:
    """Load it, trained now if nobody did yet. Wrong use and a bad artefact end the command."""
    if not (version or predictor):
        raise typer.BadParameter("say which --predictor, or a --version that is named like one")
    try:
        recipe = find(model, predictor or version)
    except UnknownModel as error:
        raise typer.BadParameter(str(error)) from None
    loaded, digest = _loaded(recipe, artefacts)
    return Chosen(loaded, version or predictor, digest)


def _loaded(recipe: Recipe, artefacts: Path) -> tuple[Predictor, str]:
    from ..models.learners import MissingExtra
    from ..training.artefact import ArtefactError, path_of
    from ..training.supply import supply

    try:
        predictor = supply(recipe, artefacts)
        content = b"" if recipe.ready else path_of(recipe, artefacts).read_bytes()
        return predictor, sha256(content).hexdigest() if content else ""
    except (ArtefactError, MissingExtra) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
