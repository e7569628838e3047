"""Candidates that are as much worse as a weight just does not allow any more: how many get it?

The proofs are those the product makes of the file, one look after the other. A look that finds a
proof good enough is enough: the controller would give the next weight there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.config import parse
from gateway.counting.grid import LATENCY_BOUNDS
from monitoring.analysis.lenience import Lenient
from monitoring.analysis.question import question_of
from monitoring.analysis.track import Track
from monitoring.readings.evidence import Counts, row
from tests.calibration.limits import bounds, frequencies_of, most_alarms
from tests.calibration.ramps import text_of
from tests.calibration.streams import Floats
from tests.calibration.tables import FAIL, PASS, SHOWN

ALPHA: Final = 0.05
RUNS: Final = 300  # of 1000
BATCH: Final = 50
LOOKS: Final = 120
REQUESTS: Final = 200  # of both versions, from look to look
PAST: Final = 10_000  # of stable, before
BAD: Final = 0.005
USUAL: Final = frequencies_of(bounds())
STEPS: Final = ((5, "1m"), (10, "1m"), (25, "1m"), (50, "1m"))


@dataclass(frozen=True)
class Boundary:
    """``worse``: times what is not allowed any more at ``weight``; ``hidden``: worse only between
    two of the bounds that are compared.
    """

    signal: str
    watched_at: float  # percent
    weight: int  # percent
    worse: float = 1.0
    hidden: bool = False


CASES: Final = (
    *(Boundary("errors", *pair) for pair in ((5, 10), (10, 25), (25, 50))),
    *(Boundary("latency", *pair) for pair in ((5, 10), (10, 25), (25, 50))),
    Boundary("errors", 10, 25, worse=1.5),
    Boundary("latency", 10, 25, worse=1.5),
    Boundary("latency", 10, 25, hidden=True),
)
Job = tuple[Boundary, int, int]
"""A case, the seed, the number of the batch."""


def proof_of(case: Boundary) -> tuple[Lenient, float]:
    """The proof that a file asks for before the weight, and how much worse it lets one be."""
    route = parse(text_of(STEPS, 100 * ALPHA).encode()).routes[0]
    assert route.analysis
    question = question_of(route, route.analysis, "v2")
    (proof,) = (one for one in question.steps if one.name == f"{case.signal} up to {case.weight} %")
    tolerated = {"errors": 0.005, "latency": 0.02}[case.signal]
    return proof, tolerated * 100 / case.weight


def candidate_of(case: Boundary, worse: float) -> Floats:
    """Frequencies of the latency buckets of which ``worse`` more lie beyond stable's median."""
    below = np.cumsum(USUAL)
    middle = int((below < 0.5).sum())
    if (
        case.hidden
    ):  # all that stable answers between two of the bounds comes just before the second
        last = int((below < 0.75).sum())
        moved = USUAL.copy()
        moved[middle + 1 : last] = 0.0
        moved[last] += USUAL[middle + 1 : last].sum()
        return moved
    taken = slice(middle - 1, middle + 1)  # no other bound is touched
    moved = USUAL.copy()
    moved[taken] *= 1 - worse / USUAL[taken].sum()
    moved[middle + 1] += worse
    return moved


def jobs(runs: int, seed: int) -> list[Job]:
    batches = max(round(RUNS * runs / 1000 / BATCH), 1)
    return [(case, seed, part) for case in CASES for part in range(batches)]


def work(job: Job) -> int:
    """How many of a batch were ever allowed the weight."""
    case, seed, part = job
    proof, worse = proof_of(case)
    draw = np.random.default_rng([seed, CASES.index(case), part])
    return sum(_allowed(case, proof, case.worse * worse, draw) for _ in range(BATCH))


def _allowed(case: Boundary, proof: Lenient, worse: float, draw: np.random.Generator) -> bool:
    share = case.watched_at / 100
    errors = case.signal == "errors"
    slow = USUAL if errors else candidate_of(case, worse)
    track = Track.begun(proof, _counts(draw, PAST, BAD, USUAL))
    assert track
    for _ in range(LOOKS):
        mine = int(draw.binomial(REQUESTS, share))
        track = track.grown(
            proof,
            _counts(draw, mine, BAD + worse if errors else BAD, slow),
            _counts(draw, REQUESTS - mine, BAD, USUAL),
            share,
        )
        found = track.log_proof()
        if found is not None and found >= -np.log(ALPHA):
            return True
    return False


def _counts(draw: np.random.Generator, requests: int, bad: float, slow: Floats) -> Counts:
    latency = draw.multinomial(requests, slow)
    assert len(latency) == len(LATENCY_BOUNDS) + 1
    return Counts(requests, int(draw.binomial(requests, bad)), latency=row(latency.tolist()))


def report(found: Sequence[tuple[Job, int]]) -> tuple[str, list[str]]:
    """The table, and what is broken."""
    columns = ("candidate", "watched at", "wants", "runs", "allowed", "at most", "")
    lines = [
        "### false allowances on the boundary of a step\n",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
    ]
    broken = []
    for case in CASES:
        parts = [number for (which, _, _), number in found if which == case]
        if not parts:
            continue
        runs, allowed, most = BATCH * len(parts), sum(parts), most_alarms(BATCH * len(parts), ALPHA)
        good = SHOWN if case.hidden else PASS if allowed <= most else FAIL
        cells = (
            _name(case),
            f"{case.watched_at:g} %",
            f"{case.weight} %",
            f"{runs}",
            f"{allowed} ({100 * allowed / runs:.1f} %)",
            "-" if case.hidden else f"{most}",
            good,
        )
        lines.append(f"| {' | '.join(cells)} |")
        if good == FAIL:
            broken.append(f"false allowances: {_name(case)} wants {case.weight} %")
    return "\n".join([*lines, "", ""]), broken


def _name(case: Boundary) -> str:
    if case.hidden:
        return "latency, worse only between two of the bounds"
    worse = 100 * case.worse * proof_of(case)[1]
    where = "" if case.signal == "errors" else " beyond the median"
    return f"{case.signal} +{worse:g} points{where}"
