"""Which model, answering how, under which version: the options that commands on rows share."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.catalogue import find
from ..models.model import Recipe, UnknownModel
from ..predictors.predictor import Predictor
from .saying import known_model

if TYPE_CHECKING:  # read only where a registry is asked
    from ..registry.manifest import Registered

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
RegisteredOption = Annotated[
    Path | None,
    typer.Option(
        "--registry",
        metavar="DIR",
        envvar="MODEL_WORKER_REGISTRY",
        help="Take the registered --version, its checksums verified.",
    ),
]
_EXCLUSIVE = "a registered --version says itself which recipe made it"


@dataclass(frozen=True, slots=True)
class Chosen:
    """``digest`` is of the artefact; empty where there is none."""

    predictor: Predictor
    version: str
    digest: str


def typed(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, and not in the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def settled(
    context: typer.Context, predictor: str, registry: Path | None
) -> tuple[str, Path | None]:
    """A recipe or a registry, as only one of them says what answers: the one on the command line,
    if the other stands in the environment. Two in the same place are wrong use.
    """
    if not predictor or registry is None:
        return predictor, registry
    match typed(context, "predictor"), typed(context, "registry"):
        case True, False:
            return predictor, None
        case False, True:
            return "", registry
        case True, True:
            raise typer.BadParameter(f"--registry or --predictor, not both: {_EXCLUSIVE}")
    raise typer.BadParameter(
        "MODEL_WORKER_REGISTRY or MODEL_WORKER_PREDICTOR, not both: "
        f"{_EXCLUSIVE}; unset one, or say --registry or --predictor, which wins"
    )


def chosen(
    model: str, predictor: str, version: str, artefacts: Path, registry: Path | None = None
) -> Chosen:
    """Load it, from the registry if one is told, else trained now if nobody did yet. Wrong use and
    a bad artefact end the command.
    """
    if registry is not None:
        manifest, answering = registered(registry, model, version)
        return Chosen(answering, version, manifest.artefact)
    if not (version or predictor):
        raise typer.BadParameter("say which --predictor, or a --version that is named like one")
    try:
        recipe = find(model, predictor or version)
    except UnknownModel as error:
        raise typer.BadParameter(str(error)) from None
    loaded, digest = _loaded(recipe, artefacts)
    return Chosen(loaded, version or predictor, digest)


def registered(registry: Path, model: str, version: str) -> tuple[Registered, Predictor]:
    """What the registry says of a version, and what answers as it does."""
    from ..registry.files import CannotUse
    from ..registry.versions import load

    if not version:
        raise typer.BadParameter(
            f"say which --version of the registry {registry}, or a --predictor"
        )
    known_model(model)
    try:
        return load(registry, model, version)
    except CannotUse as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


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
