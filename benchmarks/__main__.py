"""``python -m benchmarks``: measure, and print the table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import table, verdicts
from benchmarks.cases import CASES, PEERS, Case
from benchmarks.rounds import Measured, run_case

QUICK_ROUNDS, QUICK_SECONDS = 1, 1.0


def main(words: Sequence[str]) -> int:
    """Exit code 0; a target that cannot be measured ends the run with its reason."""
    options = _options(words)
    if len(os.sched_getaffinity(0)) < 2:
        print("two cores are needed: one for the target, one for the load", file=sys.stderr)
        return 1
    cases = [
        _case(case, options) for case in CASES if not options.case or case.name in options.case
    ]
    rounds, seconds = options.rounds, options.seconds
    if options.quick:
        rounds, seconds = QUICK_ROUNDS, QUICK_SECONDS
    seen: dict[tuple[str, str], Measured] = {}
    load_before = os.getloadavg()[0]
    rows = []
    for case in cases:
        if not case.targets:
            continue
        _say(f"{case.name}: {case.title}")
        with tempfile.TemporaryDirectory(prefix="canary-bench-", dir="/tmp") as directory:
            measured = run_case(case, Path(directory), rounds, seconds, _say)
        rows.append(table.rows(case, measured))
        _say(rows[-1])
        seen |= {(case.name, each.target.name): each for each in measured}
    print(_heading(rounds, seconds, load_before))
    print(table.HEAD, *rows, sep="\n")
    told = verdicts.verdicts(seen)
    if told:
        print("", verdicts.HEAD, *told, sep="\n")
    return 0


def _case(case: Case, options: argparse.Namespace) -> Case:
    if options.peer:
        case = case.only(options.peer)
    for pair in options.checkout:
        name, _, path = pair.partition("=")
        case = case.with_checkout(name, Path(path).resolve())
    return case


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times each target is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load per measurement")
    parser.add_argument("--case", action="append", default=[], choices=[c.name for c in CASES])
    parser.add_argument("--peer", action="append", default=[], choices=[p.name for p in PEERS])
    parser.add_argument("--quick", action="store_true", help="one round of one second: a trial")
    parser.add_argument(
        "--checkout",
        action="append",
        default=[],
        metavar="NAME=DIRECTORY",
        help="measure the gateway of another checkout beside this one",
    )
    return parser.parse_args(words)


def _heading(rounds: int, seconds: float, load_before: float) -> str:
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}; {rounds} rounds of {seconds:g} s, medians; "
        f"load average {load_before:.1f} before",
        *(f"- {peer.name}: {peer.version()} ({peer.work})" for peer in PEERS),
    ]
    return "\n".join(lines) + "\n"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
