"""``python -m benchmarks.workers``: how soon a model worker answers, and how quickly.

Prints one table in Markdown, a row for each model and predictor, and whether the marks are kept:
every start-up under 2 s, a single row under 1 ms inside the worker at p50 for rules, linear models
and trees.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.timed_worker import TIMINGS
from model_workers.models.catalogue import MODELS, data, find
from model_workers.models.model import DUMMY
from model_workers.predictors.rules import RulesPredictor
from model_workers.training.artefact import ArtefactError
from model_workers.training.supply import supply

START_S, ROW_MS = 2.0, 1.0
MARKED = {"rules", "linear", "words", "trees"}  # of these the second mark speaks
WARM_UP = 200
HEAD = """\
| model | predictor | kind | start-up, s | CPU, s | inside p50, ms | p99 | client p50, ms | p99 |
|---|---|---|--:|--:|--:|--:|--:|--:|"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One predictor: seconds from the start of its process to its first 200, on the wall and of
    CPU, and of single rows inside the worker and as a client sees them.
    """

    model: str
    predictor: str
    kind: str
    started: list[tuple[float, float]]
    inside: list[float]
    outside: list[float]

    def __str__(self) -> str:
        inside, outside = _centiles(self.inside), _centiles(self.outside)
        figures = [f"{value * 1000:.2f}" for value in (*inside, *outside)]
        start = [f"{statistics.median(each):.2f}" for each in zip(*self.started, strict=True)]
        return "| " + " | ".join([self.model, self.predictor, self.kind, *start, *figures]) + " |"

    def problems(self) -> Iterator[str]:
        """Which marks are missed."""
        name = f"{self.model} {self.predictor}"
        start = statistics.median(wall for wall, _ in self.started)
        if start >= START_S:
            yield f"{name} starts in {start:.2f} s, not under {START_S:g} s"
        middle = statistics.median(self.inside) * 1000
        if self.kind in MARKED and middle >= ROW_MS:
            yield f"{name} takes {middle:.2f} ms inside, not under {ROW_MS:g} ms"


def main(words: Sequence[str]) -> int:
    """Exit code 1 if a mark is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--model", action="append", default=[], choices=list(MODELS))
    parser.add_argument("--starts", type=int, default=5, help="of each worker; told: the median")
    parser.add_argument("--requests", type=int, default=2000, help="of one row, one at a time")
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"))
    options = parser.parse_args(words)
    problems: list[str] = []
    load = os.getloadavg()[0]
    print(HEAD, flush=True)
    for model in options.model or MODELS:
        for recipe in (*MODELS[model].recipes, find(model, DUMMY)):
            try:
                measured = _measured(model, recipe.name, options)
            except ArtefactError as error:
                sys.exit(str(error))
            print(measured, flush=True)
            problems += measured.problems()
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()};",
        end="",
    )
    print(f" load average before {load:.1f}, after {os.getloadavg()[0]:.1f}")
    print("\n".join(problems) or "All marks are kept.")
    return bool(problems)


def _measured(model: str, predictor: str, options: argparse.Namespace) -> Measured:
    loaded = supply(find(model, predictor), options.artefacts)  # from here on the artefact is there
    kinds = {scorer.kind for scorer in getattr(loaded, "scorers", ())}
    kind = ", ".join(sorted(kinds)) or ("rules" if isinstance(loaded, RulesPredictor) else "-")
    rows = data(model).rows
    bodies = [json.dumps({"instances": [row]}).encode() for row in rows[:200]]
    chosen = (model, predictor, str(options.artefacts))
    started = [_start(*chosen, bodies[0]) for _ in range(options.starts)]
    inside, outside = _rows(chosen, bodies, options.requests)
    return Measured(model, predictor, kind, started, inside, outside)


def _start(model: str, predictor: str, artefacts: str, body: bytes) -> tuple[float, float]:
    words = ["--model", model, "--predictor", predictor, "--artefacts", artefacts, "--port", "0"]
    begun, spent = perf_counter(), _spent()
    with _worker(["-m", "model_workers", "serve", *words]) as connection:
        _ask(connection, body)
        wall = perf_counter() - begun
    return wall, _spent() - spent


def _spent() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rows(
    chosen: tuple[str, str, str], bodies: list[bytes], requests: int
) -> tuple[list[float], list[float]]:
    with _worker(["-m", "benchmarks.timed_worker", *chosen]) as connection:
        outside = []
        for number in range(WARM_UP + requests):
            begun = perf_counter()
            _ask(connection, bodies[number % len(bodies)])
            outside.append(perf_counter() - begun)
        connection.request("GET", TIMINGS)
        inside: list[float] = json.loads(connection.getresponse().read())
        assert len(inside) == len(outside)
        return inside[WARM_UP:], outside[WARM_UP:]


@contextmanager
def _worker(words: list[str]) -> Iterator[http.client.HTTPConnection]:
    """A connection to a process whose first line ends with its address."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            host = process.stdout.readline().split()[-1].removeprefix("http://")
            connection = http.client.HTTPConnection(host, timeout=30)
            try:
                yield connection
            finally:
                connection.close()
        finally:
            process.kill()


def _ask(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", "/predict", body)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said


def _centiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
