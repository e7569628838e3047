"""Running a case: start everything, check everything, then rounds in which all take turns."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.bodies import LARGE_REQUEST, SMALL_REQUEST, reply_body, request_body
from benchmarks.cases import Case, Target
from benchmarks.group import Group
from benchmarks.load import Load, Result
from benchmarks.site import Site
from benchmarks.tools import start_worker

TARGET_CORES: Final = "0"
LOAD_CORES: Final = "1"
START_SECONDS: Final = 20.0
WARM_UP_SECONDS: Final = 1.0


@dataclass(slots=True)
class Measured:
    """What was seen of one target: one entry per round, except the memory (at the end)."""

    target: Target
    cpu: list[float] = field(default_factory=list)  # microseconds per request
    results: list[Result] = field(default_factory=list)
    pss: float = 0.0  # MB


@dataclass(frozen=True, slots=True)
class _Running:
    group: Group | None  # None: the worker itself
    port: int
    load: Load
    measured: Measured


def run_case(
    case: Case, directory: Path, rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Measured]:
    """All targets of a case, measured. Everything that was started is stopped again."""
    with ExitStack() as stack:
        running = _start(case, directory, stack)
        for each in running:
            each.load.run(each.port, WARM_UP_SECONDS)
        for number in range(rounds):
            for each in running:
                _measure(each, seconds)
            say(f"  {case.name}: round {number + 1} of {rounds}")
        for each in running:
            each.measured.pss = each.group.pss_megabytes() if each.group else 0.0
    return [each.measured for each in running]


def _measure(each: _Running, seconds: float) -> None:
    before = each.group.cpu_microseconds() if each.group else 0.0
    result = each.load.run(each.port, seconds)
    after = each.group.cpu_microseconds() if each.group else 0.0
    each.measured.results.append(result)
    each.measured.cpu.append((after - before) / max(1, result.requests))


def _start(case: Case, directory: Path, stack: ExitStack) -> list[_Running]:
    """The worker and all targets, each checked to give the worker's own answer."""
    versions = max(target.shape.versions for target in case.targets)
    ports = tuple(str(port) for port in _free_ports(versions))
    paths = tuple(str(directory / f"{case.name}{i}.sock") for i in range(versions))
    reply = reply_body(case.large)
    body = request_body(LARGE_REQUEST if case.large else SMALL_REQUEST)
    worker = start_worker(directory, LOAD_CORES, reply, case.delay_microseconds, (*ports, *paths))
    stack.callback(worker.stop)
    running = []
    for number, target in enumerate(case.targets):
        place = directory / f"{case.name}-{number}"
        place.mkdir()
        shape = target.shape
        port, admin_port = _free_ports(2)
        group = None
        if target.peer is None:
            port = int(ports[0])
        else:
            workers = paths if shape.unix else ports
            site = Site(place, port, admin_port, workers, shape, target.checkout)
            command = target.peer.command(site)
            group = Group(
                command.words,
                cores=TARGET_CORES if shape.processes == 1 else f"{TARGET_CORES},{LOAD_CORES}",
                log=place / "log",
                cwd=target.checkout,
                environment=command.environment,
            )
            stack.callback(group.stop)
        for path in shape.paths:
            _await_answer(target.name, port, path, body, reply, group)
        load = Load(place, LOAD_CORES, body, case.connections, shape.paths, case.rate)
        running.append(_Running(group, port, load, Measured(target)))
    return running


def _await_answer(
    name: str, port: int, path: str, body: bytes, reply: bytes, group: Group | None
) -> None:
    """Wait for an answer and compare it. Raises RuntimeError if it does not come, or is another."""
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{path}"
    deadline = time.monotonic() + START_SECONDS
    seen: object = "nothing"
    while time.monotonic() < deadline and (group is None or group.running):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, body, headers), timeout=5
            ) as answer:
                seen = answer.read()
            if seen == reply:
                return
        except (OSError, urllib.error.URLError) as error:
            seen = error
        time.sleep(0.05)
    log = group.log.read_text(errors="replace")[-2000:] if group else ""
    raise RuntimeError(f"{name} does not give the worker's answer but {seen!r}\n{log}")


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
