"""How commands on data and versions end: one sentence, or JSON, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from ..models.catalogue import find, model_of
from ..models.model import Recipe, UnknownModel

ModelOption = Annotated[
    str, typer.Option("--model", envvar="MODEL_WORKER_MODEL", help="Which model.")
]
RegistryOption = Annotated[
    Path,
    typer.Option(
        "--registry",
        metavar="DIR",
        envvar="MODEL_WORKER_REGISTRY",
        help="The folder of versions.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
REGISTRY = Path("registry")


def known_model(model: str) -> None:
    """An unknown model is wrong use."""
    try:
        model_of(model)
    except UnknownModel as error:
        raise typer.BadParameter(str(error)) from None


def known_recipe(model: str, name: str) -> Recipe:
    """So is an unknown recipe, and one that does not learn."""
    try:
        recipe = find(model, name)
    except UnknownModel as error:
        raise typer.BadParameter(str(error)) from None
    if recipe.learner is None:
        raise typer.BadParameter(f"{model} {recipe.name} does not learn; choose another recipe")
    return recipe


def done(sentence: str, document: object, *, as_json: bool) -> None:
    """What came of it: the sentence, or the document with the sentence in it."""
    if as_json:
        built = msgspec.to_builtins(document)
        assert isinstance(built, Mapping)
        typer.echo(json.dumps({"done": True, "sentence": sentence, **built}))
    else:
        typer.echo(sentence)


def refuse(sentence: str, document: object = None, *, as_json: bool) -> NoReturn:
    """It was refused, or could not be done: exit code 1."""
    if as_json:
        built = msgspec.to_builtins(document) if document is not None else {}
        assert isinstance(built, Mapping)
        typer.echo(json.dumps({"done": False, "sentence": sentence, **built}))
    else:
        typer.echo(sentence if sentence.startswith("refused: ") else f"error: {sentence}", err=True)
    raise typer.Exit(1)
