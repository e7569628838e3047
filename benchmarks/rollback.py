"""``python -m benchmarks.rollback``: how long a candidate that breaks stays in front of clients.

Real processes as ``canary serve`` starts them, gateway and controller; 100 requests/s that wait for
nobody, 5 % of them the candidate's. After some healthy seconds it breaks, and the clock runs from
its first bad answer: until routing.yaml says 0, and until the gateway says that it serves that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import Any, Final

import uvloop

from benchmarks.group import Group
from benchmarks.outage import Crowd, Fault, Version
from benchmarks.table import head, row
from gateway.model import generation_of

PER_SECOND: Final = 100
PERCENT: Final = 5
KNOWN_USERS: Final = 500
AFTERWARDS: Final = 2.0  # seconds of load after the rollback is served
HUNG: Final = 120.0
MUST, AIM = 5.0, 2.0  # seconds, medians
ROOT: Final = Path(__file__).parent.parent
_TEXT: Final = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {percent}}}   # the new one
    {sticky}prediction: {{label: /label}}
    analysis: {{max_false_rollback: 1%}}
"""


@dataclass(frozen=True, slots=True)
class Users:
    """Who asks. ``known``: so many, all of whom have asked before; None: each is new."""

    title: str
    sticky: bool = False
    known: int | None = None

    def message(self, dice: random.Random) -> Callable[[], bytes]:
        most = self.known or 2**60
        first = "POST /predict HTTP/1.1\r\nX-User-Id:"
        rest = "Host: models.example\r\nContent-Length: 2\r\n\r\n{}"
        return lambda: f"{first} {dice.randrange(most)}\r\n{rest}".encode()


USERS: Final = {
    "drawn": Users("every request drawn"),
    "new": Users("sticky, users who come once", sticky=True),
    "known": Users(f"sticky, {KNOWN_USERS} users who come again", sticky=True, known=KNOWN_USERS),
}


@dataclass(frozen=True, slots=True)
class Took:
    """One run; seconds since the first bad answer."""

    filed: float
    served: float
    bad: int  # answers of the candidate, when it was decided
    after: int  # requests to the candidate after the gateway said that it serves the new file
    failed: int  # clients that did not get 200


async def measure(users: Users, fault: Fault, healthy: float, seed: int) -> Took:
    """One run. Raises RuntimeError if the gateway does not start, or nothing is rolled back."""
    dice = random.Random(seed)
    stable, candidate = Version(), Version()
    await stable.open()
    await candidate.open()
    with tempfile.TemporaryDirectory(prefix="canary-rollback-", dir="/tmp") as directory:
        file = Path(directory) / "routing.yaml"
        sticky = "sticky: {header: X-User-Id}\n    " if users.sticky else ""
        urls = {"v1": stable.url, "v2": candidate.url}
        file.write_text(_TEXT.format(sticky=sticky, percent=PERCENT, **urls))
        group = await asyncio.to_thread(_start, file)
        try:
            data, admin = await _ports(group)
            crowd = Crowd(data, PER_SECOND, users.message(dice))
            load = asyncio.create_task(crowd.come())
            await asyncio.sleep(healthy + dice.random())  # at any moment between two looks
            candidate.break_(fault)
            took = await _watch(file, admin, crowd, candidate)
            load.cancel()
            await asyncio.sleep(0.2)
            crowd.leave()
            return took(crowd.failed)
        finally:
            await asyncio.to_thread(group.stop)
            for one in (stable, candidate):
                one.close()


async def _watch(file: Path, admin: int, crowd: Crowd, candidate: Version) -> Callable[[int], Took]:
    """From the fault to some seconds after the end of it; still to be told of failed clients."""
    broken = monotonic()
    while not _says_zero(file):
        await asyncio.sleep(0.002)
        _patient(broken, "no rollback")
    filed = monotonic()
    while (await _status(admin))["generation"] != _generation(file):
        await asyncio.sleep(0.002)
        _patient(broken, "the gateway does not serve the rollback")
    served = monotonic()
    # What was sent before has come in by now, and is read in this turn of the loop or the next.
    await asyncio.sleep(0.01)
    reached, asked = len(candidate.asked), monotonic()
    await asyncio.sleep(AFTERWARDS)
    late = sum(sent > asked for sent, _ in crowd.replaced)
    after = max(len(candidate.asked) - reached, late)
    if candidate.fault is Fault.KILLED:  # nobody there could note the time: the client did
        first = min(answered for _, answered in crowd.replaced)
    else:
        first = candidate.bad[0]
    bad = _bad_when_decided(file)
    return lambda failed: Took(filed - first, served - first, bad, after, failed)


def _says_zero(file: Path) -> bool:
    return "weight: 0}" in file.read_text()


def _generation(file: Path) -> str:
    return generation_of(file.read_bytes())


def _bad_when_decided(file: Path) -> int:
    lines = file.with_name("routing.history.jsonl").read_text().splitlines()
    rows = [found for found in map(json.loads, lines) if found.get("verdict") == "Failed"]
    return int(rows[0]["numbers"]["candidate"]["bad"])


def _start(file: Path) -> Group:
    """``canary serve``, on any ports."""
    free = "127.0.0.1:0"
    ports = ("--listen", free, "--admin", free, "--controller-metrics", free)
    command = (sys.executable, "-P", "-m", "monitoring", "serve", str(file), *ports, "--json")
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    environment = {"PYTHONPATH": str(ROOT)}
    return Group(command, cores=cores, log=file.with_name("log"), environment=environment)


async def _ports(group: Group) -> tuple[int, int]:
    """Where it serves, and its admin port, once it and its controller are at work."""
    began = monotonic()
    while True:
        whole = group.log.read_text().rpartition("\n")[0].splitlines()
        lines = {line["event"]: line for line in map(json.loads, whole)}
        if "serving" in lines and "verdict" in lines:
            where = (lines["serving"][name] for name in ("data", "admin"))
            data, admin = (int(one.rpartition(":")[2]) for one in where)
            return data, admin
        if not group.running:
            raise RuntimeError("\n".join(whole))
        _patient(began, "the gateway does not start")
        await asyncio.sleep(0.05)


async def _status(admin: int) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", admin)
    writer.write(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def _patient(since: float, what: str) -> None:
    if monotonic() - since > HUNG:
        raise RuntimeError(f"{what} within {HUNG:g} s")


async def run(options: argparse.Namespace) -> bool:
    """All cases, some runs at a time. Whether the promise is kept."""
    places = asyncio.Semaphore(options.at_once)
    dice = random.Random(options.seed)

    async def one(users: Users, fault: Fault, seed: int) -> Took:
        async with places:
            return await measure(users, fault, options.healthy, seed)

    kept = True
    print(_heading(options), flush=True)
    for name in options.users or USERS:
        for fault in Fault:
            users = USERS[name]
            seeds = [dice.randrange(2**32) for _ in range(options.runs)]
            runs = await asyncio.gather(*(one(users, fault, seed) for seed in seeds))
            print(_row(users, fault, runs), flush=True)
            clean = not any(each.after or each.failed for each in runs)
            kept &= clean and median(each.served for each in runs) <= MUST
    print(f"\nmedian at most {MUST:g} s, no request after the acknowledgement, no failed client: ")
    print("kept" if kept else "**not kept**")
    return kept


def _heading(options: argparse.Namespace) -> str:
    now, load = datetime.now(UTC), os.getloadavg()[0]
    return "\n".join(
        (
            f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Linux {platform.release()}, Python "
            f"{platform.python_version()}, canary-gateway {version('canary-gateway')}; "
            f"{options.runs} runs each, {options.at_once} at a time; load average {load:.1f}; "
            f"{PER_SECOND} requests/s, {PERCENT} % the candidate's, broken after "
            f"{options.healthy:g} healthy seconds; seconds since its first bad answer, "
            "median / 95 % / longest",
            "",
            head(
                (
                    *("the candidate", "clients", "routing.yaml says 0", "served"),
                    *("bad answers", "requests after that", "failed clients"),
                ),
                2,
            ),
        )
    )


def _row(users: Users, fault: Fault, runs: Sequence[Took]) -> str:
    bad = [float(each.bad) for each in runs]
    return row(
        (
            str(fault),
            users.title,
            " / ".join(f"{one:.2f}" for one in _spread([each.filed for each in runs])),
            " / ".join(f"{one:.2f}" for one in _spread([each.served for each in runs])),
            " / ".join(f"{one:.0f}" for one in _spread(bad)),
            str(sum(each.after for each in runs)),
            str(sum(each.failed for each in runs)),
        )
    )


def _spread(numbers: Sequence[float]) -> Iterator[float]:
    yield median(numbers)
    yield quantiles(numbers, n=20, method="inclusive")[-1] if len(numbers) > 1 else numbers[0]
    yield max(numbers)


def main(words: Sequence[str]) -> int:
    """Exit code 0 if the promise is kept, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each case")
    parser.add_argument("--healthy", type=float, default=15.0, help="seconds before it breaks")
    parser.add_argument("--at-once", type=int, default=5, help="runs at the same time")
    parser.add_argument("--users", action="append", default=[], choices=list(USERS))
    parser.add_argument("--seed", type=int, default=1, help="of users, and of when it breaks")
    return 0 if uvloop.run(run(parser.parse_args(words))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
