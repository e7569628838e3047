"""The way from the admin port to the console: bytes, ends, bounds. The console here is a plain
listener that does what a test tells it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.admin import port as admin_port
from gateway.admin import relay
from gateway.admin.app import own_segments
from gateway.admin.guard import guarded
from gateway.admin.hidden_socket import private_socket
from gateway.admin.port import admin_server
from gateway.admin.relay import Relays
from gateway.security.credential import Token
from gateway.security.tls import TlsConnection, server_context
from tests import certificates
from tests.sockets.peers import PATIENCE, Client, Ended, Wire, eventually

HOME = b"GET /routes/iris?a=%2f HTTP/1.1\r\nHost: localhost\r\nX-Odd:  two  \r\n\r\n"
OURS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
SECRET = "secret-of-the-admin-port-0123456789"


class Port:
    """An admin port in a thread of its own, which relays to the socket at ``path``."""

    def __init__(self, path: Path, token: Token | None, context: ssl.SSLContext | None) -> None:
        self.relays = Relays(path)
        self.problems: list[dict[str, Any]] = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.address = self._sock.getsockname()
        routes = [Route("/metrics", self._metrics), Route("/-/reload", self._metrics)]
        application = guarded(routes, token)
        own = own_segments(application)

        def wrapped(connection: admin_port.AdminConnection) -> asyncio.Protocol:
            plain = self.relays.between(own, connection)
            return plain if context is None else TlsConnection(plain, context, lambda _: None)

        self.server = admin_server(application, wrapped)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        eventually(lambda: self.server.started)

    def _run(self) -> None:
        async def serve() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, told: self.problems.append(told))
            await self.server.serve(sockets=[self._sock])
            self.relays.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self.loop = runner.get_loop()
            runner.run(serve())

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse("metrics")

    def end_relays(self) -> None:
        self.loop.call_soon_threadsafe(self.relays.close)

    def close(self) -> None:
        self.end_relays()
        self.server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self.problems == []
        assert len(self.relays) == 0
        assert not self.server.server_state.connections


class Console:
    """Who listens at the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(str(path))
        self.listener.listen(512)

    def accept(self) -> Wire:
        return Wire(self.listener.accept()[0])

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def console(stack: ExitStack, tmp_path: Path) -> Console:
    return stack.enter_context(closing(Console(tmp_path / "console")))


@pytest.fixture
def listens(stack: ExitStack, tmp_path: Path) -> Callable[..., Port]:
    def started(token: Token | None = None, context: ssl.SSLContext | None = None) -> Port:
        return stack.enter_context(closing(Port(tmp_path / "console", token, context)))

    return started


@pytest.fixture
def port(listens: Callable[..., Port]) -> Port:
    return listens()


def connect(stack: ExitStack, port: Port, **more: Any) -> Client:
    return stack.enter_context(Client(port.address, **more))


def accept(stack: ExitStack, console: Console) -> Wire:
    return stack.enter_context(closing(console.accept()))


@pytest.fixture(params=["plain", "tls"])
def pair(
    request: pytest.FixtureRequest, listens: Any, console: Console, stack: ExitStack
) -> tuple[Port, Callable[[], Client]]:
    """A port, and who connects to it."""
    if request.param == "plain":
        port = listens()
        return port, lambda: connect(stack, port)
    secured = listens(context=server_context(certificates.pem_of(certificates.issued())))
    trusting = certificates.trusting()
    return secured, lambda: connect(stack, secured, context=trusting)


# --- bytes


def test_bytes_are_the_same_on_both_sides(pair: Any, console: Console, stack: ExitStack) -> None:
    _, connects = pair
    body = os.urandom(50_000)
    head = b"POST /routes/iris HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nX-Odd:   value\t\r\nConnection: close\r\n\r\n" + os.urandom(
        3_000_000
    )
    client = connects()
    for at in range(0, len(head), 7):
        client.send(head[at : at + 7])
    client.send(body[:20_000])
    far = accept(stack, console)
    client.send(body[20_000:])

    assert far.read(len(head) + len(body)) == head + body
    sending = threading.Thread(target=lambda: (far.send(answer), far.close()))
    sending.start()
    assert client.rest() == answer
    sending.join()


def test_a_slow_reader_holds_the_console_up_and_nothing_fills(
    pair: Any, console: Console, stack: ExitStack
) -> None:
    _, connects = pair
    client = connects()
    client.send(HOME)
    far = accept(stack, console)
    far.read(len(HOME))
    far.sock.settimeout(0)
    sent = 0

    def full() -> bool:
        nonlocal sent
        with suppress(BlockingIOError):
            while True:
                sent += far.sock.send(bytes(65536))
        return kept.count(sent) > 50 or bool(kept.append(sent))

    kept: list[int] = []
    eventually(full)

    assert sent < 16 * 1024 * 1024  # what kernels hold, not what was on offer
    far.sock.settimeout(PATIENCE)
    reading = threading.Thread(target=lambda: client.read(sent + 1))
    reading.start()
    far.send(b"!")
    reading.join(PATIENCE)
    assert not reading.is_alive()


# --- ends


def test_the_console_sees_that_a_client_has_left(
    pair: Any, console: Console, stack: ExitStack
) -> None:
    port, connects = pair
    client = connects()
    client.send(HOME)
    far = accept(stack, console)
    far.read(len(HOME))

    client.close()

    assert far.ended()
    far.close()
    eventually(lambda: len(port.relays) == 0)


def test_an_answer_that_breaks_off_breaks_off_for_the_client(
    pair: Any, console: Console, stack: ExitStack
) -> None:
    _, connects = pair
    client = connects()
    client.send(HOME)
    far = accept(stack, console)
    far.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    far.close()  # with the request unread: a reset, as when it is killed

    with pytest.raises(Ended):
        client.answer("GET")


def test_who_has_said_everything_still_gets_an_answer(
    port: Port, console: Console, stack: ExitStack
) -> None:
    client = connect(stack, port)
    client.send(HOME)
    far = accept(stack, console)
    far.read(len(HOME))

    client.sock.shutdown(socket.SHUT_WR)

    assert far.ended()  # that is passed on, too
    far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.answer("GET").body == b"ok"


def test_where_nothing_moves_the_connection_ends(
    port: Port, console: Console, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDLE_LIMIT", 0.05)
    monkeypatch.setattr(relay, "_LOOK_EVERY", 0.01)
    client = connect(stack, port)
    client.send(HOME)
    far = accept(stack, console)
    far.read(len(HOME))

    assert client.ended()
    assert far.ended()


def test_the_end_of_the_gateway_is_the_end_of_every_stream(
    port: Port, console: Console, stack: ExitStack
) -> None:
    client = connect(stack, port)
    client.send(HOME)
    far = accept(stack, console)
    far.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.until(b"\r\n\r\n")

    port.end_relays()

    assert client.ended()
    assert far.rest() == HOME


# --- whose


def test_the_console_is_never_given_a_second_request(
    pair: Any, console: Console, stack: ExitStack
) -> None:
    _, connects = pair
    client = connects()
    client.send(HOME + HOME)  # in one piece
    far = accept(stack, console)
    far.read(len(HOME))
    client.send(HOME)
    client.send(OURS)
    far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert client.answer("GET").body == b"ok"
    far.sock.shutdown(socket.SHUT_WR)
    assert client.ended()  # and nobody answers the others
    assert far.ended()


def test_who_goes_on_sending_after_the_request_is_cut_off(
    port: Port, console: Console, stack: ExitStack
) -> None:
    client = connect(stack, port)
    client.send(HOME)
    far = accept(stack, console)
    far.read(len(HOME))

    with suppress(OSError):
        client.send(bytes(200_000))

    assert far.ended()


def test_a_kept_connection_of_the_gateway_may_ask_for_the_console(
    pair: Any, console: Console, stack: ExitStack
) -> None:
    _, connects = pair
    client = connects()
    for _ in range(2):  # as a browser that followed a link
        client.send(OURS)
        assert client.answer("GET").body == b"metrics"
    client.send(HOME)
    far = accept(stack, console)

    assert far.read(len(HOME)) == HOME


def test_what_is_not_surely_the_consoles_is_refused_by_the_gateway(
    listens: Callable[..., Port], console: Console, stack: ExitStack
) -> None:
    port = listens(Token(SECRET))
    asked = {
        b"GET /metrics": 401,
        b"GET /routes/../metrics": 401,
        b"GET /routes%2f..%2fmetrics": 401,
        b"GET //metrics": 401,
        b"GET http://localhost/routes/iris": 401,
        b"DELETE /routes/iris": 401,
        b"GET /-/anything": 401,
        b"GET /routes/\xe9": 400,
    }

    for line, status in asked.items():
        with Client(port.address) as client:
            client.send(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.answer("GET").status == status, line
    with Client(port.address) as client:  # behind one of its own in the same piece
        client.send(OURS + HOME)
        assert [client.answer("GET").status for _ in range(2)] == [401, 401]
    console.listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        console.accept()


# --- bounds


def test_without_a_console_there_is_a_page_that_says_so(
    pair: Any, console: Console, tmp_path: Path
) -> None:
    _, connects = pair
    console.close()  # its file is still there: it was killed

    for _ in range(2):
        answer = connects().ask("GET", "/")
        assert (answer.status, answer["Retry-After"], answer["Connection"]) == (503, "2", "close")
        assert answer.body == b"the console is not running; try again\n"
        assert answer["Refresh"] == "2"
        (tmp_path / "console").unlink(missing_ok=True)  # or it has not begun
    assert "Refresh" not in connects().ask("POST", "/", body=b"a=b")  # it would be another request


def test_300_connections_are_more_than_there_may_be(
    port: Port, console: Console, stack: ExitStack
) -> None:
    clients, fars = [], []
    for _ in range(relay.MOST_RELAYED):
        clients.append(connect(stack, port))
        clients[-1].send(HOME)
        fars.append(accept(stack, console))
    for _ in range(300 - relay.MOST_RELAYED):
        answer = connect(stack, port).ask("GET", "/")
        assert answer.status == 503
        assert b"as many connections" in answer.body
    with Client(port.address) as client:
        client.send(OURS)
        assert client.answer("GET").body == b"metrics"  # the gateway's own are apart

    for number, far in enumerate(fars):
        assert far.read(len(HOME)) == HOME
        far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d" % number)
        far.close()
    assert sorted(client.answer("GET").body for client in clients) == [
        b"%03d" % number for number in range(relay.MOST_RELAYED)
    ]
    eventually(lambda: len(port.relays) == 0)


def test_half_a_head_has_the_deadline_of_the_admin_port(
    port: Port, console: Console, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_port, "REQUEST_LIMIT", 0.1)
    client = connect(stack, port)
    client.send(HOME[:-2])

    assert client.ended()


def test_an_answer_has_no_deadline(
    port: Port, console: Console, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_port, "REQUEST_LIMIT", 0.05)
    monkeypatch.setattr(admin_port, "ANSWER_LIMIT", 0.05)
    client = connect(stack, port)
    client.send(HOME)
    far = accept(stack, console)
    with Client(port.address) as other:
        assert other.ended()  # whose deadlines were the same, and later

    far.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert client.answer("GET").body == b"ok"


def test_the_path_of_the_socket_fits_and_is_for_us_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with private_socket() as path:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()
    assert list(long.iterdir()) == []
