"""``model-worker score``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..revision import code_version
from .chosen import ModelOption, PredictorOption, RegisteredOption, VersionOption, chosen, settled
from .serving import ARTEFACTS

_STOPPED = 128 + signal.SIGTERM


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help=".csv or .parquet")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Of the input's format.")],
    model: ModelOption,
    predictor: PredictorOption = "",
    version: VersionOption = "",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Refused rows go to OUTPUT.rejected.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    artefacts: Annotated[Path, typer.Option(metavar="DIR")] = ARTEFACTS,
    registry: RegisteredOption = None,
) -> None:
    """Score the rows of a file: the same answers, to the last bit, as over HTTP.

    Interrupted, the same command goes on where it was. Exit code: 0 done, 1 the file, a row of it
    or the model will not do, 2 wrong use, 130 and 143 interrupted.
    """
    # Read only when it is used: the other commands start sooner.
    from rich.console import Console

    from ..batch.progress import watching
    from ..batch.scoring import Job, score
    from ..batch.table import BadTable

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    predictor, registry = settled(context, predictor, registry)
    found = chosen(model, predictor, version, artefacts, registry)
    threadpool_limits(limits=1)  # as in a worker; of what is loaded by now
    job = Job(source, target, found.predictor, found.version, found.digest, skip_bad)
    try:
        with watching(Console(stderr=True), quiet) as watcher:
            outcome = score(job, watcher)
    except BadTable as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or target}: {error.strerror or error}")
    if quiet:
        return
    typer.echo(f"{target}: {outcome.scored} rows by {model} {found.version}, code {code_version()}")
    if outcome.rejected:
        typer.echo(f"{job.rejected}: {outcome.rejected} rows refused")


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(1) from None
