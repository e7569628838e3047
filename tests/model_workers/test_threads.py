"""Work beside the event loop: what hangs is given up, what raises is told, nobody else waits."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from threading import Event, Semaphore, Thread, get_ident
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

TIMEOUT_S = 1000.0  # of the clock below, which no test waits for


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    async def pass_by(self, seconds: float) -> None:
        self.ahead += seconds
        for _ in range(3):  # for what is due now, and for those who wait for that
            await asyncio.sleep(0)


class Gate:
    """Work that hangs until it is let through."""

    def __init__(self) -> None:
        self._begun = Semaphore(0)
        self._open = Event()

    def hang(self) -> bool:
        self._begun.release()
        return self._open.wait()

    def begun(self, times: int = 1) -> None:
        for _ in range(times):
            assert self._begun.acquire(timeout=60), "hung"

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Open at the end, so that no thread is left behind."""
    gate = Gate()
    yield gate
    gate.open()


def told(story: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        return await story()

    with asyncio.Runner(loop_factory=Clock) as runner:
        return runner.run(whole())


async def started(threads: Threads, call: Callable[[], Any], times: int) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(threads.run(call)) for _ in range(times)]
    await asyncio.sleep(0)
    return tasks


async def pass_by(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Clock)
    await loop.pass_by(seconds)


async def hung(threads: Threads, gate: Gate, times: int) -> None:
    """So many calls begun and given up."""
    tasks = await started(threads, gate.hang, times)
    gate.begun(times)
    await pass_by(TIMEOUT_S / 2)
    assert not any(task.done() for task in tasks)
    await pass_by(TIMEOUT_S / 2)
    assert {type(task.exception()) for task in tasks} == {Late}


async def ended(threads: Threads) -> None:
    while threads.stuck:  # noqa: ASYNC110 (nobody is told when one ends)
        await asyncio.sleep(0)


def test_what_a_call_returns_comes_back_from_another_thread() -> None:
    threads = Threads(TIMEOUT_S)

    assert told(lambda: threads.run(get_ident)) != get_ident()


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(3), MemoryError()])
def test_whatever_a_call_raises_comes_back_as_raised(error: BaseException) -> None:
    threads = Threads(TIMEOUT_S)

    def call() -> None:
        raise error

    async def story() -> None:
        with pytest.raises(Raised) as caught:
            await threads.run(call)
        assert caught.value.__cause__ is error
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_what_hangs_is_given_up_and_the_next_call_has_a_thread(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        await hung(threads, gate, 1)
        assert threads.stuck == 1
        assert threads.well
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_calls_go_on_beside_one_that_hangs(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        (hanging,) = await started(threads, gate.hang, 1)
        assert [await threads.run(lambda: "well") for _ in range(10)] == ["well"] * 10
        assert not hanging.done()
        gate.open()
        assert await hanging

    told(story)


def test_after_so_many_that_hang_nothing_is_begun_until_one_of_them_ends(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        await hung(threads, gate, MAX_STUCK)
        assert not threads.well
        with pytest.raises(Overloaded, match="4 predictions hang"):
            await threads.run(lambda: "well")
        gate.open()
        await ended(threads)
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_what_waited_half_its_time_is_never_begun(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)
    begun = []

    async def story() -> None:
        await started(threads, gate.hang, MAX_THREADS)
        gate.begun(MAX_THREADS)
        (waiting,) = await started(threads, lambda: begun.append("late"), 1)
        await pass_by(TIMEOUT_S / 2)
        assert isinstance(waiting.exception(), Overloaded)
        gate.open()
        await threads.run(lambda: begun.append("in time"))
        assert begun == ["in time"]

    told(story)


def test_what_waits_is_begun_as_soon_as_those_before_it_are_given_up(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        hanging = await started(threads, gate.hang, MAX_THREADS)
        gate.begun(MAX_THREADS)
        await pass_by(TIMEOUT_S * 0.8)
        (waiting,) = await started(threads, lambda: "well", 1)
        await pass_by(TIMEOUT_S * 0.2)
        assert all(task.done() for task in hanging)
        assert await waiting == "well"

    told(story)


def test_no_more_wait_than_there_is_room_for(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        accepted = await started(threads, gate.hang, MAX_THREADS + MAX_WAITING)
        with pytest.raises(Overloaded, match=f"{MAX_WAITING} requests wait already"):
            await threads.run(int)
        gate.open()
        assert all(await asyncio.gather(*accepted))

    told(story)


def test_a_call_nobody_waits_for_any_more_takes_no_thread_from_others(gate: Gate) -> None:
    threads = Threads(TIMEOUT_S)

    async def story() -> None:
        left = await started(threads, gate.hang, MAX_THREADS)
        for task in left:
            task.cancel()
        gate.open()
        assert await threads.run(lambda: "well") == "well"

    told(story)


def test_a_machine_without_threads_to_give_is_asked_again_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(TIMEOUT_S)

    def refused(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Thread, "start", refused)
            waiting = await started(threads, lambda: "later", MAX_THREADS)
        assert await threads.run(lambda: "well") == "well"
        assert await asyncio.gather(*waiting) == ["later"] * MAX_THREADS

    told(story)


def test_each_thread_is_prepared_before_its_first_call() -> None:
    prepared: set[int] = set()
    threads = Threads(TIMEOUT_S, lambda: prepared.add(get_ident()))

    assert told(lambda: threads.run(get_ident)) in prepared
