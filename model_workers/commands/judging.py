"""``model-worker evaluate`` and ``gate``."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .saying import REGISTRY, JsonOption, ModelOption, RegistryOption, done, known_model, refuse

if TYPE_CHECKING:
    from ..registry.evaluation import Evaluation, Figures, Result

EVALUATION, GATE = Path("evaluation.json"), "gate.json"

# The column of types is as narrow as these make it: a name that had no room would be cut in --help.
QualityOption = Annotated[
    float, typer.Option(min=0, max=1, metavar="SHARE", help="The least accuracy of the candidate.")
]
ErrorOption = Annotated[
    float | None,
    typer.Option(min=0, metavar="NUMBER", help="Its largest mean absolute error, of numbers."),
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(min=50, max=99.99, metavar="%", help="Of the interval, in percent. Default: 95."),
]
PredictedOption = Annotated[
    bool,
    typer.Option("--allow-predicted-labels", help="Labels that a model predicted are judges, too."),
]


def evaluate(
    model: ModelOption,
    candidate: Annotated[str, typer.Option(metavar="FILE|VERSION")],
    production: Annotated[str, typer.Option(metavar="FILE|VERSION")],
    data: Annotated[Path, typer.Option(metavar="SNAPSHOT")],
    registry: RegistryOption = REGISTRY,
    out: Annotated[Path, typer.Option(metavar="FILE")] = EVALUATION,
    as_json: JsonOption = False,
) -> None:
    """Compare two models on the held-out rows of a snapshot, and write the figures to a file.

    Exit code: 0 written, 1 a file will not do or no row is new to both, 2 wrong use.
    """
    from ..registry import judging, shots
    from ..registry.candidates import pretty
    from ..registry.files import CannotUse, write

    known_model(model)
    try:
        shot = shots.look(model, data)
        sides = [judging.named(model, name, registry) for name in (candidate, production)]
        found = judging.evaluate(model, sides[0], sides[1], shot)
        write(out, pretty(found))
    except CannotUse as error:
        refuse(str(error), as_json=as_json)
    sentence = "\n".join([*_table(found), f"{out}: {_about(found)}"])
    done(sentence, {"path": str(out), **_json(found)}, as_json=as_json)


def gate(
    evaluation: Annotated[Path, typer.Option(metavar="FILE")] = EVALUATION,
    min_quality: QualityOption = 0.0,
    max_error: ErrorOption = None,
    min_improvement: Annotated[
        float,
        typer.Option(help="Proven to be better by more than this; below 0: no worse than this."),
    ] = 0.0,
    confidence: ConfidenceOption = None,
    max_false_pass: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="The same as a chance: 2.5% is --confidence 95."),
    ] = "",
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Judge only this output; repeatable. Default: all."),
    ] = None,
    allow_predicted_labels: PredictedOption = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: gate.json beside the evaluation.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a candidate is good enough, and better than production beyond chance.

    Exit code: 0 passed, 1 refused or the evaluation will not do, 2 wrong use.
    """
    from ..registry import judging
    from ..registry.candidates import pretty
    from ..registry.files import CannotUse, write
    from ..registry.gate import Thresholds

    for name, value in (("--max-error", max_error), ("--min-improvement", min_improvement)):
        if value is not None and not isfinite(value):
            raise typer.BadParameter(f"{name} is {value}; write a number")
    asked = Thresholds(
        min_quality=min_quality,
        max_error=max_error,
        min_improvement=min_improvement,
        false_pass=_false_pass(confidence, max_false_pass),
        outputs=tuple(output or ()),
        predicted_labels=allow_predicted_labels,
    )
    try:
        found = judging.judge(evaluation, asked)
        if not found.passed:
            refuse(found.sentence, found, as_json=as_json)
        path = out or evaluation.with_name(GATE)
        write(path, pretty(found))
    except CannotUse as error:
        refuse(str(error), as_json=as_json)
    done(found.sentence, {"path": str(path), **_json(found)}, as_json=as_json)


def _false_pass(confidence: float | None, chance: str) -> float:
    if not chance:
        return round((100 - (95.0 if confidence is None else confidence)) / 200, 10)
    if confidence is not None:
        raise typer.BadParameter("say --confidence or --max-false-pass, not both")
    try:
        share = float(chance.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0.00005 <= share <= 0.25:
        raise typer.BadParameter(f"--max-false-pass is {chance!r}; write 0.005% to 25%")
    return share


def _json(found: object) -> dict[str, object]:
    import msgspec

    built: dict[str, object] = msgspec.to_builtins(found)
    return built


def _about(found: Evaluation) -> str:
    rows = found.rows
    told = f"{rows.held_out} held-out rows ({100 * rows.share:g} % of all"
    if rows.copies:
        told += f", {rows.copies} copies not counted again"
    if rows.left_out:
        told += f", {rows.left_out} left out that one of the two may have learned from"
    return f"{told}) of snapshot {rows.snapshot[:16]}"


def _table(found: Evaluation) -> list[str]:
    lines = [f"{'':<34}{'candidate':>12}{'production':>12}"]
    for result in found.results:
        lines += _lines(result)
    return lines


def _lines(result: Result) -> list[str]:
    lines = [
        f"{result.output + ' ' + name.replace('_', ' '):<34}{new:>12.4g}{old:>12.4g}"
        for name in ("accuracy", "log_loss", "mean_absolute_error")
        if (pair := _both(name, result.candidate, result.production))
        for new, old in [pair]
    ]
    for label in result.labels:
        what = f"  of {label.rows} {label.label}"
        lines.append(f"{what:<34}{label.candidate:>12}{label.production:>12}")
    if result.pairs is not None:
        told = f"  only this one right, of {result.pairs.rows}"
        lines.append(f"{told:<34}{result.pairs.better:>12}{result.pairs.worse:>12}")
        lines.append(f"  they agree on {100 * result.agreement:.1f} % of the rows")
    else:
        lines.append(f"  they differ by {result.agreement:.4g} in the mean")
    return lines


def _both(name: str, one: Figures, other: Figures) -> tuple[float, float] | None:
    found: tuple[float | None, float | None] = getattr(one, name), getattr(other, name)
    return None if found[0] is None or found[1] is None else (found[0], found[1])
