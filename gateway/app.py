"""The gateway put together: both ports, the watcher, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry

from gateway.admin import create_admin
from gateway.config import parse, warnings
from gateway.descriptors import raise_limit
from gateway.errors import ConfigError
from gateway.group import Group
from gateway.listener import DRAIN_LIMIT
from gateway.logs import Log
from gateway.metrics import GatewayMetrics
from gateway.plane import Plane, Solo
from gateway.port import Address
from gateway.reloader import Reloader, missing, read_bounded
from gateway.report import Report, State, gather

log = Log()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    data: Address
    admin: Address
    plane: Plane
    reloader: Reloader


class _AdminServer(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the gateway's, which drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def create_gateway(
    path: Path, data: Address, admin: Address, *, processes: int = 1
) -> AsyncIterator[Gateway]:
    """Serve ``path`` for as long as the block runs, then drain.

    Raises :class:`ConfigError` if the file is refused at the start (later it only stays as it was),
    and OSError if an address is taken.
    """
    content = _read(path)
    config = parse(content)
    plane = Group(config, processes) if processes > 1 else Solo(config)
    reloader = Reloader(path, plane, warnings(content))

    def report() -> Report:
        plane.refresh()
        told = plane.processes()
        state = State(path.name, reloader.status, plane.draining, told, plane.restarts)
        return gather(plane.archive, state)

    registry = CollectorRegistry()
    registry.register(GatewayMetrics(report, version("canary-gateway")))
    family = socket.AF_INET6 if ":" in admin.host else socket.AF_INET
    with socket.create_server((admin.host, admin.port), family=family) as admin_socket:
        bound = await plane.start(data)
        application = create_admin(plane, reloader, report, registry)
        server = _AdminServer(_admin_config(application, admin))
        serving = asyncio.create_task(server.serve(sockets=[admin_socket]))
        watching = asyncio.create_task(reloader.watch())
        try:
            host, port = admin_socket.getsockname()[:2]
            yield Gateway(bound, Address(host, port), plane, reloader)
        finally:
            cut = await plane.drain(DRAIN_LIMIT)
            watching.cancel()
            server.should_exit = True
            await asyncio.gather(serving, watching, return_exceptions=True)
            log.info("drained", connections_cut=cut)


async def serve(path: Path, data: Address, admin: Address, processes: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, reload on SIGHUP."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    descriptors = raise_limit()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with create_gateway(path, data, admin, processes=processes) as gateway:
        reloads: set[asyncio.Task[object]] = set()

        def reload() -> None:
            task = asyncio.ensure_future(gateway.reloader.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        gc.collect()
        gc.freeze()  # what is here now stays: looking through it again would hold up requests 7 ms
        log.info(
            "serving",
            data=f"http://{gateway.data}",
            admin=f"http://{gateway.admin}",
            file=str(path),
            generation=gateway.plane.generation,
            processes=processes,
            descriptors=descriptors,
        )
        await stop.wait()
        log.info("draining", limit_seconds=DRAIN_LIMIT)


def _admin_config(application: Any, admin: Address) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host=admin.host,
        port=admin.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise ConfigError((missing(path, error),)) from error
