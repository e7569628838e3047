"""``python -m benchmarks``: measure, and print the table, the promises and a summary."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import table, verdicts
from benchmarks.cases import CASES, PEERS, Case, Target
from benchmarks.python_peers import GATEWAY, offers
from benchmarks.rounds import Measured, run_case
from benchmarks.summary import summary

ROUNDS, SECONDS = 5, 2.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 1.0


def main(words: Sequence[str]) -> int:
    """Exit code 0; a target that cannot be measured ends the run with its reason."""
    options = _options(words)
    if len(os.sched_getaffinity(0)) < 2:
        print("two cores are needed: one for the target, one for the load", file=sys.stderr)
        return 1
    rounds, seconds = options.rounds, options.seconds
    if options.quick:
        rounds, seconds = QUICK_ROUNDS, QUICK_SECONDS
    started, load_before = time.monotonic(), os.getloadavg()[0]
    seen: list[tuple[Case, Sequence[Measured]]] = []
    for case in _cases(options):
        _say(f"{case.name}: {case.title}")
        with tempfile.TemporaryDirectory(prefix="canary-bench-", dir="/tmp") as directory:
            seen.append((case, run_case(case, Path(directory), rounds, seconds, _say)))
        _say(table.rows(*seen[-1]))
    print(_heading(rounds, seconds, load_before))
    print(table.HEAD, *(table.rows(*each) for each in seen), sep="\n")
    told = verdicts.verdicts(
        {(case.name, each.target.name): each for case, measured in seen for each in measured}
    )
    if told:
        print("", verdicts.HEAD, *told, sep="\n")
    print("", "Summary for the README:", "", summary(seen), sep="\n")
    _say(f"took {(time.monotonic() - started) / 60:.1f} minutes")
    return 0


def _cases(options: argparse.Namespace) -> list[Case]:
    """What is asked for, as far as it can be measured."""
    cases = [CASES[name] for name in options.case or CASES]
    if options.peer:
        cases = [case.only(options.peer) for case in cases]
    for pair in options.checkout:
        name, _, path = pair.partition("=")
        cases = [case.with_checkout(name, Path(path).resolve()) for case in cases]
    cases = [case.where(_can_be_measured) for case in cases]
    return [case for case in cases if any(target.peer for target in case.targets)]


def _can_be_measured(target: Target) -> bool:
    if target.shape.processes == 1 or target.peer is not GATEWAY:
        return True
    offered = offers(target.checkout, "--processes")
    if not offered:
        _say(f"left out: {target.name}: this gateway has no --processes")
    return offered


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="times each target is measured")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load per measurement")
    parser.add_argument("--case", action="append", default=[], choices=list(CASES))
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
        f"load average {load_before:.1f} before; load: {_wrk()}",
        *(f"- {peer.name}: {peer.version()} ({peer.work})" for peer in PEERS),
    ]
    return "\n".join(lines) + "\n"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _wrk() -> str:
    """wrk tells its version only beside its usage, and fails."""
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((said.stdout + said.stderr).split()[:2])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
