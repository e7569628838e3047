"""Looks at the gateways' ``/metrics``: each second while somebody watches, else now and then.

In a thread of its own, so a gateway that does not answer keeps no page waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, time
from typing import Final, Self, TypeAlias

from gateway.logs import Log
from monitoring.console.exposition import Reader, Reading
from monitoring.console.series import Series
from monitoring.readings.sources import SourceError

WATCHED: Final = 1.0  # seconds between two looks while somebody watches
UNWATCHED: Final = 5.0
_FOR: Final = 10.0  # seconds for which one who has asked for a page is taken to watch

log = Log()


Ask: TypeAlias = Callable[[], Mapping[str, str | SourceError]]
"""What ``GET /metrics`` says at each gateway, by address, or why it says nothing."""


class Sampler:
    """A context: it looks for as long as that lasts."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time) -> None:
        self.silent: tuple[str, ...] = ()  # why those who said nothing at the last look did so
        self.last = 0.0  # Unix time of the last look that any of them answered
        self._ask = ask
        self._clock = clock
        self._readers: dict[str, Reader] = {}
        self._series = Series()
        self._lock = threading.Lock()
        self._until = 0.0  # monotonic: somebody watches
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def series(self) -> Iterator[Series]:
        """What was seen, which does not change meanwhile."""
        with self._lock:
            yield self._series

    def watch(self) -> None:
        """Somebody watches: look often for a while, and at once if the last look was long ago."""
        now = monotonic()
        idle, self._until = now > self._until, now + _FOR
        if idle:
            self._wake.set()

    def look(self) -> None:
        """Once."""
        found = self._ask()
        readings: dict[str, Reading] = {}
        silent = []
        for address, said in found.items():
            try:
                if isinstance(said, SourceError):
                    raise said
                reader = self._readers.setdefault(address, Reader())
                readings[address] = reader.read(said)
            except (SourceError, ValueError) as error:
                silent.append(str(error))
        with self._lock:
            self.silent = tuple(silent)
            if readings:
                self.last = self._clock()
                self._series.take(self.last, readings)

    def _run(self) -> None:
        due = monotonic()
        while True:
            try:
                self.look()
            except Exception as error:  # the next look may fare better; pages say how old this is
                log.error("a look at the gateways failed", error=repr(error))
            self._wake.clear()  # before asking who wants what: who asks from here on wakes it
            if self._stopped.is_set():
                return
            watched = monotonic() < self._until
            due = max(due + (WATCHED if watched else UNWATCHED), monotonic())
            if self._wake.wait(due - monotonic()):
                due = monotonic()
