"""Both ends of the wire for tests over sockets: a gateway in a thread, workers that do as they are
told (or as no worker should), and a client that sends and reads plain bytes.

Nothing here waits for a time to pass: everything waits for a condition, up to ``PATIENCE`` seconds,
which is only a guard against hanging.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import uvloop

from gateway.counting.ledger import Totals
from gateway.counting.report import key_of
from gateway.counting.totals import VersionTotals, versions_of
from gateway.model import RoutingConfig
from gateway.processes.plane import Solo
from gateway.routing.table import compile_table
from gateway.traces.tracer import Tracer
from gateway.workers.pool import Dial, dial
from gateway.writing.records import Records

PATIENCE: Final = 20.0

T = TypeVar("T")
Fields = Sequence[tuple[str, str]]


def eventually(condition: Callable[[], T], within: float = PATIENCE) -> T:
    """The first true value of ``condition``."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {within} s: {condition}")
        time.sleep(0.002)


# --- messages


@dataclass(frozen=True)
class Message:
    """A request or an answer as it stood on the wire."""

    start: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    pieces: tuple[bytes, ...] = ()  # the chunks of a chunked body

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def method(self) -> str:
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        """The one value of a field; KeyError if it stands there never or twice."""
        values = self.all(name)
        if len(values) != 1:
            raise KeyError(f"{name} stands there {len(values)} times: {self.fields}")
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    @property
    def names(self) -> set[str]:
        return {key.lower() for key, _ in self.fields}

    def json(self) -> Any:
        return json.loads(self.body)


class Ended(Exception):
    """The other side closed (or reset) in the middle of, or instead of, a message."""


class Wire:
    """One connection: reads whole messages strictly, byte for byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def until(self, mark: bytes) -> bytes:
        """Up to and including ``mark``."""
        start = 0
        while (at := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark))
            self._fill()
        return self.read(at + len(mark))

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with suppress(Ended):
            while True:
                self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def ended(self) -> bool:
        """Whether the other side ends the connection, and nothing comes before that."""
        if self._buffer:
            return False
        try:
            self._fill()
        except Ended:
            return True
        return False

    def head(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The first line and the fields of a message."""
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        pairs = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon, f"not a field: {line!r}"
            assert name == name.strip(), f"not a field name: {line!r}"
            pairs.append((name, value.strip(" \t")))
        return lines[0], tuple(pairs)

    def message(self, bodiless: Callable[[str], bool] | None = None) -> Message:
        """A whole message with one unambiguous framing."""
        start, pairs = self.head()
        named = {name.lower() for name, _ in pairs}
        lengths = [value for name, value in pairs if name.lower() == "content-length"]
        assert len(lengths) <= 1, pairs
        assert not {"content-length", "transfer-encoding"} <= named, pairs
        if bodiless is not None and bodiless(start):
            return Message(start, pairs, b"")
        if "transfer-encoding" in named:
            pieces = tuple(iter(self.chunk, b""))
            return Message(start, pairs, b"".join(pieces), pieces)
        if lengths:
            return Message(start, pairs, self.read(int(lengths[0])))
        if start.startswith("HTTP/"):
            return Message(start, pairs, self.rest())
        return Message(start, pairs, b"")

    def chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end."""
        size = int(self.until(b"\r\n"), 16)
        data = self.read(size)
        assert self.read(2) == b"\r\n"
        return data

    def close(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.sock.settimeout(0)
                self.sock.unwrap()  # says farewell, and does not wait for the answer
        self.sock.close()

    def reset(self) -> None:
        """End with an RST: what was not read is lost, and the other side is told so."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _fill(self) -> None:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError as error:
            raise Ended from error
        if not data:
            raise Ended
        self._buffer += data


# --- clients


def request(
    method: str = "POST",
    target: str = "/predict",
    body: bytes | None = b"{}",
    fields: Fields = (),
    version: str = "1.1",
) -> bytes:
    """The bytes of an ordinary request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: models.example"]
    lines += [f"{name}: {value}" for name, value in fields]
    named = {name.lower() for name, _ in fields}
    if body is not None and not {"content-length", "transfer-encoding"} & named:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + (body or b"")


def chunked(*pieces: bytes) -> bytes:
    """A whole chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class Client(Wire):
    """A client of the gateway on one connection."""

    def __init__(
        self,
        address: tuple[str, int],
        receive_buffer: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=address[0])
        super().__init__(sock)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, method: str = "POST") -> Message:
        """The next whole answer."""

        def bodiless(start: str) -> bool:
            return method == "HEAD" or start.split(" ")[1] in ("204", "304")

        return self.message(bodiless)

    def ask(self, method: str = "POST", target: str = "/predict", **more: Any) -> Message:
        self.send(request(method, target, **more))
        return self.answer(method)


# --- workers


@dataclass
class Talk:
    """One request at a worker, and the connection to answer on."""

    request: Message
    wire: Wire
    number: int  # of the connection, from 0
    worker: Worker

    def reply(
        self, status: int = 200, body: bytes = b"ok", fields: Fields = (), reason: str = "Said"
    ) -> None:
        """A wellformed answer with its length."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
        lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        self.wire.send(head + (b"" if self.request.method == "HEAD" else body))

    def send(self, data: bytes) -> None:
        self.wire.send(data)


Behaviour = Callable[[Talk], bool | None]
"""What a worker does with a request; False: it has ended the connection."""


def echo(talk: Talk) -> None:
    """Answer with what was received, as JSON."""
    request = talk.request
    told = {
        "worker": talk.worker.name,
        "method": request.method,
        "target": request.target,
        "fields": request.fields,
        "body": request.body.decode("latin-1"),
        "connection": talk.number,
    }
    talk.reply(200, json.dumps(told).encode(), [("Content-Type", "application/json")])


def answering(status: int = 200, body: bytes = b"ok", fields: Fields = ()) -> Behaviour:
    """Always the same answer."""
    return lambda talk: talk.reply(status, body, fields)


def saying(data: bytes, then: str = "stay") -> Behaviour:
    """These bytes, then ``stay``, ``close`` or ``reset``."""

    def behave(talk: Talk) -> bool:
        talk.send(data)
        if then == "close":
            talk.wire.close()
        elif then == "reset":
            talk.wire.reset()
        return then == "stay"

    return behave


def hanging(talk: Talk) -> bool:
    """Never a word, until the gateway ends the connection."""
    talk.worker.abandoned += talk.wire.ended()
    return False


def closing(talk: Talk) -> bool:
    talk.wire.close()
    return False


def resetting(talk: Talk) -> bool:
    talk.wire.reset()
    return False


def trickling(data: bytes, every: float = 0.02) -> Behaviour:
    """One byte after the other, for as long as anybody listens."""

    def behave(talk: Talk) -> bool:
        for i in range(len(data)):
            try:
                talk.send(data[i : i + 1])
            except OSError:
                talk.worker.abandoned += 1
                return False
            talk.worker.ending.wait(every)
        return True

    return behave


class Worker:
    """A worker on a free loopback port (or a Unix socket), one thread per connection.

    ``behaviour`` may be changed at any time; ``first`` are behaviours for the first requests, in
    order. ``requests`` are all that arrived whole, ``connections`` how many were accepted.
    """

    def __init__(
        self,
        behaviour: Behaviour = echo,
        *,
        name: str = "worker",
        path: str | None = None,
        first: Sequence[Behaviour] = (),
        reset_on_accept: bool = False,
        reads_bodies: bool = True,
        receive_buffer: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._context = context
        self.behaviour = behaviour
        self.first = list(first)
        self.requests: list[Message] = []
        self.connections = 0
        self.abandoned = 0  # requests whose connection the gateway ended
        self.ending = threading.Event()
        self._reset_on_accept = reset_on_accept
        self._reads_bodies = reads_bodies
        self._wires: dict[int, Wire] = {}
        self._lock = threading.Lock()
        self._sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if receive_buffer is not None:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._sock.bind(path or ("127.0.0.1", 0))
        self._sock.listen(256)
        scheme = "https" if context else "http"
        self.url = f"unix:{path}" if path else f"{scheme}://127.0.0.1:{self._sock.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._wires)

    def drop_idle(self) -> None:
        """Close all connections, as a worker does with idle ones."""

        def dropped() -> bool:
            for wire in list(self._wires.values()):
                with suppress(OSError):
                    wire.sock.shutdown(socket.SHUT_RDWR)
            return not self._wires

        eventually(dropped)

    def close(self) -> None:
        self.ending.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for wire in list(self._wires.values()):
            with suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            wire = Wire(sock)
            number = self.connections
            self.connections += 1
            if self._reset_on_accept:
                wire.reset()
                continue
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._wires[number] = wire
            thread = threading.Thread(target=self._serve, args=(wire, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, wire: Wire, number: int) -> None:
        try:
            if self._context is not None:
                wire.sock = self._context.wrap_socket(wire.sock, server_side=True)
            while True:
                request = wire.message() if self._reads_bodies else Message(*wire.head(), b"")
                with self._lock:
                    self.requests.append(request)
                    behaviour = self.first.pop(0) if self.first else self.behaviour
                if behaviour(Talk(request, wire, number, self)) is False:
                    return
        except (Ended, OSError):
            pass
        finally:
            wire.close()
            self._wires.pop(number, None)


def refusing() -> socket.socket:
    """A bound port nobody listens on, for as long as it is kept."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def url_of(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


# --- the gateway


@dataclass
class Clock:
    """The time, and more where a test says so."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.perf_counter() + self.ahead


@dataclass
class Gateway:
    """A gateway in a thread of its own, on a loop of its own.

    ``problems`` are the exceptions its loop was told of; there should never be any.
    """

    config: RoutingConfig
    dial: Dial = dial
    draw: Callable[[], float] | None = None
    clock: Clock = field(default_factory=Clock)
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    tracer: Tracer | None = None
    records: Records | None = None
    pem: bytes = b""  # the key and the certificate it shows; without, it speaks no TLS
    trust: ssl.SSLContext | None = None  # what its clients need to verify it
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, told: self.problems.append(repr(told)))
        self._stop = asyncio.Event()
        draw = {} if self.draw is None else {"draw": self.draw}
        more = {"dial": self.dial, "clock": self.clock, "tracer": self.tracer}
        more["records"] = self.records
        self.plane = Solo(self.config, **more, **draw)
        self.live, self.listener = self.plane.live, self.plane.listener
        if self.pem:
            self.plane.certify(self.pem)
        self.address = await self.listener.start("127.0.0.1", 0)
        self._ready.set()
        await self._stop.wait()
        await self.listener.drain(0)
        for pool in self.live.serving.pools:
            pool.close()
        if self.records is not None:
            await self.records.close()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in the gateway's loop."""

        async def called() -> T:
            return function()

        return self.wait(called())

    def wait(self, work: Awaitable[T]) -> T:
        """Run a coroutine in the gateway's loop."""

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(PATIENCE)

    def client(self, **more: Any) -> Client:
        return Client(self.address, context=self.trust, **more)

    def ask(self, method: str = "POST", target: str = "/predict", **more: Any) -> Message:
        """One request on a connection of its own."""
        with self.client() as client:
            return client.ask(method, target, **more)

    def swap(self, config: RoutingConfig) -> None:
        """Put another file in force."""
        self.run(lambda: self.plane.put(compile_table(config)))

    def skip(self, seconds: float) -> None:
        """Let this much time pass at once."""
        self.clock.ahead += seconds

    def sweep(self) -> None:
        """Look at every connection now, as the listener does ten times a second."""
        self.run(lambda: self.listener._look(self.clock()))

    def settle(self) -> None:
        """Let the loop finish what it is at: an answer is counted just after it was written."""
        self.run(lambda: None)

    def counts(self, version: str) -> VersionTotals:
        """What was counted of a version in its present role since the start."""
        return self.run(lambda: self._of(version, self.plane.archive.total()))

    def _of(self, version: str, totals: Totals, generation: int = -1) -> VersionTotals:
        archive = self.plane.archive
        for place in archive.epochs[generation].table.places:
            if place.version == version:
                return versions_of(totals, archive.vocabulary)[key_of(place)]
        raise KeyError(version)

    def refusals(self) -> int:
        """Requests refused before any version was asked."""
        counts = self.run(self.plane.archive.total).counts
        return sum(row[0] for name, row in counts.items() if name[0] == "refused")

    def answers(self, version: str) -> dict[str, int]:
        """How many answers of a version there were, as ``"weighted 200"``."""
        counted = self.counts(version).answered
        return {f"{way} {code}": number for (way, code), number in counted.items() if number}

    def errors(self, version: str) -> dict[str, int]:
        return {str(name): n for name, n in self.counts(version).errors.items() if n}

    def retries(self, version: str) -> dict[str, int]:
        return {str(name): n for name, n in self.counts(version).retries.items() if n}

    def evidence(self, version: str, generation: int = -1) -> VersionTotals:
        """What was counted under one generation, the present one by default."""

        def look() -> VersionTotals:
            epoch = self.plane.archive.epochs[generation]
            return self._of(version, self.plane.archive.under(epoch), generation)

        return self.run(look)

    @property
    def connections(self) -> int:
        """Open client connections."""
        return self.listener.connections

    def reading(self) -> bool:
        """Whether a request is here in part."""

        def look() -> bool:
            connections = tuple(self.listener._connections)
            return any(connection._reader.in_message for connection in connections)

        return self.run(look)

    @property
    def in_flight(self) -> int:
        return sum(pool.in_flight for pool in self.live.serving.pools)
