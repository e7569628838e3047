"""Several processes that answer clients on one port, and the one that keeps them.

The kernel spreads connections over the members (SO_REUSEPORT). What they count lies in memory that
the supervisor made and can read at any moment, also after a member was killed, so the group is told
of as if it were one process. A file is in force when every living member has said that it serves
it; who does not say so in time is killed, and its successor begins with the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from time import monotonic, time
from typing import Final

from gateway.counting import segment
from gateway.counting.archive import Archive, Epoch
from gateway.counting.counts import VersionCounts
from gateway.counting.exemplars import Row
from gateway.counting.ledger import Ledger
from gateway.counting.report import Process
from gateway.counting.room import room_for
from gateway.logs import Log
from gateway.machine.port import Address, Reservation, reserve
from gateway.model import RoutingConfig
from gateway.processes.backoff import Backoff
from gateway.processes.control import Channel, Message, pack, pair, write
from gateway.processes.membership import Membership, begin, options_of
from gateway.routing.marks import SharedMarks, Slots
from gateway.routing.run import Run
from gateway.routing.table import RoutingTable, compile_table
from gateway.writing.records import SECRET, secret_of
from gateway.writing.scribe import AccessLog

# Seconds.
ACKNOWLEDGE_LIMIT: Final = 3.0  # for a member that serves to take another file: it takes 1 ms
START_LIMIT: Final = 30.0  # for a new process to serve
_GRACE: Final = 5.0  # beyond the members' own limit, when they drain

SUCCESSION: Final = Backoff(first=0.1, longest=5.0, steady=10.0)

log = Log()


class Group:
    """A :class:`gateway.processes.plane.Plane` of several processes."""

    def __init__(
        self,
        config: RoutingConfig,
        size: int,
        *,
        traces: bool = False,
        access: AccessLog | None = None,
    ) -> None:
        """``traces``: members export spans, as their environment says; ``access``: they write down
        all requests.
        """
        self.archive = Archive()
        self.draining = False
        self.restarts = 0
        self._size = size
        self._options = options_of(traces=traces, access=access)
        # One for all of them: the same user is the same to each.
        self._environment = {**os.environ, SECRET: secret_of(os.environ)}
        self._owners = count()
        self._reservation = Reservation((), ())
        self._members: list[Membership] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._pem = b""  # the key and the certificate that members show to clients
        self._changed = asyncio.Event()  # something a coroutine may wait for has happened
        self._marks = SharedMarks()
        self._slots: dict[str, Slots] = {}  # of the newest file
        self._turn = asyncio.Lock()  # one after the other: files, and rounds of users
        self._newest = self._prepared(self.archive.prepare(compile_table(config), time()))
        self.archive.enforce(self._newest)

    @property
    def generation(self) -> str:
        return self.archive.epochs[-1].generation

    # --- what a plane does

    def certify(self, pem: bytes) -> None:
        self._pem = pem
        for member in self._members:
            if member.given or member.taken is not None:
                self._certify(member)

    async def start(self, wanted: Address) -> Address:
        self._reservation = reserve(wanted)
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self._size)]
        if not await self._until(lambda: self._serving() == self._size, START_LIMIT):
            log.error("not every process serves yet", serving=self._serving(), of=self._size)
        return self._reservation.addresses[0]

    async def swap(self, table: RoutingTable) -> None:
        async with self._turn:
            epoch = self._newest = self._prepared(self.archive.prepare(table, time()))
            late = await self._hand_out(epoch)
            for member in late:
                log.error("killed, as it did not take the new file", pid=member.process.pid)
                member.process.kill()
            await self._until(lambda: all(one.ended or one.serves(epoch) for one in late), None)
            epoch.since = time()
            self.archive.enforce(epoch)
            self._marks.release(epoch.runs)

    async def renew(self, due: Mapping[str, Run]) -> None:
        async with self._turn:
            before = self._newest
            if not all(one.serves(before) for one in self._asked()):
                return  # a member that is slow is not to be made slower
            epoch = self.archive.prepare_round(before.table, time(), due)
            if epoch is not None:
                self._newest = self._prepared(epoch)
                late = await self._hand_out(epoch)
                self.archive.enforce(epoch)
                # Nobody is killed for it; who is late goes on marking where it did.
                if not late:
                    self._marks.release(epoch.runs)

    async def drain(self, limit: float) -> int:
        self.draining = True
        members = list(self._members)
        for member in members:
            member.send(Message("drain"))
        if not await self._until(lambda: all(one.ended for one in members), limit + _GRACE):
            for member in members:
                if not member.ended:
                    member.process.kill()
            await self._until(lambda: all(one.ended for one in members), _GRACE)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._reservation.close()
        self._marks.close()
        return sum(member.cut for member in members)

    def refresh(self) -> None:
        """Nothing to do: members write down what is in flight with each sweep."""

    def processes(self) -> tuple[Process, ...]:
        return tuple(
            Process(
                member.number,
                member.process.pid,
                member.since,
                member.restarts,
                self.archive.answered(member.owner),
                member.taken.generation if member.taken is not None else None,
            )
            for member in self._members
        )

    def exemplars(self) -> Mapping[tuple[str, ...], Row]:
        return {}

    # --- the life of a member

    async def _keep(self, number: int) -> None:
        """One place in the group: a process, its successor, and so on."""
        pause, restarts = 0.0, 0
        while not self.draining:
            started = monotonic()
            member = self._spawn(number, restarts)
            code = await self._outlive(member)
            if not self.draining:
                pause = SUCCESSION.after(monotonic() - started, pause)
                restarts += 1
                self.restarts += 1
                pid = member.process.pid
                log.error("a process ended", pid=pid, code=code, next_in_seconds=pause)
                await asyncio.sleep(pause)

    async def _outlive(self, member: Membership) -> int:
        """Wait for its end, and see to it if it does not even begin; its exit code."""
        await self._until(lambda: member.taken is not None or member.silent, START_LIMIT)
        if member.taken is None:
            member.process.kill()
        await self._until(lambda: member.silent, None)
        member.process.kill()  # usually it is gone: it closes the socket by ending
        code = await asyncio.to_thread(member.process.wait)
        # Nobody writes to its ledgers any more: what it counted stays, what it held is lost.
        member.ended = True
        self._members.remove(member)
        self.archive.close_all(member.owner)
        self._changed.set()
        return code

    def _spawn(self, number: int, restarts: int) -> Membership:
        ours, theirs = pair()
        with theirs:
            process = begin(theirs.fileno(), number, self._options, self._environment)
        member = Membership(next(self._owners), number, restarts, time(), process)
        member.channel = Channel(ours, partial(self._heard, member), partial(self._lost, member))
        self._members.append(member)
        return member

    def _heard(self, member: Membership, message: Message, descriptors: list[int]) -> None:
        match message.what:
            case "hello" if self.draining:
                member.send(Message("drain"))
            case "hello":
                if self._pem:  # a successor gets what the others have, whatever the files say now
                    self._certify(member)
                self._give(member)
            case "taken":
                member.took(message.serial)
            case "settled":
                self.archive.close(member.owner, message.serial)
            case "drained":
                member.cut = message.cut
        self._changed.set()

    def _lost(self, member: Membership) -> None:
        member.silent = True
        self._changed.set()

    # --- small parts

    def _asked(self) -> list[Membership]:
        """Those that were given a file."""
        return [member for member in self._members if member.given or member.taken is not None]

    async def _hand_out(self, epoch: Epoch) -> list[Membership]:
        """Give it to all members; those that do not serve it in time."""
        asked = self._asked()
        for member in asked:
            self._give(member)

        def late() -> list[Membership]:
            return [one for one in asked if not one.ended and not one.serves(epoch)]

        await self._until(lambda: not late(), ACKNOWLEDGE_LIMIT)
        return late()

    def _prepared(self, epoch: Epoch) -> Epoch:
        """The epoch with all its series at 0, also when no member lives."""
        self._slots = epoch.marked = self._marks.allot(epoch.runs)
        nobody, names = -1, Ledger()
        for place in epoch.table.places:
            VersionCounts(names, place.route, place.version, place.role)
        self.archive.add(nobody, epoch, names)
        self.archive.close_all(nobody)
        return epoch

    def _give(self, member: Membership) -> None:
        """Ask a member to serve the newest file, and to count in memory that we can read."""
        epoch = self._newest
        member.given = (*member.given, epoch)
        try:
            with contextlib.ExitStack() as stack:
                ledger = segment.create(room_for(epoch.table))
                stack.callback(os.close, ledger)
                config = pack(epoch.table.config)
                stack.callback(os.close, config)
                self.archive.add(member.owner, epoch, segment.LedgerReader(ledger))
                addresses = self._reservation.addresses
                regions = tuple(slots.region for slots in self._slots.values())
                message = Message("take", epoch.serial, addresses, regions=regions)
                member.send(message, ledger, config, self._marks.descriptor)
        except OSError as error:
            log.error("no memory to count in", pid=member.process.pid, why=str(error))
            member.process.kill()

    def _certify(self, member: Membership) -> None:
        try:
            descriptor = write(self._pem)
        except OSError as error:
            log.error("no memory for a certificate", pid=member.process.pid, why=str(error))
            member.process.kill()
            return
        member.send(Message("certify"), descriptor)
        os.close(descriptor)

    def _serving(self) -> int:
        return sum(member.taken is not None for member in self._members)

    async def _until(self, holds: Callable[[], object], limit: float | None) -> bool:
        """Wait for it, so many seconds at most; whether it holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        return bool(holds())
