"""What is written down: the routing file as it stands, and its history as far as it is shown.

Read again whenever somebody asks, but only what is new: the file is compared by its bytes, of the
history the rows that were added are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from gateway.config import parse
from gateway.errors import ConfigError, Problem
from gateway.model import RoutingConfig
from gateway.reloader import missing, read_bounded
from monitoring import history, journal
from monitoring.analysis.verdict import Verdict
from monitoring.chain import KINDS, Entry, Status
from monitoring.docket import Key
from monitoring.leader import is_led
from monitoring.record import VERDICT, WATCH, Record
from monitoring.rollout.position import Position


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest record of a candidate, and what it comes to."""

    record: Record
    verdict: Verdict
    position: Position


@dataclass(frozen=True, slots=True)
class Papers:
    """``config`` is the newest that was good, None if there was none yet; ``problems`` are those of
    the file as it stands. ``entries`` are all changes, the oldest first, and ``last`` the newest
    that was made of each version. ``led``: a controller acts on the file.
    """

    config: RoutingConfig | None = None
    problems: tuple[Problem, ...] = ()
    entries: tuple[Entry, ...] = ()
    judged: Mapping[Key, Judged] = field(default_factory=dict)
    last: Mapping[Key, Entry] = field(default_factory=dict)
    led: bool = False

    def recent(self, route: str) -> Iterator[Entry]:
        """The changes that were made of a route, and of the file by hand; the newest first."""
        mine = (one for one in reversed(self.entries) if one.route in ("", route))
        return (one for one in mine if one.status is Status.DONE)


class Desk:
    """Where the papers lie. May be used by several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._content: bytes | None = None
        self._position = 0
        self._papers = Papers()

    def papers(self) -> Papers:
        """As they are now. A history that cannot be read is taken as it last was."""
        with self._lock:
            changed = self._read_file()
            try:
                self._read_history(changed)
            except OSError:
                self._position = 0  # and anew as soon as it can be
            self._papers = replace(self._papers, led=is_led(self._file))
            return self._papers

    def _read_file(self) -> bool:
        """Whether it says something else than before."""
        try:
            content = read_bounded(self._file)
        except OSError as error:
            self._content = None
            self._papers = replace(self._papers, problems=(missing(self._file, error),))
            return False
        if content == self._content:
            return False
        self._content = content
        try:
            self._papers = replace(self._papers, config=parse(content), problems=())
        except ConfigError as error:
            self._papers = replace(self._papers, problems=error.problems)
        return True

    def _read_history(self, changed: bool) -> None:
        newest: dict[Key, Record] = {}
        for row, end in journal.since(self._file, self._position, KINDS | {VERDICT, WATCH}):
            self._position = end
            if row is None:
                continue
            if row["row"] in KINDS:
                changed = True
            elif record := Record.of(row):
                newest[record.key] = record
        if newest:
            judged = dict(self._papers.judged)
            for key, record in newest.items():
                verdict, position, _ = record.again()
                judged[key] = Judged(record, verdict, position)
            self._papers = replace(self._papers, judged=judged)
        if changed:
            entries = tuple(history.read(self._file))
            done = (one for one in entries if one.status is Status.DONE)
            last = {(one.route, one.version): one for one in done}
            self._papers = replace(self._papers, entries=entries, last=last)
