"""From a changed file to a changed table: read, parse whole, swap once; or refuse whole.

The file is *looked at* ten times a second and its content hash decides. A look is one ``stat`` and
costs 60 us in a thread of its own; unlike file-system events it sees every way of saving (in place,
rename over, symlink swap, a ConfigMap mount, a network mount), loses nothing when a queue
overflows, and cannot be fooled for longer than ``READ_ANYWAY`` by an unchanged modification time.
SIGHUP and ``POST /-/reload`` look at once.

Half of a file that is saved in place may be a valid file: one with a route, or a candidate, less.
So a file that somebody has open for writing is looked at again, until it is at rest.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Final, Protocol

from gateway.config import parse, warnings
from gateway.counting.report import ReloadStatus
from gateway.errors import ConfigError, Problem
from gateway.files import atomic
from gateway.files.changes import Author, Authorship, nobody_knows, shifts
from gateway.logs import Log
from gateway.model import RoutingConfig, generation_of
from gateway.routing.table import RoutingTable, compile_table
from gateway.security.tls import unusable_authority

LOOK_EVERY: Final = 0.1  # seconds
READ_ANYWAY: Final = 20  # looks: the content is compared at least every two seconds
# Looks at an unchanged file that is still open for writing, or of which nobody can tell, after
# which it is taken as it is; and at one that is written to without end.
QUIET_IF_OPEN: Final = 5
QUIET_IF_UNKNOWN: Final = 1
AT_MOST: Final = 50
MAX_BYTES: Final = 1024 * 1024  # a larger file is no routing.yaml; also what is read of a wrong one

log = Log()


class Swapped(Protocol):
    """What serves a file, and can be given another one."""

    @property
    def generation(self) -> str:
        """The file in force."""

    async def swap(self, table: RoutingTable) -> None:
        """When this returns, the table is in force and nobody serves another one."""


class Reloader:
    """Keeps what serves in step with a file."""

    def __init__(
        self,
        path: Path,
        plane: Swapped,
        remarks: tuple[Problem, ...] = (),
        config: RoutingConfig | None = None,
        author: Author | None = None,
    ) -> None:
        """``config`` is the file in force, ``author`` says who made another one of it."""
        self.path = path
        self.status = ReloadStatus()
        self._plane = plane
        self._config = config
        self._author = author or nobody_knows(path)
        # The generation of the last content judged, good or bad, or why there was none.
        self._seen: str = plane.generation
        self._stat: tuple[int, ...] | None = None  # of the last content judged
        self._unrest = Unrest()
        self._lock = asyncio.Lock()
        self._warn(remarks)

    async def reload(self) -> ReloadStatus:
        """Judge the file as it stands now; when this returns, a good one is in force."""
        async with self._lock:
            await self._judge(await asyncio.to_thread(_read, self.path))
            return self.status

    async def watch(self) -> None:
        """Look at the file until cancelled."""
        looks, trouble = 0, ""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            looks += 1
            try:
                await self.look(anyway=looks % READ_ANYWAY == 0)
                trouble = ""
            except Exception as error:  # a mistake with one file must not end the watching
                if trouble != repr(error):
                    trouble = repr(error)
                    log.error("reload failed", why=trouble, still_serving=self._plane.generation)

    async def look(self, *, anyway: bool = False) -> None:
        """Judge the file if it has changed (or ``anyway``) and is at rest."""
        stat = await asyncio.to_thread(_stat_of, self.path)
        if stat == self._stat and not anyway:
            return
        async with self._lock:
            found = await asyncio.to_thread(_read, self.path)
            if stat == self._stat or self._unrest.is_over(stat, found.settled):
                await self._judge(found)
                self._stat = stat
                self._unrest = Unrest()

    async def _judge(self, found: Found) -> None:
        content = found.content
        if isinstance(content, OSError):
            problem = missing(self.path, content)
            self._refuse(problem.message, (problem,))
            return
        generation = generation_of(content)
        if generation == self._seen:
            return
        try:
            table, remarks = await asyncio.to_thread(_build, content)
        except ConfigError as error:
            self._refuse(generation, error.problems)
        else:
            await self._take(generation, table, remarks)

    async def _take(
        self, generation: str, table: RoutingTable, remarks: tuple[Problem, ...]
    ) -> None:
        if generation != self._plane.generation:
            await self._plane.swap(table)
        self._seen = generation
        self.status.successful = True
        self.status.taken += 1
        self.status.problems = ()
        log.info("reload taken", file=self.path.name, generation=generation)
        await self._tell(table.config)
        self._warn(remarks)

    async def _tell(self, config: RoutingConfig) -> None:
        """One line of each route that is shared in another way from now on."""
        before, self._config = self._config or config, config
        moved = list(shifts(before, config))
        if not moved:
            return
        try:
            author = await asyncio.to_thread(self._author, config.generation)
        except OSError as error:
            author = Authorship("unknown", reason=f"the history cannot be read: {error}")
        told = log.bind(**author._asdict(), generation=config.generation)
        for shift in moved:
            told.info("weights changed", **shift._asdict())

    def _warn(self, remarks: tuple[Problem, ...]) -> None:
        """Nobody shall believe that a key does something which nothing acts on, or can."""
        self.status.warnings = remarks
        for remark in remarks:
            log.warning("not as it says", remark=remark.render(self.path.name))

    def _refuse(self, generation: str, problems: tuple[Problem, ...]) -> None:
        if generation == self._seen:
            return  # said before
        self._seen = generation
        self.status.successful = False
        self.status.refused += 1
        self.status.problems = problems
        kept = self._plane.generation
        for problem in problems:
            line = problem.render(self.path.name)
            log.error("reload refused", problem=line, generation=generation, still_serving=kept)


class Unrest:
    """How long a changed file has not been at rest, in looks."""

    def __init__(self) -> None:
        self._looks = 0
        self._quiet = 0
        self._last: object = None

    def is_over(self, stat: object, settled: bool | None) -> bool:
        """Whether to take the file now. ``settled``: nobody has it open for writing; None: nobody
        can tell.
        """
        self._quiet = self._quiet + 1 if self._looks and stat == self._last else 0
        self._looks += 1
        self._last = stat
        enough = QUIET_IF_UNKNOWN if settled is None else QUIET_IF_OPEN
        return settled is True or self._quiet >= enough or self._looks > AT_MOST


@dataclass(frozen=True, slots=True)
class Found:
    """The content of the file, or why there is none; ``settled`` as for :class:`Unrest`."""

    content: bytes | OSError
    settled: bool | None = None


def read_bounded(path: Path) -> bytes:
    """The content of a regular file, up to just over the allowed size. Raises OSError."""
    return _content_of(_read(path))


def read_settled(path: Path) -> bytes:
    """The same once nobody has it open for writing, or after half a second: what an editor that
    saves in place has written so far may be nothing, or half a file. Raises OSError.
    """
    looks = 0
    while (found := _read(path)).settled is False and looks < QUIET_IF_OPEN:
        looks += 1
        sleep(LOOK_EVERY)
    return _content_of(found)


def _content_of(found: Found) -> bytes:
    if isinstance(found.content, OSError):
        raise found.content
    return found.content


def _read(path: Path) -> Found:
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        with path.open("rb") as file:
            # Asked before and after: what is read in between is whole.
            leased = atomic.lease(file.fileno())
            content = file.read(MAX_BYTES + 1)
            settled = atomic.keeps_lease(file.fileno()) if leased else leased
    except OSError as error:
        return Found(error)  # for a moment, perhaps: some editors move the old file away first
    return Found(content, settled)


def missing(path: Path, error: OSError) -> Problem:
    """A file that cannot be read, as a problem with a place."""
    what = error.strerror or str(error)
    return Problem(1, 1, "", f"{path.name} cannot be read ({what}); put a readable file there")


def _build(content: bytes) -> tuple[RoutingTable, tuple[Problem, ...]]:
    return compile_table(parse(content, unusable_authority)), warnings(content)


def _stat_of(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does, links followed; None if there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
