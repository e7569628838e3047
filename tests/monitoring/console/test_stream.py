"""What a page's stream says: what has changed since a client was told last, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message

from monitoring.console import stream
from monitoring.console.stream import Drawn, Hub

PLOTS = Drawn({"a": "1"}, '{"all": 1}', "")


class Page:
    """Drawn as it is told."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn
        self.times = 0

    def __call__(self) -> Drawn:
        self.times += 1
        return self.drawn


def opened(hub: Hub, page: Page, key: str = "page") -> AsyncIterator[bytes]:
    answer = hub.stream(key, page)
    assert isinstance(answer, StreamingResponse)
    found: AsyncIterator[bytes] = answer.body_iterator  # type: ignore[assignment]
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "TICK", 0.01)


def test_the_first_message_is_everything_and_the_next_what_has_changed() -> None:
    async def told() -> tuple[bytes, bytes]:
        hub, page = Hub(), Page(Drawn({"a": "1", "b": "x\ny"}))
        messages = opened(hub, page)
        first = await anext(messages)
        page.drawn = Drawn({"a": "2", "b": "x\ny"})
        second = await anext(messages)
        await messages.aclose()  # type: ignore[attr-defined]
        await hub.close()
        return first, second

    first, second = asyncio.run(told())

    part = '<hx-partial hx-target="#{}" hx-swap="innerMorph">{}</hx-partial>'
    both = part.format("a", "1") + part.format("b", "x\ndata: y")
    assert first.decode() == f"data: {both}\n\n"
    assert second.decode() == f"data: {part.format('a', '2')}\n\n"


def test_plots_come_whole_and_then_what_is_new_unless_something_was_missed() -> None:
    async def told() -> list[bytes]:
        hub, page = Hub(), Page(Drawn({}, '{"all": 1}', ""))
        messages, slow = opened(hub, page), opened(hub, page)
        found = [await anext(messages), await anext(slow)]
        for number in (2, 3):
            page.drawn = Drawn({}, f'{{"all": {number}}}', f'{{"new": {number}}}')
            found.append(await anext(messages))
            page.drawn = Drawn({})
        found.append(await anext(slow))
        for one in (messages, slow):
            await one.aclose()  # type: ignore[attr-defined]
        await hub.close()
        return found

    first, of_slow, second, third, late = asyncio.run(told())

    assert first == of_slow == b'event: plots\ndata: {"all": 1}\n\n'
    assert second == b'event: news\ndata: {"new": 2}\n\n'
    assert third == b'event: news\ndata: {"new": 3}\n\n'
    assert late == b'event: plots\ndata: {"all": 3}\n\n'


def test_a_page_is_drawn_once_for_all_who_look_at_it_and_no_more_when_nobody_does() -> None:
    async def drawn() -> tuple[int, int]:
        hub, page = Hub(), Page(PLOTS)
        several = [opened(hub, page) for _ in range(20)]
        await anext(several[0])
        await asyncio.gather(*(anext(one) for one in several[1:]))
        page.drawn = Drawn({"a": "2"})
        found = await asyncio.gather(*(anext(one) for one in several))
        watched = page.times
        for one in several:
            await one.aclose()  # type: ignore[attr-defined]
        ended = hub.stream("other", page)  # nobody reads it
        assert ended.status_code == 200
        assert len(set(found)) == 1
        while not hub.idle:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        return watched, page.times

    watched, ended = asyncio.run(drawn())

    assert watched < 10
    assert ended <= watched + 1


def test_there_are_only_so_many_clients() -> None:
    async def refused() -> int:
        hub, page = Hub(), Page(PLOTS)
        several = [opened(hub, page) for _ in range(stream.MOST_CLIENTS)]
        for one in several:
            await anext(one)
        answer = hub.stream("page", page)
        for one in several:
            await one.aclose()  # type: ignore[attr-defined]
        again = hub.stream("page", page)
        assert again.status_code == 200
        await hub.close()
        return answer.status_code

    assert asyncio.run(refused()) == 503


def test_who_takes_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "_PATIENCE", 0.05)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def ended() -> None:
        hub = Hub()
        answer = hub.stream("page", Page(PLOTS))
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}
        await asyncio.wait_for(answer(scope, receive, send), 30)
        await hub.close()

    asyncio.run(ended())

    assert "it takes nothing" in capsys.readouterr().err


def test_a_page_that_cannot_be_drawn_for_once_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(Page):
        def __call__(self) -> Drawn:
            super().__call__()
            if self.times == 2:
                raise OSError("gone")
            return Drawn({"a": str(self.times)})

    async def told() -> bytes:
        hub, page = Hub(), Failing(PLOTS)
        messages = opened(hub, page)
        await anext(messages)
        found = await anext(messages)
        await messages.aclose()  # type: ignore[attr-defined]
        await hub.close()
        return found

    assert b">3<" in asyncio.run(told())
    assert "could not be drawn" in capsys.readouterr().err
