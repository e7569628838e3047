"""One of several processes that answer clients: the data plane and nothing else.

``python -m gateway.processes.member DESCRIPTOR``, started by ``group`` with its end of the control
socket. It listens once it was given a file, counts in the memory it was given with it, and ends
when it is told to, or when nobody is there to tell it: a member that nobody supervises would go on
with an old file.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from functools import partial
from time import time

import uvloop

from gateway.clients.inbound import InboundConnection
from gateway.clients.listener import DRAIN_LIMIT, Listener
from gateway.clients.live import Live
from gateway.counting.exemplars import Exemplars
from gateway.counting.segment import SharedLedger
from gateway.logs import Log, adopt_others, configure_logs
from gateway.machine import port
from gateway.machine.allocator import keep_apart
from gateway.processes.control import Channel, Message, read, unpack
from gateway.routing.marks import attach
from gateway.routing.table import RoutingTable, compile_table
from gateway.security.tls import server_context
from gateway.traces.sampling import sampling_of
from gateway.traces.spans import exporting
from gateway.traces.tracer import Tracer
from gateway.writing.records import Records, secret_of
from gateway.writing.scribe import AccessLog


class Member:
    """Does what it is told over the control socket."""

    def __init__(
        self, control: socket.socket, records: Records, tracer: Tracer | None = None
    ) -> None:
        self._log = Log().bind(pid=os.getpid())
        self._records = records
        self._tracer = tracer
        self._stop = asyncio.Event()
        self._live: Live | None = None
        self._listener: Listener | None = None
        self._pem = b""  # the key and the certificate to show to clients
        self._starting: asyncio.Future[None] | None = None
        self._channel = Channel(control, self._heard, self._orphaned)

    async def run(self) -> None:
        """Serve until told to stop, then let everything under way end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        # Ending and reloading all of them is for the supervisor to say.
        for name in (signal.SIGINT, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        self._channel.send(Message("hello"))
        await self._stop.wait()
        cut = 0 if self._listener is None else await self._listener.drain(DRAIN_LIMIT)
        if self._tracer is not None:
            await self._tracer.close()
        await self._records.close()
        self._channel.send(Message("drained", cut=cut))

    def _heard(self, message: Message, descriptors: list[int]) -> None:
        if message.what == "drain":
            self._stop.set()
        elif message.what == "take":
            ledger, config, marks = descriptors
            table = compile_table(unpack(config))
            sticking = [route for route in table.routes if route.sticky]
            slots = attach(marks, message.regions)
            for route, (cells, spent) in zip(sticking, slots, strict=True):
                route.mark(cells, spent)
            self._take(message, SharedLedger(ledger), table)
        elif message.what == "certify":
            self._pem = read(descriptors[0])
            if self._listener is not None:
                self._listener.certify(server_context(self._pem))
        for descriptor in descriptors:
            os.close(descriptor)

    def _orphaned(self) -> None:
        if not self._stop.is_set():
            self._log.error("the supervisor is gone: draining", limit_seconds=DRAIN_LIMIT)
            self._stop.set()

    def _take(self, message: Message, ledger: SharedLedger, table: RoutingTable) -> None:
        if self._live is None:
            self._live = Live(table, ledger, scribe=self._records.scribe)
            self._starting = asyncio.ensure_future(self._start(self._live, message))
        else:
            self._live.swap(table, ledger)
            self._channel.send(Message("taken", serial=message.serial))
        settled = Message("settled", serial=message.serial)
        self._live.on_settled(partial(self._channel.send, settled))

    async def _start(self, live: Live, message: Message) -> None:
        """Serve the first file."""
        tracer = self._tracer

        def swept() -> None:
            live.serving.gauge()
            self._records.sweep(live.serving.ledger)
            if tracer is not None:
                tracer.count(live.serving.ledger)

        # Nobody asks a member for its exemplars.
        kind = InboundConnection if tracer is None else tracer.kind(Exemplars(time))
        self._listener = Listener(live, swept, kind)
        if self._pem:
            self._listener.certify(server_context(self._pem))
        try:
            await self._listener.start_on([port.shared(one) for one in message.addresses])
        except OSError as error:
            self._log.error("cannot listen", why=str(error))
            self._stop.set()
            return
        gc.collect()
        gc.freeze()  # what is here now stays, and need not be looked through again and again
        self._channel.send(Message("taken", serial=message.serial))


def main(arguments: list[str]) -> None:
    """The descriptor of the control socket, ``--number=`` its place in the group, ``--json`` for
    logs that are JSON anywhere, ``--traces`` to export spans, ``--access-log=`` and
    ``--access-log-sample=`` (basis points) to write down all requests.
    """
    configure_logs(json="--json" in arguments)
    adopt_others()
    keep_apart()

    async def run() -> None:
        tracer = None
        if "--traces" in arguments:
            tracer = Tracer(sampling_of(os.environ), exporting())
        await Member(socket.socket(fileno=int(arguments[0])), _records(arguments), tracer).run()

    uvloop.run(run())


def _records(arguments: list[str]) -> Records:
    said = dict(one.split("=", 1) for one in arguments if "=" in one)
    path, number = said.get("--access-log"), int(said["--number"])
    access = AccessLog(path, int(said["--access-log-sample"])) if path else None
    return Records(secret_of(os.environ), access, number)


if __name__ == "__main__":
    main(sys.argv[1:])
