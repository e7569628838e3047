"""Starting a case: the worker and all targets, each of them checked, and their loads."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cases import Case, Target
from benchmarks.certificate import Certificate, check_agreed, make_certificate
from benchmarks.checks import await_answer, check_counting, check_processes, check_shares
from benchmarks.group import Group
from benchmarks.load import Load, Result
from benchmarks.site import Site
from benchmarks.tools import Worker, start_worker
from benchmarks.traffic import write_ring

TARGET_CORE: Final = "0"
LOAD_CORE: Final = "1"
BOTH_CORES: Final = "0,1"
WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A target that runs, and the load on it; ``group`` None is the worker itself."""

    target: Target
    group: Group | None
    port: int
    load: Load


class Stage:
    """One case's worker and targets. ``stack`` ends everything that is started here."""

    def __init__(self, case: Case, directory: Path, stack: ExitStack) -> None:
        self._case = case
        self._directory = directory
        self._stack = stack
        versions = max(target.shape.versions for target in case.targets)
        self._ports = tuple(str(port) for port in _free_ports(versions))
        self._sockets = tuple(str(directory / f"{i}.sock") for i in range(versions))
        self._replies = case.traffic.replies()
        self._worker = self._start_worker()
        self._made: Certificate | None = None
        self._rings: dict[tuple[str, ...], tuple[Path, list[bytes]]] = {}
        self.running = [self._start(number, target) for number, target in enumerate(case.targets)]

    def _start_worker(self) -> Worker:
        case = self._case
        worker = start_worker(
            self._directory,
            BOTH_CORES if case.both_cores else LOAD_CORE,
            case.traffic.heads.value,
            self._replies,
            case.delay_microseconds,
            (*self._ports, *self._sockets),
        )
        self._stack.callback(worker.group.stop)
        return worker

    def _start(self, number: int, target: Target) -> Running:
        place = self._directory / str(number)
        place.mkdir()
        case, shape, peer = self._case, target.shape, target.peer
        port, admin_port = _free_ports(2)
        workers = self._sockets if shape.unix else self._ports
        certificate = self._certificate() if shape.tls else None
        context = certificate.trusting() if certificate else None
        site = Site(place, port, admin_port, workers, shape, target.checkout, certificate)
        group = None
        if peer is None:
            port = int(self._ports[0])
        else:
            command = peer.command(site)
            group = Group(
                command.words,
                cores=BOTH_CORES if case.both_cores else TARGET_CORE,
                log=place / "log",
                cwd=target.checkout,
                environment=command.environment,
            )
            self._stack.callback(group.stop)
        ring, messages = self._ring(shape.paths)
        for message in case.traffic.requests(shape.paths)[: len(shape.paths)]:
            await_answer(target.name, port, message, self._replies, group, context)
        if certificate is not None:
            check_agreed(target.name, port, certificate)
        if peer is not None and peer.counted is not None:
            counted = peer.counted
            check_counting(target.name, lambda: counted(site), port, messages, context)
        if group is not None:
            check_processes(target.name, group, shape.processes)
        first = place / "request"
        first.write_bytes(messages[0])
        cores = BOTH_CORES if case.both_cores else LOAD_CORE
        load = Load(place, cores, ring, first, case.connections, case.rate, case.kept, certificate)
        return Running(target, group, port, load)

    def _certificate(self) -> Certificate:
        """The one of this run."""
        if self._made is None:
            self._made = make_certificate(self._directory)
        return self._made

    def _ring(self, paths: tuple[str, ...]) -> tuple[Path, list[bytes]]:
        """The messages for these paths, and their file."""
        if paths not in self._rings:
            path = self._directory / f"ring-{len(self._rings)}"
            messages = self._case.traffic.requests(paths)
            write_ring(path, messages)
            self._rings[paths] = path, messages
        return self._rings[paths]

    def warm_up(self, each: Running) -> Result:
        """A first load, after which it is known who was asked, and how often."""
        before = self._worker.asked()
        result = each.load.run(each.port, WARM_UP_SECONDS)
        after = self._worker.asked()
        shape, peer = each.target.shape, each.target.peer
        if peer is not None and peer.splits:
            asked = {address: after[address] - before[address] for address in after}
            addresses = self._sockets if shape.unix else self._ports
            check_shares(each.target.name, asked, dict(zip(addresses, shape.shares, strict=False)))
        return result


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
