"""``model-worker train``, ``compare`` and ``samples``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..contract.contract import Classes
from ..models.catalogue import MODELS, RECIPES, data, find, model_of
from ..models.model import DUMMY, UnknownModel
from .saying import JsonOption, done, known_recipe, refuse
from .serving import ARTEFACTS


def train(
    model: Annotated[str, typer.Option(help="Only this one. Default: all.")] = "",
    predictor: Annotated[str, typer.Option(help="With --data: which recipe.")] = "",
    snapshot: Annotated[
        Path | None,
        typer.Option("--data", metavar="SNAPSHOT", help="Learn from it, not from what is bundled."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="With --data.")] = 0,
    out: Annotated[
        Path, typer.Option(metavar="DIR|FILE", help="With --data also a file ending .skops.")
    ] = ARTEFACTS,
    as_json: JsonOption = False,
) -> None:
    """Train what is out of date and print a table; training twice gives the same bytes.

    Five folds are of a model's first output. With --data: train one recipe from a snapshot, its
    held-out rows left out. Exit code: 1 if a file cannot be written or the rows will not do.
    """
    if snapshot is not None:
        _train_from(snapshot, model, predictor, seed, out, as_json)
        return
    if predictor or seed or as_json:
        raise typer.BadParameter("--predictor, --seed and --json need --data SNAPSHOT")
    _train_bundled(model, out)


def _train_from(
    snapshot: Path, model: str, predictor: str, seed: int, out: Path, as_json: bool
) -> None:
    from ..models.learners import MissingExtra
    from ..registry import candidates, shots
    from ..registry.files import CannotUse, digest_of
    from ..training.teaching import CannotLearn

    if not (model and predictor):
        raise typer.BadParameter("--data needs --model and --predictor")
    recipe = known_recipe(model, predictor)
    try:
        shot = shots.look(model, snapshot)
        content, how = candidates.trained(recipe, shot, seed)
        path = candidates.keep(recipe, content, shot, out)
    except (CannotUse, CannotLearn, MissingExtra) as error:
        refuse(str(error), as_json=as_json)
    figures = "; ".join(
        f"{output}: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        for output, metrics in how.metrics.items()
    ).replace("_", " ")
    sentence = (
        f"{path}: {model} {recipe.name}, seed {seed}, {how.rows} rows of snapshot "
        f"{how.snapshot[:16]}; five folds of these: {figures}; sha256 {digest_of(content)[:16]}"
    )
    document = {"path": str(path), "artefact": digest_of(content), "provenance": how}
    done(sentence, document, as_json=as_json)


def _train_bundled(model: str, out: Path) -> None:
    from ..models.learners import MissingExtra
    from ..training.artefact import ArtefactError, note_of, path_of
    from ..training.train import is_current, write

    _known(model)
    typer.echo(f"{'model':<15}{'recipe':<14}{'five folds':<16}{'bytes':>7}  done")
    for recipe in RECIPES:
        if recipe.learner is None or model not in ("", recipe.model):
            continue
        try:
            current = is_current(recipe, out)
            path = path_of(recipe, out) if current else write(recipe, out)
        except MissingExtra as error:
            typer.echo(f"{recipe.model:<15}{recipe.name:<14}left out: {error}")
            continue
        except ArtefactError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        output = model_of(recipe.model).contract.outputs[0]
        measure = "accuracy" if isinstance(output, Classes) else "R2"
        quality = f"{measure} {note_of(path).quality:.3f}"
        made_up = ", synthetic data" if model_of(recipe.model).synthetic else ""
        typer.echo(
            f"{recipe.model:<15}{recipe.name:<14}{quality:<16}"
            f"{path.stat().st_size:>7}  {'up to date' if current else 'trained'}{made_up}"
        )


def compare(
    model: Annotated[str, typer.Option(help="Only this one. Default: all.")] = "",
    artefacts: Annotated[Path, typer.Option(metavar="DIR")] = ARTEFACTS,
) -> None:
    """Print how good, quick and large each way to answer is, as one table.

    Latencies are of this machine at this moment. What is not trained yet is trained first. Exit
    code: 1 if an artefact can neither be read nor written.
    """
    from ..models.learners import MissingExtra
    from ..training.artefact import ArtefactError
    from ..training.comparison import HEAD, LEGEND, compared, title

    _known(model)
    typer.echo(HEAD)
    for name in [model] if model else MODELS:
        typer.echo(title(name))
        for recipe in (*MODELS[name].recipes, find(name, DUMMY)):
            try:
                typer.echo(str(compared(recipe, artefacts)))
            except MissingExtra as error:
                typer.echo(f"{name} {recipe.name} is left out: {error}", err=True)
            except ArtefactError as error:
                typer.echo(f"error: {error}", err=True)
                raise typer.Exit(1) from None
    typer.echo(f"\n{LEGEND}")


def samples(
    model: Annotated[str, typer.Option()],
    as_csv: Annotated[
        bool, typer.Option("--csv", help="One row a line, as model-worker snapshot --from reads.")
    ] = False,
) -> None:
    """Print the labelled rows a model knows, as one JSON object: ``rows`` of feature values, and
    ``labels`` with the right label of each; for load generators and tests.
    """
    _known(model)
    found = data(model)
    if as_csv:
        contract = model_of(model).contract
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*contract.names, *(output.name for output in contract.outputs)])
        writer.writerows(
            [*row, *right] for row, *right in zip(found.rows, *found.answers, strict=True)
        )
        return
    json.dump({"rows": found.rows, "labels": found.answers[0]}, sys.stdout)


def _known(model: str) -> None:
    if model:
        try:
            model_of(model)
        except UnknownModel as error:
            raise typer.BadParameter(str(error)) from None
