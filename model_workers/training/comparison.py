"""The ways to answer by a contract side by side: how often rightly, how quickly, how large; as
lines of at most 79 characters.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple, dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.contract import Classes, Output
from ..models.catalogue import data, model_of
from ..models.model import Recipe
from ..predictors.predictor import Predictor
from .artefact import path_of
from .fitting import folded, matrix_of, outputs_of, untrained
from .supply import supply
from .threads import one_thread

NOTHING = "-"
ALL_ROWS = "*"
_MOST_LEFT_OUT = 200  # rows: leaving out each means to train as often
_CALLS = 2000
# What the first one brings along are the means to read any; what each further one adds is its own.
_LOADS = """
import resource
import sys
from pathlib import Path
import numpy
from model_workers.models.catalogue import find
from model_workers.training import artefact
from model_workers.training.supply import supply
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
def load():
    return supply(find(sys.argv[1], sys.argv[2]), Path(sys.argv[3]))
kept = [load()]
before = resident()
kept += [load() for _ in range(8)]
print((resident() - before) * resource.getpagesize() // 8 // 1024)
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: cells by column."""

    predictor: str
    five_folds: str
    leave_one_out: str
    out_of_bag: str
    p50_us: str
    p99_us: str
    artefact_bytes: str
    resident_kib: str

    def __str__(self) -> str:
        return _line(*astuple(self))


def _line(predictor: str, five_folds: str, *figures: str) -> str:
    right = "".join(
        f"{text:>{width}}" for text, width in zip(figures, (10, 7, 6, 6, 10, 10), strict=True)
    )
    return f"  {predictor:<12}  {five_folds:<{_FOLDS}}{right}"


_FOLDS = 14
HEAD = "\n".join(
    [
        _line("", "five", "leave", "out of", "p50", "p99", "artefact", "resident"),
        _line("", "folds", "one out", "bag", "us", "us", "bytes", "KiB"),
    ]
)
LEGEND = f"""\
five folds      the mean of five (shuffled; of labels stratified)
{ALL_ROWS}               of all rows, as rules and dummies learn nothing; whoever wrote
                the rules had seen them
leave one out   each row by what learned from all others; up to {_MOST_LEFT_OUT} rows
out of bag      of a forest, each row by the trees that did not see it
p50, p99        from one checked row to its answer, in this process
resident        what each further copy of the model adds, the mean of eight
{NOTHING}               does not apply"""


def title(model: str) -> str:
    """The line above the lines of a model: what the figures of its outputs are."""
    found = model_of(model)
    told = " / ".join(
        f"accuracy of {output.name}"
        if isinstance(output, Classes)
        else f"R2, mean absolute error of {output.name}"
        for output in found.contract.outputs
    )
    return f"{model}{', synthetic' if found.synthetic else ''}: {told}"


def compared(recipe: Recipe, artefacts: Path) -> Line:
    """Everything that is known of a recipe; trains it first if nobody did. Raises ArtefactError,
    and MissingExtra if it needs a library that is not there.
    """
    with one_thread():  # as in a worker
        predictor = supply(recipe, artefacts)
        half, rare = latency_us(recipe, predictor)
        outputs = outputs_of(recipe.model)
        return Line(
            recipe.name,
            " / ".join(_quality(recipe, predictor, place) for place in range(len(outputs)))
            + ("" if recipe.learner else ALL_ROWS),
            _left_out(recipe),
            out_of_bag(recipe),
            f"{half:.0f}",
            f"{rare:.0f}",
            f"{path_of(recipe, artefacts).stat().st_size}" if recipe.learner else NOTHING,
            resident_kib(recipe, artefacts),
        )


def latency_us(recipe: Recipe, predictor: Predictor) -> tuple[float, float]:
    """Median and 99th percentile of the time from one row to its answer, in microseconds: all that
    happens between validation and encoding.
    """
    taken = []
    for row in islice(cycle(data(recipe.model).rows), _CALLS):
        begun = perf_counter_ns()
        predictor.predict([row])
        taken.append(perf_counter_ns() - begun)
    half, rare = np.percentile(taken, [50, 99]) / 1000
    return float(half), float(rare)


def resident_kib(recipe: Recipe, artefacts: Path) -> str:
    """By how much a process grows with each copy of the model, in KiB, rounded down; ``-`` where no
    /proc says so.
    """
    if not Path("/proc/self/statm").exists():
        return NOTHING
    command = [sys.executable, "-c", _LOADS, recipe.model, recipe.name, str(artefacts)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return str(max(0, grown))


def right(predictor: Predictor, recipe: Recipe, place: int) -> float:
    """How often an output is right on all rows: for what did not learn from them."""
    said = predictor.predict(data(recipe.model).rows).predictions[place]
    known = data(recipe.model).answers[place]
    return sum(a == b for a, b in zip(said, known, strict=True)) / len(known)


def _quality(recipe: Recipe, predictor: Predictor, place: int) -> str:
    """The mean over 5 folds: the share of right labels, or R2 and the mean absolute error."""
    output, answers = outputs_of(recipe.model)[place]
    if isinstance(output, Classes):
        if recipe.learner is None:
            return f"{right(predictor, recipe, place):.3f}"
        return f"{folded(recipe, output, answers):.3f}"
    explained, error = _regressed(recipe, predictor, output, answers)
    return f"{explained:.3f}, {error:.1f}"


def _regressed(
    recipe: Recipe, predictor: Predictor, output: Output, answers: NDArray[Any]
) -> tuple[float, float]:
    if recipe.learner is not None:
        error = -folded(recipe, output, answers, measure="neg_mean_absolute_error")
        return folded(recipe, output, answers), error
    said = np.array(predictor.predict(data(recipe.model).rows).predictions[0], dtype=np.float64)
    return 1 - float(((answers - said) ** 2).mean() / answers.var()), float(
        np.abs(answers - said).mean()
    )


def _left_out(recipe: Recipe) -> str:
    """The share of rows labelled rightly by a model that learned from all the others."""
    output, answers = outputs_of(recipe.model)[0]
    if not isinstance(output, Classes) or len(answers) > _MOST_LEFT_OUT or recipe.learner is None:
        return NOTHING
    from sklearn.model_selection import LeaveOneOut, cross_val_score

    scores = cross_val_score(
        untrained(recipe), matrix_of(recipe.model), answers, cv=LeaveOneOut(), n_jobs=1
    )
    return f"{scores.mean():.3f}"


def out_of_bag(recipe: Recipe) -> str:
    """For a forest: the share of rows labelled rightly by the trees that did not learn from them
    (L. Breiman, 2001).
    """
    if recipe.learner is None or len(model_of(recipe.model).contract.outputs) > 1:
        return NOTHING
    estimator: Any = untrained(recipe)
    if "oob_score" not in estimator.get_params():
        return NOTHING
    estimator.set_params(oob_score=True)
    estimator.fit(matrix_of(recipe.model), outputs_of(recipe.model)[0][1])
    return f"{estimator.oob_score_:.3f}"
