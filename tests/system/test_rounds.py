"""Users that stick count again on schedule, in one process and in several, under load."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import gateway.app
from gateway.machine.port import Address
from gateway.routing.rounds import Schedule
from monitoring.readings.evidence import Window
from monitoring.readings.windows import windows_of
from tests.sockets.peers import Client, Worker, eventually
from tests.system.conftest import get

TEXT = """\
routes:
  iris:
    match: {{path: /iris}}
    stable: v1
    sticky: {{header: X-User}}
    analysis: {{max_false_rollback: 1%}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 30}}
  other:
    stable: v1
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 30}}
"""
FAST = Schedule(first=0.3, growth=2.0, longest=0.3, every=0.02)
ANYWHERE = Address("127.0.0.1", 0)
USERS = [f"user-{number}" for number in range(24)]


@contextmanager
def running(path: Path, processes: int, schedule: Schedule) -> Iterator[gateway.app.Gateway]:
    """A whole gateway, on a loop in a thread of its own."""
    up, found = threading.Event(), list[Any]()

    async def run() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with gateway.app.create_gateway(
            path, ANYWHERE, ANYWHERE, processes=processes, schedule=schedule
        ) as one:
            found.extend([one, lambda: loop.call_soon_threadsafe(stop.set)])
            up.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert up.wait(60)
    try:
        yield found[0]
    finally:
        found[1]()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def workers() -> Iterator[dict[str, Worker]]:
    made = {name: Worker(name=name) for name in ("v1", "v2")}
    yield made
    for worker in made.values():
        worker.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_no_request_is_lost_while_users_count_again_and_again(
    tmp_path: Path, workers: dict[str, Worker], processes: int
) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT.format(**{name: one.url for name, one in workers.items()}))
    over = threading.Event()

    with running(path, processes, FAST) as one:
        admin = f"http://{one.admin}"

        def load(part: list[str]) -> dict[str, set[str]]:
            """Who got what; every request is answered."""
            given: dict[str, set[str]] = {}
            with Client((one.data.host, one.data.port)) as client:
                while not over.is_set():
                    for user in part:
                        answer = client.ask(target="/iris", fields=[("X-User", user)])
                        assert answer.status == 200
                        given.setdefault(user, set()).add(answer["X-Model-Version"])
                        assert client.ask(target="/other").status == 200
            return given

        def last() -> Any:
            return get(f"{admin}/api/evidence")["generations"][-1]

        def counted(route: str) -> int:
            generations = get(f"{admin}/api/evidence")["generations"]
            rows = [one["routes"][route] for one in generations if route in one["routes"]]
            return sum(version["assigned"] for row in rows for version in row.values())

        def windows() -> tuple[Window, ...]:
            return windows_of([get(f"{admin}/api/evidence")], "iris", "v2")

        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load, USERS[at::4]) for at in range(4)]
            try:
                eventually(lambda: repeat_of(last()) >= 8, 60)
                before = [counted("other")]
                eventually(lambda: repeat_of(last()) >= 12, 60)
                again = eventually(lambda: [one for one in windows() if one.round and of(one)], 60)
                before.append(counted("other"))
            finally:
                over.set()
            given = [user for each in loads for user in each.result(60).items()]
        eventually(lambda: last()["splits"]["iris"]["sticky"]["seen"] == 0, 60)
        told = windows()
        status = get(f"{admin}/api/status")
        generations = get(f"{admin}/api/evidence")["generations"]

    assert before[0] < before[1]  # and it was never begun anew
    assert all(len(versions) == 1 for _, versions in given)
    assert len(given) == len(USERS)
    assert len({one.round for one in told}) == len(told) > 3
    assert all(0 < of(one) <= len(USERS) for one in again)
    assert of(told[0]) <= len(USERS)
    assert list(generations[0]["routes"]) == ["iris", "other"]
    assert status["since"] == generations[0]["since"]
    assert all(not process["restarts"] for process in status["processes"])


def test_a_process_that_is_stuck_is_not_ended_for_a_round(
    tmp_path: Path, workers: dict[str, Worker]
) -> None:
    """As it would be for another file. It marks users where it did until it goes on."""
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT.format(**{name: one.url for name, one in workers.items()}))
    with running(path, 2, FAST) as one:
        admin = f"http://{one.admin}"

        def repeat() -> int:
            return repeat_of(get(f"{admin}/api/evidence")["generations"][-1])

        before = {process["pid"] for process in get(f"{admin}/api/status")["processes"]}
        stuck = min(before)
        os.kill(stuck, signal.SIGSTOP)
        try:
            began = repeat()
            eventually(lambda: repeat() > began, 60)
        finally:
            os.kill(stuck, signal.SIGCONT)
        went_on = repeat()
        eventually(lambda: repeat() > went_on + 2, 60)
        after = {process["pid"] for process in get(f"{admin}/api/status")["processes"]}

    assert after == before


def of(window: Window) -> int:
    """How many users have counted."""
    return window.candidate.assigned + window.stable.assigned


def repeat_of(generation: Any) -> int:
    return int(generation["splits"]["iris"]["repeat"])
