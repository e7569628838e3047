"""``model-worker explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..contract.refusal import RefusedBody
from ..contract.validation import Validator
from ..explanations.explainer import Explainer
from ..explanations.explanation import Additive, Explanation, NotExplainable
from .chosen import ModelOption, PredictorOption, RegisteredOption, VersionOption, chosen, settled
from .serving import ARTEFACTS


def command(
    context: typer.Context,
    instance: Annotated[
        str, typer.Argument(help="As in a request: a list by position, or an object by name.")
    ],
    model: ModelOption,
    predictor: PredictorOption = "",
    version: VersionOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="As /explain answers.")] = False,
    artefacts: Annotated[Path, typer.Option(metavar="DIR")] = ARTEFACTS,
    registry: RegisteredOption = None,
) -> None:
    """Say why one instance is answered as it is.

    Exit code: 0 done, 1 this predictor cannot be explained, 2 wrong use.
    """
    predictor, registry = settled(context, predictor, registry)
    found = chosen(model, predictor, version, artefacts, registry)
    threadpool_limits(limits=1)  # as in a worker; of what is loaded by now
    contract = found.predictor.contract
    try:
        rows = Validator(contract, 1).rows([msgspec.json.decode(instance)])
    except (msgspec.DecodeError, RefusedBody) as error:
        raise typer.BadParameter(str(error)) from None
    try:
        explained = Explainer(found.predictor).explain(rows)
    except NotExplainable as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    assert explained is not None
    (explanations,), _ = explained
    named = {o.name: one for o, one in zip(contract.outputs, explanations, strict=True)}
    if as_json:
        typer.echo(msgspec.json.encode(named))
        return
    for name, one in named.items():
        typer.echo(_told(name, one))


def _told(name: str, one: Explanation) -> str:
    if not isinstance(one, Additive):
        said = "".join(f"\n  {feature} is {value}" for feature, value in one.values.items())
        return f"{name}: {one.prediction}, by rule {one.number}: {one.condition}{said}"
    parts = {**one.contributions, **{f"  {term!r}": value for term, value in one.terms.items()}}
    width = max(map(len, parts))
    ordered = (
        sorted(parts.items(), key=lambda part: -abs(part[1])) if not one.terms else parts.items()
    )
    lines = [f"{name}: {one.prediction}; {one.scale}, by {one.method}"]
    lines += [f"  {'score':<{width}} {one.score:+9.3f} =", f"  {'base':<{width}} {one.base:+9.3f}"]
    lines += [f"  {part:<{width}} {value:+9.3f}" for part, value in ordered]
    return "\n".join(lines)
