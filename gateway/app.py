"""The gateway put together: both ports, the watcher, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from gateway.admin.app import Mount, create_admin, own_segments
from gateway.admin.port import AdminConnection, AdminServer, admin_server
from gateway.admin.relay import Relays
from gateway.clients.listener import DRAIN_LIMIT
from gateway.config import parse, warnings
from gateway.counting.report import Report, State, gather
from gateway.errors import ConfigError
from gateway.files.changes import Authors, nobody_knows
from gateway.files.reloader import Reloader, missing, read_bounded
from gateway.logs import Log
from gateway.machine.allocator import keep_apart
from gateway.machine.descriptors import raise_limit
from gateway.machine.port import Address
from gateway.metrics.collector import GatewayMetrics
from gateway.model import RoutingConfig
from gateway.processes.companion import Companion, url_from_here
from gateway.processes.group import Group
from gateway.processes.plane import Plane, Solo
from gateway.routing.rounds import USUAL, Rounds, Schedule
from gateway.security.access import is_loopback
from gateway.security.certificate import Certificate
from gateway.security.credential import FILE_VARIABLE, TOKEN_VARIABLE, Token, TokenError
from gateway.security.tls import unusable_authority
from gateway.traces.sampling import sampling_of
from gateway.traces.spans import check_installed, exporting
from gateway.traces.tracer import Tracer
from gateway.writing.records import Records, secret_of
from gateway.writing.scribe import AccessLog

log = Log()


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the ports show to who connects; None: a port does not speak TLS."""

    data: Certificate | None = None
    admin: Certificate | None = None

    def all(self) -> tuple[Certificate, ...]:
        return tuple(one for one in (self.data, self.admin) if one is not None)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told besides metrics: spans of requests, lines of all of them, and in the log who has
    changed the file.
    """

    traces: bool = False
    access: AccessLog | None = None
    authors: Authors = nobody_knows


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    data: Address
    admin: Address
    plane: Plane
    reloader: Reloader


@contextlib.asynccontextmanager
async def create_gateway(
    path: Path,
    data: Address,
    admin: Address,
    *,
    processes: int = 1,
    token: Token | None = None,
    certificates: Certificates = Certificates(),
    schedule: Schedule = USUAL,
    mounts: Sequence[Mount] = (),
    telling: Telling = Telling(),
    relays: Relays | None = None,
) -> AsyncIterator[Gateway]:
    """Serve ``path`` for as long as the block runs, then drain.

    ``token`` is what requests to the admin port have to bring; only on loopback there may be none.
    Raises :class:`TokenError` if there is none elsewhere, :class:`ConfigError` if the file is
    refused at the start (later it only stays as it was), OSError if an address is taken, and
    :class:`TracesRefused` if spans are wanted and cannot be exported. ``schedule`` says when users
    that stick count again, ``mounts`` what the admin port serves besides the gateway's own,
    ``relays`` lead to the console, for whatever else is asked there.
    """
    _check_access(admin, token)
    content = _read(path)
    config = parse(content, unusable_authority)
    plane = _plane(config, processes, telling)
    if certificates.data is not None:
        plane.certify(certificates.data.pem)
        certificates.data.taken = plane.certify
    reloader = Reloader(path, plane, warnings(content), config, telling.authors(path))

    def report() -> Report:
        plane.refresh()
        told = plane.processes()
        shown = tuple(certificate.status() for certificate in certificates.all())
        facts = path.name, reloader.status, plane.draining, told, plane.restarts, shown
        return gather(plane.archive, State(*facts, plane.exemplars()))

    registry = CollectorRegistry()
    registry.register(GatewayMetrics(report, version("canary-gateway")))
    family = socket.AF_INET6 if ":" in admin.host else socket.AF_INET
    with socket.create_server((admin.host, admin.port), family=family) as admin_socket:
        bound = await plane.start(data)
        application = create_admin(plane, reloader, report, registry, token, mounts)
        server = _admin_server(application, certificates.admin, relays)
        serving = asyncio.create_task(server.serve(sockets=[admin_socket]))
        watches = [reloader.watch(), _renewing(plane, Rounds(schedule))]
        watches += (one.watch() for one in certificates.all())
        watching = [asyncio.create_task(watch) for watch in watches]
        try:
            yield Gateway(bound, Address(*admin_socket.getsockname()[:2]), plane, reloader)
        finally:
            cut = await plane.drain(DRAIN_LIMIT)
            for task in watching:
                task.cancel()
            server.should_exit = True
            if relays is not None:
                relays.close()
            await asyncio.gather(serving, *watching, return_exceptions=True)
            log.info("drained", connections_cut=cut)


def _admin_server(
    application: Starlette, certificate: Certificate | None, relays: Relays | None
) -> AdminServer:
    """With what stands between its connections and the loop."""
    own = own_segments(application)

    def wrapped(connection: AdminConnection) -> asyncio.Protocol:
        plain = connection if relays is None else relays.between(own, connection)
        return plain if certificate is None else certificate.secure(plain)

    return admin_server(application, wrapped)


async def _renewing(plane: Plane, rounds: Rounds) -> None:
    """Let users that stick count again, on schedule, until cancelled."""
    trouble = ""
    while True:
        await asyncio.sleep(rounds.schedule.every)
        due = rounds.due(plane.archive.epochs[-1].runs, monotonic())
        try:
            if due and not plane.draining:
                await plane.renew(due)
            trouble = ""
        except Exception as error:  # the next round may find memory again
            if trouble != repr(error):
                trouble = repr(error)
                log.error("users do not count again", why=trouble)


async def serve(
    path: Path,
    data: Address,
    admin: Address,
    processes: int = 1,
    token: Token | None = None,
    certificates: Certificates = Certificates(),
    companions: Sequence[Companion] = (),
    mounts: Sequence[Mount] = (),
    telling: Telling = Telling(),
    relays: Relays | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, reload on SIGHUP; with companions, if there are to be any."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    descriptors = raise_limit()
    keep_apart()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        for companion in companions:
            stack.push_async_callback(companion.gone)  # requests under way come first
        gateway = await stack.enter_async_context(
            create_gateway(
                path,
                data,
                admin,
                processes=processes,
                token=token,
                certificates=certificates,
                mounts=mounts,
                telling=telling,
                relays=relays,
            )
        )
        _reload_on_hangup(gateway.reloader)
        gc.collect()
        gc.freeze()  # what is here now stays: looking through it again would hold up requests 7 ms
        log.info(
            "serving",
            data=f"{_scheme(certificates.data)}://{gateway.data}",
            admin=f"{_scheme(certificates.admin)}://{gateway.admin}",
            file=str(path),
            generation=gateway.plane.generation,
            processes=processes,
            admin_token=token is not None,
            descriptors=descriptors,
        )
        for companion in companions:
            companion.start(url_from_here(_scheme(certificates.admin), admin, gateway.admin))
        await stop.wait()
        for companion in companions:
            companion.dismiss()
        log.info("draining", limit_seconds=DRAIN_LIMIT)


def _reload_on_hangup(reloader: Reloader) -> None:
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = asyncio.ensure_future(reloader.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


def _plane(config: RoutingConfig, processes: int, telling: Telling) -> Plane:
    """One process, or several. Raises :class:`TracesRefused`."""
    if processes == 1:
        tracer = Tracer(sampling_of(os.environ), exporting()) if telling.traces else None
        records = Records(secret_of(os.environ), telling.access)
        return Solo(config, tracer=tracer, records=records)
    if telling.traces:  # it is the members that export: say here what they would say
        sampling_of(os.environ)
        check_installed()
    return Group(config, processes, traces=telling.traces, access=telling.access)


def _scheme(certificate: Certificate | None) -> str:
    return "http" if certificate is None else "https"


def _check_access(admin: Address, token: Token | None) -> None:
    if token is None and not is_loopback(admin.host):
        raise TokenError(
            f"the admin port on {admin} can be reached from other machines and needs a token: "
            f"give --admin-token-file ({FILE_VARIABLE}) or {TOKEN_VARIABLE}, "
            "or keep it on 127.0.0.1"
        )


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise ConfigError((missing(path, error),)) from error
