"""Work that may hang or raise, done beside the event loop and with a deadline.

All bookkeeping happens in the event loop; a thread only takes jobs and hands back what came out. A
thread whose job is late cannot be stopped in Python: it is given up, and another takes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

MAX_THREADS = 4  # predictions at a time: so a few that are slow hold up nobody
MAX_WAITING = 64
MAX_STUCK = 4  # from here on somebody should start this process anew


class Overloaded(Exception):
    """The job was not begun."""


class Late(Exception):
    """The job was begun and not done within its time; its thread is given up."""


class Raised(Exception):
    """The job raised what is this exception's cause."""


class Threads:
    """Runs calls, several at a time, each for at most ``timeout_s`` from its arrival. Half of that
    is for waiting: whatever is begun has the other half at least, and what then is late does hang.

    ``prepare`` is called at the start of each thread, for settings that libraries keep by thread.
    """

    def __init__(self, timeout_s: float, prepare: Callable[[], None] = lambda: None) -> None:
        self.timeout_s = timeout_s
        self.stuck = 0  # jobs given up that still run
        self._prepare = prepare
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._live = 0  # threads that are not given up
        self._open = 0  # jobs neither done nor given up

    @property
    def well(self) -> bool:
        """Whether it still makes sense to ask."""
        return self.stuck < MAX_STUCK

    async def run(self, call: Callable[[], Any]) -> Any:
        """What the call returns. Raises :class:`Overloaded`, :class:`Late` or :class:`Raised`."""
        if not self.well:
            raise Overloaded(f"{self.stuck} predictions hang")
        if self._open >= MAX_THREADS + MAX_WAITING:
            raise Overloaded(f"{self._open - MAX_THREADS} requests wait already")
        job = _Job(call, asyncio.get_running_loop())
        job.deadline = job.loop.time() + self.timeout_s
        job.timer = job.loop.call_later(self.timeout_s / 2, self._half_time, job)
        self._open += 1
        self._queue.put(job)
        self._staff()
        return await job.future

    def _staff(self) -> None:
        if self._live < min(self._open, MAX_THREADS):
            hand = Thread(target=_Hand(self).work, name="predictions", daemon=True)
            with suppress(RuntimeError):  # no more are to be had: jobs wait for those there are
                hand.start()
                self._live += 1

    def _half_time(self, job: _Job) -> None:
        if job.claim.acquire(blocking=False):  # so no thread begins it any more
            self._open -= 1
            job.fail(Overloaded(f"not begun within {self.timeout_s / 2:g} s"))
        else:
            job.timer = job.loop.call_at(job.deadline, self._late, job)

    def _late(self, job: _Job) -> None:
        assert job.hand is not None
        job.given_up = job.hand.given_up = True
        self.stuck += 1
        self._open -= 1
        self._live -= 1
        self._staff()
        job.fail(Late(f"not done within {self.timeout_s:g} s"))

    def _done(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job.given_up:
            self.stuck -= 1
            return
        job.timer.cancel()
        self._open -= 1
        if error is not None:
            raised = Raised()
            raised.__cause__ = error
            job.fail(raised)
        elif not job.future.done():
            job.future.set_result(result)


class _Job:
    """A call, and who waits for it. Whoever gets ``claim`` decides: a thread to begin it, or the
    event loop to give it up.
    """

    __slots__ = ("call", "claim", "deadline", "future", "given_up", "hand", "loop", "timer")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.loop = loop
        self.claim = Lock()
        self.future: asyncio.Future[Any] = loop.create_future()
        self.timer: asyncio.TimerHandle
        self.deadline = 0.0  # of the loop's clock
        self.hand: _Hand | None = None
        self.given_up = False

    def fail(self, error: Exception) -> None:
        if not self.future.done():  # else cancelled: whoever waited is gone
            self.future.set_exception(error)


class _Hand:
    """What one thread does."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self.given_up = False

    def work(self) -> None:
        threads = self._threads
        threads._prepare()
        while not self.given_up:
            job = threads._queue.get()
            job.hand = self
            if not job.claim.acquire(blocking=False):
                continue
            result = error = None
            try:
                result = job.call()
            except BaseException as raised:  # a model may even ask to exit
                error = raised
            with suppress(RuntimeError):  # the loop was closed meanwhile
                job.loop.call_soon_threadsafe(threads._done, job, result, error)
            del job, result, error  # nothing is kept until the next one comes
