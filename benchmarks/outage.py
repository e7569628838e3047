"""Two versions of a model that can be broken at a chosen moment, and clients who come at a fixed
rate whatever the answers do. Workers, clients and whoever measures share one loop and one clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Any, Final

WORK_SECONDS: Final = 0.005  # what a healthy answer takes
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_BY_STABLE_INSTEAD: Final = re.compile(rb"\r\nx-assignment: *fallback\r\n", re.IGNORECASE)


class Fault(StrEnum):
    """What becomes of the candidate."""

    KILLED = "killed: refuses connections"
    FAILS = "fails everything with 500"
    HANGS = "hangs"


def take(data: bytearray) -> bytes | None:
    """The head of the first message, which is taken away with its body; None if it is not whole."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    head = bytes(data[:end])
    length = _LENGTH.search(head)
    size = end + (int(length[1]) if length else 0)
    if len(data) < size:
        return None
    del data[:size]
    return head


class Version:
    """A worker on a port of its own. ``asked`` and ``bad`` are when requests came, all of them and
    those that got no good answer.
    """

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.bad: list[float] = []
        self.fault: Fault | None = None
        self.url = ""
        self.connections: set[_Served] = set()

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Served(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """As the kernel does it for who was killed: nobody listens, and all connections end."""
        self._server.close()
        for connection in tuple(self.connections):
            connection.transport.abort()

    def break_(self, fault: Fault) -> None:
        """From now on."""
        self.fault = fault
        if fault is Fault.KILLED:
            self.close()


class _Served(asyncio.Protocol):
    """A connection of the gateway to a version."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._data = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._version.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._version.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while take(self._data) is not None:
            version, now = self._version, monotonic()
            version.asked.append(now)
            if version.fault is not None:
                version.bad.append(now)
            if version.fault is Fault.FAILS:
                self._answer(b"500 Internal Server Error", b"{}")
            elif version.fault is None:
                label = b'{"label": "%s"}' % (b"a" if len(version.asked) % 3 else b"b")
                loop = asyncio.get_running_loop()
                loop.call_later(WORK_SECONDS, self._answer, b"200 OK", label)

    def _answer(self, status: bytes, body: bytes) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self.transport.write(head + body)


@dataclass
class Crowd:
    """Open-loop clients. ``replaced`` are when requests were sent, and answered, that stable
    answered in the candidate's place; ``failed`` counts all that was no 200.
    """

    port: int
    per_second: int
    message: Callable[[], bytes]
    replaced: list[tuple[float, float]] = field(default_factory=list)
    sent: int = 0
    answered: int = 0
    failed: int = 0
    idle: list[_Client] = field(default_factory=list)
    clients: set[_Client] = field(default_factory=set)

    async def come(self) -> None:
        """Until cancelled. Nobody waits for an answer of somebody else."""
        loop, began = asyncio.get_running_loop(), monotonic()
        while True:
            due = began + self.sent / self.per_second
            await asyncio.sleep(max(0.0, due - monotonic()))
            self.sent += 1
            if not self.idle:
                await loop.create_connection(lambda: _Client(self), "127.0.0.1", self.port)
            self.idle.pop().ask(self.message())

    def leave(self) -> None:
        """Whoever still waits has waited in vain."""
        self.failed += self.sent - self.answered
        for client in tuple(self.clients):
            client.transport.abort()


class _Client(asyncio.Protocol):
    """One connection; a request at a time."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._data = bytearray()
        self._asked = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._crowd.clients.add(self)
        self._crowd.idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._crowd.clients.discard(self)
        if self in self._crowd.idle:
            self._crowd.idle.remove(self)

    def ask(self, message: bytes) -> None:
        self._asked = monotonic()
        self.transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = take(self._data)
        if head is None:
            return
        crowd = self._crowd
        crowd.answered += 1
        crowd.failed += not head.startswith(b"HTTP/1.1 200 ")
        if _BY_STABLE_INSTEAD.search(head):
            crowd.replaced.append((self._asked, monotonic()))
        crowd.idle.append(self)
