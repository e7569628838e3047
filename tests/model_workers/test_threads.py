"""Work beside the event loop: what hangs is given up, what raises is told, nobody else waits."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from threading import Event, get_ident
from typing import Any

import pytest

from model_workers.serving.threads import (
    MAX_STUCK,
    MAX_THREADS,
    MAX_WAITING,
    Late,
    Overloaded,
    Raised,
    Threads,
)

SOON = 0.02  # seconds until something counts as late, where that is what a test wants


@pytest.fixture
def gate() -> Iterator[Event]:
    """What hanging work waits for; open at the end, so that no thread is left behind."""
    gate = Event()
    yield gate
    gate.set()


def told(story: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await story()

    return asyncio.run(bounded())


async def ended(threads: Threads) -> None:
    while threads.stuck:  # noqa: ASYNC110 (nobody is told when one ends)
        await asyncio.sleep(0)


def test_what_a_call_returns_comes_back_from_another_thread() -> None:
    threads = Threads(60.0)

    assert told(lambda: threads.run(get_ident)) != get_ident()


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(3), MemoryError()])
def test_whatever_a_call_raises_comes_back_as_raised(error: BaseException) -> None:
    threads = Threads(60.0)

    def call() -> None:
        raise error

    async def story() -> None:
        with pytest.raises(Raised) as caught:
            await threads.run(call)
        assert caught.value.__cause__ is error
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_what_hangs_is_given_up_and_the_next_call_has_a_thread(gate: Event) -> None:
    threads = Threads(SOON)

    async def story() -> None:
        with pytest.raises(Late):
            await threads.run(gate.wait)
        assert threads.stuck == 1
        assert threads.well
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_calls_go_on_beside_one_that_hangs(gate: Event) -> None:
    threads = Threads(60.0)

    async def story() -> None:
        hanging = asyncio.create_task(threads.run(gate.wait))
        assert [await threads.run(lambda: "well") for _ in range(10)] == ["well"] * 10
        assert not hanging.done()
        gate.set()
        assert await hanging

    told(story)


def test_after_so_many_that_hang_nothing_is_begun_until_one_of_them_ends(gate: Event) -> None:
    threads = Threads(SOON)

    async def story() -> None:
        hanging = [threads.run(gate.wait) for _ in range(MAX_STUCK)]
        ends = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(end) for end in ends} == {Late}
        assert not threads.well
        with pytest.raises(Overloaded, match="4 predictions hang"):
            await threads.run(lambda: "well")
        gate.set()
        await ended(threads)
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_what_waited_all_its_time_is_never_begun(gate: Event) -> None:
    threads = Threads(SOON)
    begun = []

    async def story() -> None:
        hanging = [threads.run(gate.wait) for _ in range(MAX_THREADS)]
        waiting = threads.run(lambda: begun.append("late"))
        ends = await asyncio.gather(*hanging, waiting, return_exceptions=True)
        assert isinstance(ends[-1], Overloaded)
        gate.set()
        await ended(threads)
        await threads.run(lambda: begun.append("in time"))
        assert begun == ["in time"]

    told(story)


def test_no_more_wait_than_there_is_room_for(gate: Event) -> None:
    threads = Threads(60.0)
    room = MAX_THREADS + MAX_WAITING

    async def story() -> None:
        accepted = [asyncio.create_task(threads.run(gate.wait)) for _ in range(room)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match=f"{MAX_WAITING} requests wait already"):
            await threads.run(int)
        gate.set()
        assert all(await asyncio.gather(*accepted))

    told(story)


def test_a_call_nobody_waits_for_any_more_takes_no_thread_from_others(gate: Event) -> None:
    threads = Threads(60.0)

    async def story() -> None:
        left = [asyncio.create_task(threads.run(gate.wait)) for _ in range(MAX_THREADS)]
        await asyncio.sleep(0)
        for task in left:
            task.cancel()
        gate.set()
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_each_thread_is_prepared_before_its_first_call() -> None:
    prepared: set[int] = set()
    threads = Threads(60.0, lambda: prepared.add(get_ident()))

    assert told(lambda: threads.run(get_ident)) in prepared
