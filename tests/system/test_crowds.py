"""Crowds of clients against a whole process: what they cost it, and what is left when descriptors
run out.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.sockets.conftest import Hire, stack
from tests.sockets.conftest import hire as hire
from tests.sockets.peers import Client, Worker, answering

__all__ = ["stack"]

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 60s
    versions:
      v1: {{url: "{url}"}}
"""
CROWD = 500
KIBIBYTE = 1024


def resident(pid: int) -> int:
    """Bytes of memory a process holds (proc(5), /proc/PID/status)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIBIBYTE
    raise AssertionError("no VmRSS")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def worker(hire: Hire) -> Worker:
    return hire(answering())


@pytest.fixture
def served(system: Any, worker: Worker) -> Iterator[Any]:
    """A gateway that has answered and is warm."""
    one = system.gateway(TEXT.format(url=worker.url))
    with client_of(one) as client:
        for _ in range(50):
            assert client.ask().status == 200
    yield one
    assert one.process.poll() is None


def client_of(served: Any) -> Client:
    return Client(("127.0.0.1", served.data_port))


def crowd_of(served: Any, stack: ExitStack, size: int) -> list[Client]:
    return [stack.enter_context(client_of(served)) for _ in range(size)]


def test_an_idle_connection_costs_few_bytes(served: Any, until: Any, stack: ExitStack) -> None:
    """Both kinds: one that has asked already, and one that never did."""
    before, files = resident(served.process.pid), descriptors(served.process.pid)
    crowd = crowd_of(served, stack, CROWD)
    for client in crowd[::2]:
        assert client.ask().status == 200
    # The last client before may not have been gone when they were counted.
    until(lambda: descriptors(served.process.pid) >= files + CROWD - 2, "all are accepted")
    with client_of(served) as client:
        assert client.ask().status == 200

    assert resident(served.process.pid) - before <= CROWD * 24 * KIBIBYTE


def test_a_gateway_out_of_descriptors_serves_on_and_accepts_again(served: Any, until: Any) -> None:
    pid = served.process.pid
    allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 20, allowed[1]))
    with ExitStack() as stack:
        known = stack.enter_context(client_of(served))
        assert known.ask().status == 200
        crowd = []
        for _ in range(100):
            with suppress(OSError):
                crowd.append(stack.enter_context(client_of(served)))
        assert known.ask().status == 200

    def again() -> bool:
        """While the crowd leaves, one more may still be one too many."""
        with suppress(Exception), client_of(served) as client:
            return bool(client.ask().status == 200)
        return False

    until(again, "clients are accepted again")
    until(lambda: descriptors(pid) <= resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] - 10, "left")
    with client_of(served) as client:
        assert [client.ask().status for _ in range(20)] == [200] * 20


def test_serve_allows_itself_as_many_descriptors_as_it_may(system: Any, worker: Worker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        served = system.gateway(TEXT.format(url=worker.url))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (line,) = [
        line
        for path in system.folder.glob("*.log")
        for line in path.read_text().splitlines()
        if '"serving"' in line
    ]

    assert resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    assert json.loads(line)["descriptors"] == hard
