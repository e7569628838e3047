"""The gateway put together: both ports, the watcher, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from gateway.admin import create_admin
from gateway.config import parse, warnings
from gateway.errors import ConfigError
from gateway.listener import Listener
from gateway.live import Live
from gateway.metrics import GatewayMetrics
from gateway.pool import Dial, dial
from gateway.reloader import Reloader, missing, read_bounded

DRAIN_LIMIT: Final = 30.0  # seconds; what Kubernetes grants before it kills

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 asks for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    data: Address
    admin: Address
    live: Live
    reloader: Reloader


class _AdminServer(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the gateway's, which drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def create_gateway(
    path: Path, data: Address, admin: Address, *, dial: Dial = dial
) -> AsyncIterator[Gateway]:
    """Serve ``path`` for as long as the block runs, then drain.

    Raises :class:`ConfigError` if the file is refused at the start (later it only stays as it was),
    and OSError if an address is taken.
    """
    content = _read(path)
    live = Live(parse(content), dial=dial)
    reloader = Reloader(path, live, warnings(content))
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(live, reloader, version("canary-gateway")))
    listener = Listener(live)
    bound = Address(*await listener.start(data.host, data.port))
    config = uvicorn.Config(
        create_admin(live, reloader, registry),
        host=admin.host,
        port=admin.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = _AdminServer(config)
    admin_socket = socket.create_server((admin.host, admin.port), family=_family(admin.host))
    serving = asyncio.create_task(server.serve(sockets=[admin_socket]))
    watching = asyncio.create_task(reloader.watch())
    try:
        host, port = admin_socket.getsockname()[:2]
        yield Gateway(bound, Address(host, port), live, reloader)
    finally:
        cut = await listener.drain(DRAIN_LIMIT)
        watching.cancel()
        server.should_exit = True
        await asyncio.gather(serving, watching, return_exceptions=True)
        for pool in live.serving.pools:
            pool.close()
        log.info("drained", connections_cut=cut)


async def serve(path: Path, data: Address, admin: Address) -> None:
    """Serve until SIGTERM or SIGINT, reload on SIGHUP."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with create_gateway(path, data, admin) as gateway:
        reloads: set[asyncio.Task[object]] = set()

        def reload() -> None:
            task = asyncio.ensure_future(gateway.reloader.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        log.info(
            "serving",
            data=f"http://{gateway.data}",
            admin=f"http://{gateway.admin}",
            file=str(path),
            generation=gateway.live.serving.generation,
        )
        await stop.wait()
        log.info("draining", limit_seconds=DRAIN_LIMIT)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise ConfigError((missing(path, error),)) from error
