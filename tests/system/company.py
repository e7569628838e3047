"""Scripted workers and a closed-loop load in one loop of one thread, so that a busy machine makes
all of them late by the same: what differs between two versions is what their scripts say.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import uvloop

PATIENCE: Final = 60.0  # seconds until something counts as hung
MARK: Final = b"GET /mark HTTP/1.1\r\nHost: a\r\n\r\n"

T = TypeVar("T")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_VERSION: Final = re.compile(rb"\r\nx-model-version: *([^\r]*)\r\n", re.IGNORECASE)
_USER: Final = re.compile(rb"\r\nx-user: *([^\r]*)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says, and after how many seconds; None: never a word."""

    body: bytes = b"{}"
    status: int = 200
    after: float | None = 0.0

    def message(self) -> bytes:
        return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s" % (
            self.status,
            len(self.body),
            self.body,
        )


Script = Callable[[int, str], Answer]
"""The answer to the request of this number, from 0, of this user (empty: of nobody)."""


def whole(data: bytearray) -> bytes | None:
    """Take the first message from what has come, head and body; None if it is not whole."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    length = _LENGTH.search(data, 0, end)
    size = end + (int(length[1]) if length else 0)
    if len(data) < size:
        return None
    message = bytes(data[:size])
    del data[:size]
    return message


@dataclass
class Role:
    """A worker. ``asked`` counts requests, ``said`` answers by status."""

    script: Script
    asked: int = 0
    said: Counter[int] = field(default_factory=Counter)
    url: str = ""
    lines: set[Line] = field(default_factory=set)


class Line(asyncio.Protocol):
    """A connection to a worker."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._data = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._role.lines.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._role.lines.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (message := whole(self._data)) is not None:
            if message == MARK:
                self._say(Answer())
                continue
            user = _USER.search(message)
            answer = self._role.script(self._role.asked, user[1].decode() if user else "")
            self._role.asked += 1
            if answer.after is None:
                continue
            self._role.said[answer.status] += 1
            if answer.after:
                asyncio.get_running_loop().call_later(answer.after, self._say, answer)
            else:
                self._say(answer)

    def _say(self, answer: Answer) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer.message())


@dataclass
class Seat:
    """What a client sends, and what it saw: answers by version and status, and connections that
    ended. ``left`` is how many requests it still has to send; None: without end.
    """

    message: Callable[[], bytes]
    left: int | None = None
    saw: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: int = 0


class Guest(asyncio.Protocol):
    """A client that asks again as soon as it was answered."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._data = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self._seat.lost += 1
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._data += data
        message = whole(self._data)
        if message is not None:
            version = _VERSION.search(message)
            self._seat.saw[version[1].decode() if version else "", int(message[9:12])] += 1
            self._ask()

    def leave(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self.transport.close()

    def _ask(self) -> None:
        if self._seat.left == 0:
            self.leave()
            return
        if self._seat.left is not None:
            self._seat.left -= 1
        self.transport.write(self._seat.message())


class Company:
    """All of them, between ``__enter__`` and ``__exit__``."""

    def __enter__(self) -> Company:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._guests: list[Guest] = []
        self._servers: list[tuple[asyncio.AbstractServer, Role]] = []
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._loop.close()

    def hire(self, script: Script) -> Role:
        """A worker on a free port."""
        role = Role(script)

        async def open_() -> None:
            sock = socket.create_server(("127.0.0.1", 0))
            role.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            server = await self._loop.create_server(lambda: Line(role), sock=sock)
            self._servers.append((server, role))

        self._wait(open_())
        return role

    def load(self, port: int, seat: Seat, clients: int) -> Future[None]:
        """Closed-loop clients of one seat from now on; done when all have sent what they had."""

        async def ask() -> None:
            guests = []
            for _ in range(clients):
                _, guest = await self._loop.create_connection(
                    lambda: Guest(seat), "127.0.0.1", port
                )
                guests.append(guest)
                self._guests.append(guest)
            await asyncio.gather(*(guest.ended for guest in guests))

        return asyncio.run_coroutine_threadsafe(ask(), self._loop)

    def rest(self) -> None:
        """No more load: the clients leave."""

        async def leave() -> None:
            for guest in self._guests:
                guest.leave()
            self._guests.clear()

        self._wait(leave())

    def asked(self, role: Role) -> int:
        """How many requests a worker was sent by now, with those that it has not read yet.

        What was sent before us can be read when our mark can, so it is read in the same turn of the
        loop or in one before.
        """

        async def mark() -> int:
            port = int(role.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(MARK)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            return role.asked

        return int(self._wait(mark()))

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _end(self) -> None:
        for server, role in self._servers:
            server.close()
            for line in list(role.lines):
                line.transport.abort()
        await asyncio.sleep(0)
        for server, _ in self._servers:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), PATIENCE)


def request(path: str, fields: str = "") -> bytes:
    """A POST of two bytes; ``fields`` are whole lines of the head."""
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{fields}\r\n{{}}".encode()
