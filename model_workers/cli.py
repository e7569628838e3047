"""The command ``model-worker``: serve a version of a model, and all that comes before."""

from __future__ import annotations

import os
import sys

import typer

from .commands import (
    asking,
    collecting,
    explaining,
    judging,
    learning,
    registering,
    scoring,
    serving,
)

app = typer.Typer(
    name="model-worker",
    help="Train, compare, gate, register and serve models, score files, explain answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("serve")(serving.command)
app.command("score")(scoring.command)
app.command("explain")(explaining.command)
app.command("ask")(asking.command)
app.command("train")(learning.train)
app.command("compare")(learning.compare)
app.command("samples")(learning.samples)
app.command("snapshot")(collecting.command)
app.command("evaluate")(judging.evaluate)
app.command("gate")(judging.gate)
app.command("register")(registering.register)
app.command("lineage")(registering.lineage)
app.command("versions")(registering.versions)

# Where one of these stands in the environment, it says which model there is to serve.
_WHICH = {"MODEL_WORKER_VERSION", "MODEL_WORKER_PREDICTOR"}


def main() -> None:
    """The command. Options alone mean ``serve``, also where all of them are in the environment."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    told = not first and bool(os.environ.keys() & _WHICH)
    if told or (first.startswith("-") and first != "--help"):
        sys.argv.insert(1, "serve")
    app()
