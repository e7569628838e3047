"""The way from the admin port to the console, a process of its own behind a Unix socket.

Between the loop and each connection of the admin port. Bytes of a request that is the gateway's go
on to uvicorn as they come. A connection whose next request is the console's (see ``opening``)
leaves uvicorn for good: that request is passed on byte for byte, whatever comes back goes to the
client as it is, and no byte that came after the request reaches the console. So it is never asked a
second time there, nor is the gateway: the connection ends with the answer.

The deadlines of the admin port hold until the head of the request is here, the console's own until
its body is. Then only one is left: something has to move, so a stream has to say something at least
every ``IDLE_LIMIT`` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Final, cast

from gateway.admin.opening import LARGEST, length_for_console
from gateway.admin.port import AdminConnection

MOST_RELAYED: Final = 256
IDLE_LIMIT: Final = 90.0  # seconds in which nothing moved, in neither direction
_LOOK_EVERY: Final = 5.0


class Relays:
    """All connections that are the console's at the moment, which listens at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._own: Collection[str] = ()
        self._open: dict[Client, float] = {}  # when something moved the last time
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def between(self, own: Collection[str], connection: AdminConnection) -> Client:
        """What stands between the loop and a connection; ``own`` is as of ``opening``."""
        self._own = own
        return Client(self, connection)

    def __len__(self) -> int:
        return len(self._open)

    def length_for_console(self, data: bytes) -> int | None:
        """As of ``opening``."""
        return length_for_console(data, self._own)

    def take(self, client: Client) -> None:
        """Connect somebody who asks for the console, or say why not."""
        if len(self._open) >= MOST_RELAYED:
            client.refuse("as many connections to the console are open as there may be; try again")
            return
        self.moved(client)
        task = asyncio.ensure_future(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._sweep is None:
            self._look()

    def moved(self, client: Client) -> None:
        self._open[client] = asyncio.get_running_loop().time()

    def left(self, client: Client) -> None:
        self._open.pop(client, None)

    def close(self) -> None:
        """End all of them."""
        for client in tuple(self._open):
            client.abort()
        for task in self._tasks:
            task.cancel()
        if self._sweep is not None:
            self._sweep.cancel()

    async def _connect(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: Far(client), self._path)
        except OSError:  # no such file, nobody listens any more, or too slow
            client.refuse("the console is not running; try again")

    def _look(self) -> None:
        """Now and then, as long as there are any."""
        loop = asyncio.get_running_loop()
        late = loop.time() - IDLE_LIMIT
        for client, moved in tuple(self._open.items()):
            if moved < late:
                client.abort()
        self._sweep = loop.call_later(_LOOK_EVERY, self._look) if self._open else None


class Client(asyncio.Protocol):
    """Somebody at the admin port."""

    _transport: asyncio.Transport

    def __init__(self, relays: Relays, own: AdminConnection) -> None:
        self._relays = relays
        self._own: AdminConnection | None = own  # None from when it is the console's
        self._data = b""  # of which it is not known whose they are; then: for who is not there yet
        self._left = 0  # bytes of the request that are still to come
        self._spilt = 0  # bytes that came after it
        self._far: asyncio.Transport | None = None

    # --- towards the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._own is not None:
            self._own.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._own is None:
            self._pass_on(data)
        elif self._own.between_requests:
            self._look_at(self._own, data)
        else:
            self._own.data_received(data)

    def eof_received(self) -> bool | None:
        if self._far is None:
            return None  # it closes, as uvicorn has it
        if self._far.can_write_eof():
            self._far.write_eof()
        return True  # the console may have something to say yet

    def connection_lost(self, exc: Exception | None) -> None:
        if self._own is not None:
            self._own.connection_lost(exc)
            self._own = None
        self._relays.left(self)
        if self._far is not None:
            self._far.abort()
            self._far = None

    def pause_writing(self) -> None:
        if self._own is not None:
            self._own.pause_writing()
        elif self._far is not None and not self._far.is_closing():
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if self._own is not None:
            self._own.resume_writing()
        elif self._far is not None and not self._far.is_closing():
            self._far.resume_reading()

    # --- towards the console

    def reached(self, far: asyncio.Transport) -> None:
        """It is there."""
        if self._transport.is_closing():
            far.abort()
            return
        self._far = far
        far.write(self._data)
        self._data = b""
        self._transport.resume_reading()

    def answered(self, data: bytes) -> None:
        self._relays.moved(self)
        self._transport.write(data)

    def hold(self) -> None:
        """The console does not take what it is given."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def finished(self) -> None:
        """It has said everything, or died: the client gets what it said."""
        self._far = None
        self._transport.close()

    def refuse(self, sentence: str) -> None:
        """Instead of an answer of the console."""
        if self._transport.is_closing():
            return
        again = b"Refresh: 2\r\n" if self._data.startswith(b"GET ") else b""  # browsers go by that
        body = f"{sentence}\n".encode()
        self._transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nRetry-After: 2\r\n"
            b"%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (again, len(body), body)
        )
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # --- small parts

    def _look_at(self, own: AdminConnection, data: bytes) -> None:
        """Whose it is."""
        self._data += data
        length = self._relays.length_for_console(self._data)
        if length is None:
            return
        if length:
            own.let_go()
            self._own = None
            self._left = length - len(self._data)
            self._data = self._data[:length]
            self._transport.pause_reading()  # until somebody takes it
            self._relays.take(self)
        else:
            data, self._data = self._data, b""
            own.data_received(data)

    def _pass_on(self, data: bytes) -> None:
        """The rest of the request, and nothing after it."""
        rest = data[: max(0, self._left)]
        self._left -= len(rest)
        self._spilt += len(data) - len(rest)
        if self._spilt > LARGEST:
            self.abort()
        elif rest and self._far is not None:
            self._relays.moved(self)
            self._far.write(rest)


class Far(asyncio.Protocol):
    """The console's side."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client.reached(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._client.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.finished()

    def pause_writing(self) -> None:
        self._client.hold()

    def resume_writing(self) -> None:
        self._client.go_on()
