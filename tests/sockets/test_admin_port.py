"""The admin port against those who take their time, and against too many of them.

The limits are shortened; that they are kept is waited for, and how long that takes is not measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.admin import port as admin_port
from gateway.admin.port import admin_server
from tests.sockets.peers import PATIENCE, Client, Ended, eventually

SMALL = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
HUGE = 64 * 1024 * 1024


class Port:
    """A running admin server in a thread of its own."""

    def __init__(self) -> None:
        self.began = threading.Event()  # somebody waits for an answer
        self.release = threading.Event()
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.address = self._sock.getsockname()
        routes = [
            Route("/small", self._small, methods=["GET", "POST"]),
            Route("/huge", self._huge),
            Route("/wait", self._wait),
        ]
        self.server = admin_server(Starlette(routes=routes))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        eventually(lambda: self.server.started)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.server.serve(sockets=[self._sock]))

    async def _small(self, request: Request) -> Response:
        return PlainTextResponse("small")

    async def _huge(self, request: Request) -> Response:
        return Response(bytes(HUGE))

    async def _wait(self, request: Request) -> Response:
        self.began.set()
        await asyncio.to_thread(self.release.wait, PATIENCE)
        return PlainTextResponse("waited")

    def close(self) -> None:
        self.release.set()
        self.server.should_exit = True
        self._thread.join(PATIENCE)
        self._sock.close()
        assert not self._thread.is_alive()

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def port(stack: ExitStack) -> Port:
    one = Port()
    stack.callback(one.close)
    return one


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_port, "REQUEST_LIMIT", 0.2)
    monkeypatch.setattr(admin_port, "ANSWER_LIMIT", 0.2)


def connect(stack: ExitStack, port: Port, **more: Any) -> Client:
    return stack.enter_context(Client(port.address, **more))


def trickle(client: Client, data: bytes) -> None:
    """One byte after the other until the other side has had enough."""
    pause = threading.Event()
    with suppress(OSError):
        for _ in range(2000):
            client.send(data)
            pause.wait(0.01)
        pytest.fail("it was listened to for ever")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("said", [b"", b"GET /small HTT", SMALL[:-2], SMALL + b"GET"])
def test_who_says_nothing_or_half_a_request_is_ended(
    said: bytes, port: Port, stack: ExitStack
) -> None:
    client = connect(stack, port)
    client.send(said)

    assert client.rest().startswith(b"HTTP/1.1 200 OK") is said.startswith(SMALL)
    eventually(lambda: port.connections == 0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "head",
    [b"GET /small HTTP/1.1\r\nX: ", b"POST /small HTTP/1.1\r\nContent-Length: 60000\r\n\r\n"],
)
def test_who_trickles_a_head_or_a_body_is_ended(head: bytes, port: Port, stack: ExitStack) -> None:
    client = connect(stack, port)
    client.send(head)
    trickle(client, b"x")
    eventually(lambda: port.connections == 0)


@pytest.mark.usefixtures("soon")
def test_who_does_not_take_the_answer_is_ended(port: Port, stack: ExitStack) -> None:
    client = connect(stack, port, receive_buffer=4096)
    client.send(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(lambda: port.connections == 0)

    assert len(client.rest()) < HUGE


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /small HTTP/1.1\r\nX: " + b"x" * 200_000,
        b"GET /" + b"x" * 200_000,
        b"GET /small HTTP/1.1\r\n" + b"X: y\r\n" * 30_000,
        b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000,
    ],
)
def test_a_request_that_none_is_gets_too_large(sent: bytes, port: Port, stack: ExitStack) -> None:
    client = connect(stack, port)
    with suppress(OSError):
        client.send(sent)
    with suppress(Ended):
        answer = client.answer()
        assert answer.status in (200, 400)  # a body may come after its answer
    eventually(lambda: port.connections == 0)


def test_what_is_no_request_is_refused_as_json(port: Port, stack: ExitStack) -> None:
    client = connect(stack, port)
    client.send(b"nonsense\r\n\r\n")
    answer = client.answer()

    assert answer.status == 400
    assert json.loads(answer.body)["reason"] == "bad_request"
    assert client.ended()


def test_a_crowd_of_idle_connections_keeps_nobody_out(
    port: Port, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_port, "MOST_CONNECTIONS", 8)
    served = connect(stack, port)
    served.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert port.began.wait(PATIENCE)
    crowd = [connect(stack, port) for _ in range(40)]
    for _ in range(20):
        with Client(port.address) as client:
            client.send(SMALL)
            assert client.answer().body == b"small"
    eventually(lambda: port.connections <= 8)
    port.release.set()

    assert served.answer().body == b"waited"
    assert crowd[0].ended()


def test_the_newest_goes_where_all_others_are_being_answered(
    port: Port, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_port, "MOST_CONNECTIONS", 2)
    served = [connect(stack, port) for _ in range(2)]
    for one in served:
        port.began.clear()
        one.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert port.began.wait(PATIENCE)
    assert connect(stack, port).ended()
    port.release.set()

    assert [one.answer().body for one in served] == [b"waited", b"waited"]


def test_a_connection_is_used_again_and_requests_may_be_sent_ahead(
    port: Port, stack: ExitStack
) -> None:
    client = connect(stack, port)
    for number in (1, 1, 5):
        client.send(SMALL * number)
        assert [client.answer().body for _ in range(number)] == [b"small"] * number
