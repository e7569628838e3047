"""What clients can make a whole process hold: slow readers, and bodies that never end."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.clients import uploads
from gateway.workers import backlog
from tests.sockets.conftest import Hire, stack
from tests.sockets.conftest import hire as hire
from tests.sockets.peers import Client, Talk, Worker, chunked, request
from tests.system.test_crowds import resident

__all__ = ["stack"]

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 60s
    versions:
      v1: {{url: "{url}"}}
"""
MEBIBYTE = 1024 * 1024
CROWD = 60
ANSWER = bytes(8_000_000)
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
    *[ANSWER[:50_000]] * (len(ANSWER) // 50_000)
)


def large(talk: Talk) -> None:
    """8 MB to ``/large``, with its length or in chunks; a word to everybody else."""
    if talk.request.target == "/large":
        talk.reply(200, ANSWER)
    elif talk.request.target == "/chunked":
        talk.send(IN_CHUNKS)
    else:
        talk.reply(200, b"ok")


@pytest.fixture
def worker(hire: Hire) -> Worker:
    return hire(large)


@pytest.fixture
def served(system: Any, worker: Worker) -> Iterator[Any]:
    """A gateway that has answered, a large answer among others."""
    one = system.gateway(TEXT.format(url=worker.url))
    with client_of(one) as client:
        assert client.ask(target="/large").body == ANSWER
        assert client.ask().status == 200
    yield one
    assert one.process.poll() is None


def client_of(served: Any, **more: Any) -> Client:
    return Client(("127.0.0.1", served.data_port), **more)


def most_resident(pid: int) -> int:
    """The most memory it ever held, or since the last ``clear_refs``."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("target", ["/large", "/chunked"])
def test_a_burst_of_slow_readers_grows_a_process_by_256_mebibytes_at_most(
    target: str, served: Any, worker: Worker, until: Any, stack: ExitStack
) -> None:
    """Between two sweeps, and while answers are put together, too."""
    pid = served.process.pid
    before = resident(pid)
    for _ in range(2):
        crowd = [stack.enter_context(client_of(served, receive_buffer=4096)) for _ in range(CROWD)]
        for client in crowd:
            client.send(request(target=target))
    until(lambda: served.status()["routes"]["iris"]["versions"]["v1"]["in_flight"] == 0, "asked")

    assert most_resident(pid) - before <= 256 * MEBIBYTE
    with client_of(served) as client:
        assert len(client.ask(target=target).body) == len(ANSWER)
    stack.close()
    until(lambda: resident(pid) - before < backlog.LIMIT // 4, "it is given back")


def answered(client: Client) -> bool:
    return bool(select.select([client.sock], [], [], 0)[0])


def test_bodies_that_never_end_hold_no_more_than_their_limit(
    served: Any, until: Any, stack: ExitStack
) -> None:
    """The slowest are told so at once, and who sends as one should is served."""
    pid = served.process.pid
    before = resident(pid)
    size = 1_000_000
    crowd = []
    for _ in range(2 * uploads.LIMIT // size):
        crowd.append(stack.enter_context(client_of(served)))
        with suppress(OSError):
            crowd[-1].send(request(body=bytes(size))[:-1])
    until(lambda: sum(map(answered, crowd)) * size >= uploads.LIMIT, "those without room are told")
    refused = next(client for client in crowd if answered(client)).answer()

    assert refused.status == 503
    assert refused.json()["reason"] == "shed"
    assert (refused["retry-after"], refused["connection"]) == ("1", "close")
    assert most_resident(pid) - before <= uploads.LIMIT * 1.25
    with client_of(served) as client:
        whole = request(body=bytes(size))
        client.send(whole[:-1])
        client.send(whole[-1:])
        assert client.answer().status == 200
    stack.close()
    until(lambda: resident(pid) - before < uploads.LIMIT // 4, "it is given back")
