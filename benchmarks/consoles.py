"""``python -m benchmarks.consoles``: what open consoles cost the requests beside them.

A gateway with its console as ``canary serve`` starts them, under a load that waits for nobody;
rounds without and with so many open pages of a route take turns. The CPU time is the gateway's, all
its processes together, without the console's, which is told apart. Nobody has a core of their own.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cases import Case, Target
from benchmarks.group import process_clock
from benchmarks.load import Result
from benchmarks.python_peers import GATEWAY
from benchmarks.site import Command, Shape, Site
from benchmarks.stage import Running, Stage
from benchmarks.table import head, row

RATE: Final = 2000  # requests/s
_HUNG: Final = 30.0  # seconds
_PAGE: Final = b"GET /live/routes/model-0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_COLUMNS: Final = (
    *("target", "CPU us, none open", "with pages open", "difference, each round", "p50 us"),
    *("with", "p99 us", "with", "console, CPU", "console, MB", "B/s a page"),
)


class Crowd:
    """So many who look at a page, in a thread of their own."""

    def __init__(self, port: int, number: int) -> None:
        self.received = 0
        self._seen: set[int] = set()
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        for _ in range(number):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(_PAGE)
            self._selector.register(sock, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _HUNG
        while len(self._seen) < number:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"{len(self._seen)} of {number} pages could be opened")
            time.sleep(0.05)

    def _read(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(1 << 16)
                if not data or (key.fd not in self._seen and b" 200 " not in data[:20]):
                    return
                self._seen.add(key.fd)
                self.received += len(data)

    def close(self) -> None:
        """Raises RuntimeError if one of them had been sent away."""
        stayed = self._thread.is_alive()
        self._over.set()
        self._thread.join()
        for key in tuple(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        if not stayed:
            raise RuntimeError("a page was ended during the measurement")


@dataclass(slots=True)
class Seen:
    """Of the rounds of one kind."""

    cpu: list[float] = field(default_factory=list)  # of the gateway, microseconds per request
    console: list[float] = field(default_factory=list)  # its CPU time in seconds per second
    results: list[Result] = field(default_factory=list)
    traffic: list[float] = field(default_factory=list)  # bytes/s of each page


def _clocks(running: Running) -> tuple[float, float]:
    """Microseconds of the gateway's processes so far, and of the console's."""
    assert running.group is not None
    gateway = console = 0.0
    for pid in running.group.usage().processes:
        used = time.clock_gettime_ns(process_clock(pid)) / 1000
        if b"monitoring.console" in _first_words(pid):
            console += used
        else:
            gateway += used
    return gateway, console


def _first_words(pid: int) -> bytes:
    """The program and its first arguments: the gateway's hold the console's command further on."""
    return b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:4])


def _pss_of_console(running: Running) -> float:
    assert running.group is not None
    for pid in running.group.usage().processes:
        if b"monitoring.console" in _first_words(pid):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    return 0.0


def _measure(running: Running, seen: Seen, port: int, pages: int, seconds: float) -> None:
    crowd = Crowd(port, pages) if pages else None
    try:
        time.sleep(2.0)  # the first piece of a page is the largest
        before, began = _clocks(running), time.monotonic()
        received = crowd.received if crowd else 0
        result = running.load.run(running.port, seconds)
        after, took = _clocks(running), time.monotonic() - began
        seen.results.append(result)
        seen.cpu.append((after[0] - before[0]) / max(1, result.requests))
        seen.console.append((after[1] - before[1]) / 1e6 / took)
        if crowd:
            seen.traffic.append((crowd.received - received) / took / pages)
    finally:
        if crowd:
            crowd.close()


def _with_console(sites: list[Site]) -> Target:
    """The gateway as it is started by default, but for the controller."""

    def command(site: Site) -> Command:
        sites.append(site)
        plain = GATEWAY.command(site)
        words = tuple(word for word in plain.words if word != "--no-console")
        return replace(plain, words=words)

    return Target(replace(GATEWAY, command=command))


def run(processes: int, pages: int, rounds: int, seconds: float) -> str:
    """One row of the table."""
    sites: list[Site] = []
    target = replace(_with_console(sites), shape=Shape(processes=processes))
    case = Case("consoles", "", (target,), connections=64, rate=RATE, both_cores=True)
    without, looked_at = Seen(), Seen()
    with tempfile.TemporaryDirectory(prefix="canary-bench-", dir="/tmp") as place, ExitStack() as s:
        stage = Stage(case, Path(place), s)
        (running,) = stage.running
        stage.warm_up(running)
        (site,) = sites
        for number in range(rounds):
            turns = [(without, 0), (looked_at, pages)]
            for seen, open_pages in turns if number % 2 else reversed(turns):
                _measure(running, seen, site.admin_port, open_pages, seconds)
            print(f"  {target.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        memory = _pss_of_console(running)
    return row((target.name, *_cells(without, looked_at), f"{memory:.0f}", _traffic(looked_at)))


def _cells(without: Seen, looked_at: Seen) -> tuple[str, ...]:
    differences = [b - a for a, b in zip(without.cpu, looked_at.cpu, strict=True)]
    latencies = [
        f"{median(getattr(result, name) for result in seen.results):.0f}"
        for name in ("p50", "p99")
        for seen in (without, looked_at)
    ]
    return (
        f"{median(without.cpu):.1f}",
        f"{median(looked_at.cpu):.1f}",
        f"{median(differences):+.1f} ({min(differences):+.1f} to {max(differences):+.1f})",
        *latencies,
        f"{median(without.console):.1%}, {median(looked_at.console):.1%}",
    )


def _traffic(seen: Seen) -> str:
    return f"{median(seen.traffic):,.0f}"


def main(words: Sequence[str]) -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consoles", description=__doc__)
    parser.add_argument("--pages", type=int, default=100, help="open at the same time")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load per measurement")
    options = parser.parse_args(words)
    print(f"{options.pages} pages, {RATE} requests/s, load average {os.getloadavg()[0]:.1f} before")
    print(head(_COLUMNS, 1))
    for processes in (1, 2):
        print(run(processes, options.pages, options.rounds, options.seconds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
