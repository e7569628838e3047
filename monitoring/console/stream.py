"""What changes on a page while somebody looks at it, as server-sent events (WHATWG HTML, 9.2).

A page is drawn once a second for all who look at it. Each of them is sent what has changed since
what it was sent last, so nothing waits in a queue: who is slow misses ticks, and who takes nothing
for too long is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.logs import Log

TICK: Final = 1.0  # seconds
MOST_CLIENTS: Final = 250
_PATIENCE: Final = 10.0  # seconds in which a client has to take what it is sent
# Seconds from one client to the next: what they are sent passes through a process that serves
# requests, for which a hundred at once are a burst.
_APART: Final = 0.005
_SILENCE: Final = 15  # ticks after which something is sent all the same

log = Log()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page at a moment: ``parts`` are pieces of HTML by the id of what they fill; ``plots`` is
    what its plots show, and ``news`` what is new of that since the last time, both as JSON and
    empty if there is nothing new.
    """

    parts: Mapping[str, str]
    plots: str = ""
    news: str = ""


@dataclass(slots=True)
class _Board:
    """A page that is looked at. The numbers are those of ticks."""

    draw: Callable[[], Drawn]
    clients: int = 0
    tick: int = 0
    drawn: dict[str, tuple[int, str]] = field(default_factory=dict)  # when it changed, and to what
    plots: str = ""
    news: str = ""
    news_at: int = 0  # of the newest news, and of those before
    news_before: int = 0
    turned: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[int, bytes] = field(default_factory=dict)  # of this tick, by what is known already

    async def turn(self) -> None:
        """Draw it anew, and wake those who wait for that."""
        drawn = await run_in_threadpool(self.draw)
        self.tick += 1
        self.told = {}
        for name, html in drawn.parts.items():
            if self.drawn.get(name, (0, ""))[1] != html:
                self.drawn[name] = self.tick, html
        if drawn.plots:
            self.plots, self.news = drawn.plots, drawn.news
            self.news_before, self.news_at = self.news_at, self.tick
        turned, self.turned = self.turned, asyncio.Event()
        turned.set()

    def since(self, tick: int) -> bytes:
        """What has changed since, as events; empty if nothing has."""
        if tick not in self.told:
            self.told[tick] = self._since(tick)
        return self.told[tick]

    def _since(self, tick: int) -> bytes:
        parts = [
            f'<hx-partial hx-target="#{name}" hx-swap="innerMorph">{html}</hx-partial>'
            for name, (changed, html) in self.drawn.items()
            if changed > tick
        ]
        events = [_event("", "".join(parts))] if parts else []
        if self.plots and tick < self.news_at:
            # Who has missed the news before gets everything.
            follows = self.news and tick >= self.news_before > 0
            events.append(_event("news", self.news) if follows else _event("plots", self.plots))
        return "".join(events).encode()


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n" if name else f"{lines}\n"


class Hub:
    """All pages that are looked at. To be used in one event loop."""

    def __init__(self) -> None:
        self._boards: dict[Hashable, _Board] = {}
        self._clients = 0
        self._ticking: asyncio.Task[None] | None = None

    def stream(self, page: Hashable, draw: Callable[[], Drawn]) -> Response:
        """An endless answer; ``page`` tells which clients look at the same. 503 beyond
        :data:`MOST_CLIENTS`.
        """
        if self._clients >= MOST_CLIENTS:
            said = f"{MOST_CLIENTS} pages are being looked at already\n"
            return PlainTextResponse(said, 503, {"Retry-After": "10"})
        return _Stream(self._events(page, draw), media_type="text/event-stream")

    @property
    def idle(self) -> bool:
        """Whether nothing is drawn, as nobody looks."""
        return self._ticking is None or self._ticking.done()

    async def close(self) -> None:
        """Draw no more."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])

    async def _events(self, page: Hashable, draw: Callable[[], Drawn]) -> AsyncIterator[bytes]:
        board = self._boards.setdefault(page, _Board(draw))
        late = min(board.clients * _APART, TICK / 2)
        board.clients += 1
        self._clients += 1
        if self.idle:
            self._ticking = asyncio.create_task(self._run())
        try:
            if not board.tick:
                await board.turn()
            tick = quiet = 0
            while True:
                news = board.since(tick)
                tick = board.tick
                quiet = 0 if news else quiet + 1
                if news or quiet >= _SILENCE:
                    quiet = 0
                    yield news or b": nothing new\n\n"
                await board.turned.wait()
                await asyncio.sleep(late)
        finally:
            self._clients -= 1
            board.clients -= 1
            if not board.clients:
                self._boards.pop(page, None)

    async def _run(self) -> None:
        """Draw all pages once a tick, for as long as there are any."""
        while self._boards:
            await asyncio.sleep(TICK)
            for board in list(self._boards.values()):
                try:
                    await board.turn()
                except Exception as error:  # the next tick may fare better
                    log.error("a page could not be drawn", error=repr(error))


class _Stream(StreamingResponse):
    """Ends where a client takes nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(_PATIENCE):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        except TimeoutError:
            log.info("a console was dropped: it takes nothing", patience=_PATIENCE)
