"""Delivers notices to webhooks, and never keeps anybody waiting.

Whoever tells it something puts it into a queue and goes on. One thread serves all webhooks, each in
a round of its own, so a dead one keeps no other waiting; its notices arrive in the order in which
they were told, and its queue is bounded. What becomes of each notice is told to a callback.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gateway.logs import Log
from gateway.model import Event, Webhook
from monitoring.notices.delivery import TIMEOUT, Attempt, attempt, network
from monitoring.notices.lookup import LookupLoop
from monitoring.notices.notice import Notice

if TYPE_CHECKING:
    import httpx2

BACKOFF: Final = (1.0, 2.0, 4.0, 8.0)  # seconds after each failed attempt but the last
ROOM: Final = 100  # notices that wait for one webhook
_JITTER: Final = 0.5  # of a pause, at most: those who failed together do not come back together
_GRACE: Final = 1.0  # seconds for what was given up to end

log = Log()


class Outcome(StrEnum):
    """What became of a notice; the metric label ``outcome``."""

    DELIVERED = "delivered"
    FAILED = "failed"  # no attempt was a success
    DROPPED = "dropped"  # never tried: there were too many, or it came too late


OnOutcome = Callable[[Notice, str, Outcome], None]
"""Told of each notice and URL. Usually called from the delivering thread, which waits for it, and
from who tells or closes where something is dropped.
"""


class Postman:
    """One per process. ``close`` ends it.

    ``draw`` gives a number from 0 to 1 for each pause; ``transport`` stands in for the network.
    """

    def __init__(
        self,
        on_outcome: OnOutcome,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        room: int = ROOM,
        timeout: float = TIMEOUT,
    ) -> None:
        self._on_outcome = on_outcome
        self._transport = transport
        self._sleep = sleep
        self._draw = draw
        self._room = room
        self._timeout = timeout
        self._lock = threading.Lock()  # of the four below
        self._waiting: dict[str, deque[Notice]] = {}  # by URL; there is a round for each
        self._loop: LookupLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._rounds: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[float]
        for library in ("httpcore2", "httpx2"):  # they would write whole URLs
            logging.getLogger(library).setLevel(logging.WARNING)

    def tell(self, webhooks: Iterable[Webhook], notice: Notice) -> None:
        """Deliver the notice to those of the webhooks that ask for such events, once to each URL.

        Returns at once and raises nothing.
        """
        urls = dict.fromkeys(one.url for one in webhooks if notice.event in one.events)
        for url in urls:
            for dropped in self._put(url, notice):
                self._conclude(dropped, url, Outcome.DROPPED)

    def close(self, patience: float) -> None:
        """Give what was told so many seconds to arrive, then give up the rest. Takes nothing new.
        Not to be called from the callback.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            with suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(self._end.set_result, patience)
            thread.join(patience + _GRACE)

    def _put(self, url: str, notice: Notice) -> list[Notice]:
        """Queue it; what had to go instead."""
        with self._lock:
            if self._closed:
                return [notice]
            waiting = self._waiting.get(url)
            if waiting is not None:
                waiting.append(notice)
                return [_expendable(waiting)] if len(waiting) > self._room else []
            try:
                loop = self._running()
                self._waiting[url] = deque([notice])
                loop.call_soon_threadsafe(self._begin, url)
            except (OSError, RuntimeError) as error:  # no thread or descriptor is to be had
                self._waiting.pop(url, None)
                log.error("no notices", why=str(error))
                return [notice]
        return []

    def _running(self) -> LookupLoop:
        """The loop; begun with the first notice. Raises OSError and RuntimeError."""
        if self._loop is None:
            loop = LookupLoop()
            self._end = loop.create_future()
            thread = threading.Thread(target=self._run, args=(loop,), name="notices", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                loop.close()
                raise
            self._loop, self._thread = loop, thread
        return self._loop

    # In the thread.

    def _run(self, loop: LookupLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())
        for url, waiting in self._waiting.items():  # nobody adds to it any more
            for notice in waiting:
                self._conclude(notice, url, Outcome.DROPPED)

    async def _serve(self) -> None:
        """Until the end."""
        patience = await self._end
        if self._rounds:
            await asyncio.wait(self._rounds, timeout=patience)
        given_up = list(self._rounds)
        for one in given_up:
            one.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        if self._transport is not None:
            await self._transport.aclose()

    def _begin(self, url: str) -> None:
        task = asyncio.get_running_loop().create_task(self._round(url))
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    async def _round(self, url: str) -> None:
        """Deliver what waits for one webhook until nothing does."""
        while (notice := self._next(url)) is not None:
            outcome = Outcome.FAILED
            try:
                outcome = await self._deliver(url, notice)
            finally:  # also if it is given up
                self._conclude(notice, url, outcome)

    def _next(self, url: str) -> Notice | None:
        with self._lock:
            if self._waiting[url]:
                return self._waiting[url].popleft()
            del self._waiting[url]
            return None

    async def _deliver(self, url: str, notice: Notice) -> Outcome:
        told = log.bind(notice=notice.event, id=notice.id, receiver=_receiver(url))
        for pause in (*BACKOFF, None):
            last = await self._attempt(url, notice)
            if not last.why:
                told.info("notice delivered")
                return Outcome.DELIVERED
            if pause is None or not last.again:
                break
            wait = max(pause * (1 + _JITTER * self._draw()), last.wait)
            told.warning("notice not delivered yet", why=last.why, again_in=round(wait, 1))
            await self._sleep(wait)
        told.error("notice not delivered", why=last.why)
        return Outcome.FAILED

    async def _attempt(self, url: str, notice: Notice) -> Attempt:
        if self._transport is None:
            try:
                self._transport = network()
            except OSError as error:
                return Attempt(f"nobody can be verified: {error}")
        return await attempt(self._transport, url, notice, self._timeout)

    def _conclude(self, notice: Notice, url: str, outcome: Outcome) -> None:
        if outcome is Outcome.DROPPED:
            log.error("notice dropped", notice=notice.event, id=notice.id, receiver=_receiver(url))
        try:
            self._on_outcome(notice, url, outcome)
        except Exception as error:  # of somebody else's making: the next notice is not to blame
            log.error("outcome not taken", why=f"{type(error).__name__}: {error}")


def _expendable(waiting: deque[Notice]) -> Notice:
    """Take out what is missed least: the oldest error, else the oldest of all."""
    index = next((i for i, one in enumerate(waiting) if one.event is Event.ERROR), 0)
    notice = waiting[index]
    del waiting[index]
    return notice


def _receiver(url: str) -> str:
    """As much of a webhook as a log may say."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}"
    except ValueError:
        return ""
