"""``model-worker serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..contract.contract import MAX_INSTANCES
from ..models.assistant import CHATS, ChatRecipe, find_chat
from ..models.catalogue import MODELS, find
from ..models.model import Recipe, UnknownModel
from ..serving.faults import BadFaults, parse
from ..serving.process import CannotStart, Options, serve
from ..serving.worker import LIMITS, Limits
from .chosen import RegisteredOption, registered, settled, typed

ARTEFACTS = Path("artefacts")


def command(
    context: typer.Context,
    model: Annotated[str, typer.Option(envvar="MODEL_WORKER_MODEL", help="Which model.")],
    version: Annotated[
        str,
        typer.Option(
            envvar="MODEL_WORKER_VERSION", help="Served under this name. Default: the recipe's."
        ),
    ] = "",
    predictor: Annotated[
        str,
        typer.Option(
            envvar="MODEL_WORKER_PREDICTOR",
            help="Which recipe. Default: the one named as --version.",
        ),
    ] = "",
    host: Annotated[str, typer.Option(envvar="MODEL_WORKER_HOST")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="MODEL_WORKER_PORT", help="0: any that is free.")
    ] = 8101,
    uds: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A Unix socket, not host and port.")
    ] = None,
    faults: Annotated[
        str, typer.Option(metavar="TEXT", help="Go wrong, for example errors=0.3,after=200.")
    ] = "",
    limit: Annotated[
        int,
        typer.Option(envvar="MODEL_WORKER_LIMIT", min=1, help="Instances in one request."),
    ] = MAX_INSTANCES,
    timeout: Annotated[
        float,
        typer.Option(
            envvar="MODEL_WORKER_TIMEOUT",
            min=0.01,
            max=3600,
            help="Seconds for one prediction; then its client is answered 504.",
        ),
    ] = LIMITS.timeout_s,
    artefacts: Annotated[Path, typer.Option(metavar="DIR")] = ARTEFACTS,
    registry: RegisteredOption = None,
) -> None:
    """Serve one version of one model. Prints one line with its address once it answers.

    Exit code: 0 stopped by SIGTERM or Ctrl-C, 1 could not start, 2 wrong use.
    """
    _check(model, version or predictor)
    if model in CHATS and not typed(context, "registry"):
        registry = None  # what stands in the environment is for others: a chat learns as it starts
    predictor, registry = settled(context, predictor, registry)
    try:
        plan = parse(faults)
        recipe = _recipe(model, version, predictor, registry)
        limits = Limits(limit, timeout)
        serve(Options(recipe, version or predictor, artefacts, host, port, uds, plan, limits))
    except (UnknownModel, BadFaults) as error:
        raise typer.BadParameter(str(error)) from None
    except CannotStart as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _check(model: str, name: str) -> None:
    """Raise BadParameter for an unknown model, and without a name to serve it under."""
    if model not in (known := [*MODELS, *CHATS]):
        raise typer.BadParameter(f"there is no model {model!r}; choose one of {', '.join(known)}")
    if not name:
        raise typer.BadParameter("say which --predictor, or a --version that is named like one")


def _recipe(model: str, version: str, predictor: str, registry: Path | None) -> Recipe | ChatRecipe:
    if registry is not None:
        if model in CHATS:
            raise typer.BadParameter(f"{model} learns as it starts; leave --registry away")
        manifest, loaded = registered(registry, model, version)
        return Recipe(model, manifest.recipe, "registered", ready=lambda contract: loaded)
    return (find_chat if model in CHATS else find)(model, predictor or version)
