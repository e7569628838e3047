"""``python -m tests.calibration``: does the verdict keep its promises, and how fast is it?

Simulates candidates with and without defects on the verdict's own functions, with a look after
every request, then whole rollouts on the controller itself, and prints tables. Exit code 1 if a
promise is broken.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from math import ceil
from multiprocessing import get_context
from typing import Any
from zlib import crc32

import numpy as np

from tests.calibration import (
    allowances,
    contests,
    damage,
    days,
    defects,
    incidents,
    pace,
    scenarios,
    tables,
)
from tests.calibration.cases import Case
from tests.calibration.limits import BAND
from tests.calibration.signals import ALPHA
from tests.calibration.streams import Ints

GROUPS: dict[str, Callable[[np.random.Generator], list[Case]]] = {
    "errors": lambda rng: scenarios.errors(),
    "users": lambda rng: scenarios.users(),
    "shares": lambda rng: scenarios.wrong_shares(),
    "margins": lambda rng: scenarios.margins(),
    "signals": lambda rng: scenarios.other_signals(),
    "whole": lambda rng: scenarios.whole(),
    "promotions": lambda rng: scenarios.promotions(),
    "unseen": scenarios.unseen,
    "delay-errors": lambda rng: defects.errors(),
    "delay-margins": lambda rng: defects.margins(),
    "delay-latency": lambda rng: defects.latency(),
    "delay-classes": lambda rng: defects.classes(),
    "delay-split": lambda rng: defects.split(),
    "delay-promotions": lambda rng: defects.promotions(),
    "delay-late": lambda rng: incidents.late(),
    "delay-whole": lambda rng: incidents.whole(),
    "delay-unlike": lambda rng: incidents.unlike(),
    "delay-unseen": incidents.unseen,
    "rivals-errors": lambda rng: contests.errors(),
    "rivals-latency": lambda rng: contests.latency(),
    "rivals-classes": lambda rng: contests.classes(),
    "rivals-split": lambda rng: contests.split(),
}
WHOLE: dict[str, Any] = {"allowances": allowances, "days": days, "damage": damage}
"""Modules that play whole rollouts: ``jobs``, ``work`` on each, ``report`` of all."""

_cases: list[Case] = []  # of this process and those it forks


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="of each null; delays: 3 of 10")
    names = [*GROUPS, *WHOLE]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--seed", type=int, default=1, help="of all runs and of the unseen cases")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    return parser.parse_args()


def runs_of(case: Case, asked: int) -> int:
    """Delays need fewer runs than promises of a chance."""
    some = 0.3 if case.limit or case.reference else 1.0
    return max(ceil(asked * some * case.runs), 40)


def one_batch(job: tuple[int, int, list[int]]) -> tuple[int, dict[str, Ints]]:
    number, runs, seed = job
    return number, _cases[number].simulate(runs, seed)


def batches(asked: int, seed: int) -> Iterator[tuple[int, int, list[int]]]:
    """Each with a seed of its own, which depends on nothing but the case's name and its place."""
    for number, case in enumerate(_cases):
        runs = runs_of(case, asked)
        for part in range(ceil(runs / case.batch)):
            name = crc32(f"{case.table}: {case.name}".encode())
            yield number, min(case.batch, runs - part * case.batch), [seed, name, part]


def main() -> int:
    given = options()
    began = time.monotonic()
    for name in (one for one in given.only if one in GROUPS):
        _cases.extend(GROUPS[name](np.random.default_rng([given.seed, crc32(name.encode())])))
    jobs = list(batches(given.runs, given.seed))
    parts: dict[int, list[dict[str, Ints]]] = {number: [] for number in range(len(_cases))}
    most = ", ".join(f"{name.removeprefix('delay: ')} {n}" for name, n in tables.MOST.items())
    print(
        f"alpha {ALPHA}, a look after every request, requests of both arms, seed {given.seed}.\n"
        f"A null fails with more alarms than a rate of exactly {ALPHA} exceeds with a chance of\n"
        f"{BAND}. A delay fails if its median or p95 is surely above {tables.SLOWER} times the\n"
        f"reference, or its mean surely above so many times the limit: {most}.\n"
        "`*`: some runs were cut off.\n"
    )
    broken: list[str] = []
    with get_context("fork").Pool(given.jobs) as pool:
        results = pool.imap(one_batch, jobs)
        for title, group in groupby(range(len(_cases)), lambda number: _cases[number].table):
            rows = []
            for number in group:
                case = _cases[number]
                needed = sum(job[0] == number for job in jobs)
                while len(parts[number]) < needed:
                    which, found = next(results)
                    parts[which].append(found)
                merged = {
                    rule: np.concatenate([part[rule] for part in parts[number]])
                    for rule in parts[number][0]
                }
                rows.append((case, merged))
            print(tables.table(rows, title), flush=True)
            broken += tables.failures(rows)
        for whole in (WHOLE[name] for name in given.only if name in WHOLE):
            asked = whole.jobs(given.runs, given.seed)
            found = pool.imap(whole.work, asked)
            page, failed = whole.report(list(zip(asked, found, strict=True)))
            print(page, flush=True)
            broken += failed
    print(pace.table())
    print(f"{time.monotonic() - began:.0f} s.", *(f"FAIL: {one}" for one in broken), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
