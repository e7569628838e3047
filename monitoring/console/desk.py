"""Where the routing file and its history are read.

Again whenever somebody asks, but only what is new: the file is compared by its bytes, and of the
history the rows that were added are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock

from gateway.config import parse
from gateway.errors import ConfigError
from gateway.files.reloader import missing, read_bounded
from monitoring.console.papers import Judged, Papers
from monitoring.controller.leader import is_led
from monitoring.history import changes, journal
from monitoring.history.chain import KINDS
from monitoring.judgement.docket import Key
from monitoring.judgement.record import VERDICT, WATCH, Record
from monitoring.summary import newest_of, sentence_of


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
            entries = tuple(changes.read(self._file))
            self._papers = replace(self._papers, entries=entries, last=newest_of(entries))
        if changed or newest:
            self._papers = replace(self._papers, sentences=dict(_sentences(self._papers)))


def _sentences(papers: Papers) -> Iterator[tuple[Key, str]]:
    for route in papers.config.routes if papers.config else ():
        for version in route.versions:
            key = route.name, version.name
            judged = papers.judged.get(key)
            record = judged.record if judged else None
            if sentence := sentence_of(route, version, record, papers.last.get(key)):
                yield key, sentence
