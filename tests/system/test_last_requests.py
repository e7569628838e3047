"""The way out: SIGTERM in the middle of everything, and nobody who was let in goes away unanswered.

Every client here goes on until it is told ``Connection: close``, or finds nobody to connect to: a
request that was sent and not answered is lost.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.sockets.peers import Client, Message, Talk, Worker, eventually, request
from tests.system.crowd import Crowd

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 25s
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 20}}
"""
BODY = b'{"predictions": ["setosa"]}'
PROCESSES = pytest.mark.parametrize("processes", [1, 2], ids=["one process", "a group"])


class Slow:
    """A worker's behaviour: who asks for /slow is answered when the test says so."""

    def __init__(self) -> None:
        self.waiting = 0
        self.go_on = threading.Event()

    def __call__(self, talk: Talk) -> None:
        if talk.request.target == "/slow":
            self.waiting += 1
            assert self.go_on.wait(60)
        talk.reply(body=BODY)


@dataclass
class Scene:
    """A gateway and its two workers."""

    served: Any
    slow: Slow
    workers: list[Worker]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.served.data_port

    def notice(self) -> None:
        """Tell it to end, and wait until it says that it does."""
        self.served.process.send_signal(signal.SIGTERM)
        eventually(lambda: self.served.status()["draining"], 30)

    def ended(self) -> int:
        """Its exit code, once it has one."""
        return int(self.served.process.wait(40))


@pytest.fixture
def scene(system: Any) -> Iterator[Callable[[int], Scene]]:
    slow = Slow()
    workers = [Worker(slow, name=name) for name in ("v1", "v2")]
    text = TEXT.format(v1=workers[0].url, v2=workers[1].url)

    def start(processes: int) -> Scene:
        return Scene(system.gateway(text, "--processes", str(processes)), slow, workers)

    yield start
    slow.go_on.set()
    system.stop()
    for worker in workers:
        worker.close()


@PROCESSES
def test_sigterm_under_load_loses_no_request(scene: Callable[[int], Scene], processes: int) -> None:
    """nginx, HAProxy and Envoy lose all that is under way on SIGTERM (118, 114 and 117 of about as
    many when measured); their own graceful ways lose none of that.
    """
    stage = scene(processes)
    with ExitStack() as stack:
        idle = [stack.enter_context(Client(stage.address)) for _ in range(20)]
        held = [stack.enter_context(Client(stage.address)) for _ in range(20)]
        for client in idle:
            assert client.ask().status == 200
        for client in held:
            client.send(request(target="/slow"))
        eventually(lambda: stage.slow.waiting == 20)
        crowd = stack.enter_context(Crowd(stage.address, clients=6, leaves=True))
        eventually(lambda: crowd.answered > 300)

        stage.notice()
        crowd.join()  # each has been told to close
        stage.slow.go_on.set()
        answers = [client.answer() for client in held]

        assert {told(answer) for answer in answers} == {(200, BODY, "close")}
        assert crowd.lost == []
        assert crowd.odd == []
        assert all(client.ended() for client in (*idle, *held))
        assert stage.ended() == 0
    asked = sum(len(worker.requests) for worker in stage.workers)
    assert asked == crowd.answered + 40


def told(answer: Message) -> tuple[int, bytes, str]:
    return answer.status, answer.body, answer["connection"]


@PROCESSES
def test_a_request_on_its_way_to_an_idle_connection_is_answered(
    scene: Callable[[int], Scene], processes: int
) -> None:
    """A gateway that closed its idle connections at once would lose it: nobody can know."""
    stage = scene(processes)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(stage.address)) for _ in range(12)]
        for client in clients:
            assert client.ask().status == 200
        stage.notice()
        answers = [client.ask() for client in clients]

        assert {told(answer) for answer in answers} == {(200, BODY, "close")}
        assert all(client.ended() for client in clients)
    assert stage.ended() == 0


@PROCESSES
def test_a_request_that_is_half_sent_at_the_notice_is_answered(
    scene: Callable[[int], Scene], processes: int
) -> None:
    stage = scene(processes)
    whole = request(body=b"x" * 1000)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(stage.address)) for _ in range(6)]
        for number, client in enumerate(clients):
            client.send(whole[: (10, 60, 500)[number % 3]])
        stage.notice()
        for number, client in enumerate(clients):
            client.send(whole[(10, 60, 500)[number % 3] :])
        answers = [client.answer() for client in clients]

        assert {told(answer) for answer in answers} == {(200, BODY, "close")}
    assert stage.ended() == 0


@PROCESSES
def test_who_connected_before_the_notice_is_answered(
    scene: Callable[[int], Scene], processes: int
) -> None:
    """Also who connected so late that the gateway has not seen it yet."""
    stage = scene(processes)
    with ExitStack() as stack:
        stopped = stage.served.status()["processes"]
        for one in stopped:
            os.kill(one["pid"], signal.SIGSTOP)
        clients = [stack.enter_context(Client(stage.address)) for _ in range(12)]
        stage.served.process.send_signal(signal.SIGTERM)
        for one in stopped:
            os.kill(one["pid"], signal.SIGCONT)
        answers = [client.ask() for client in clients]

        assert {(answer.status, answer.body) for answer in answers} == {(200, BODY)}
    assert stage.ended() == 0


@PROCESSES
def test_after_the_notice_readiness_fails_and_nobody_is_let_in(
    scene: Callable[[int], Scene], processes: int
) -> None:
    stage = scene(processes)
    with Client(stage.address) as held:
        held.send(request(target="/slow"))
        eventually(lambda: stage.slow.waiting == 1)
        stage.notice()

        def closed() -> bool:
            try:
                Client(stage.address).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(closed)
        ready = stage.served.status()
        stage.slow.go_on.set()

        assert ready["draining"]
        assert held.answer().status == 200
    assert stage.ended() == 0


def test_a_killed_member_loses_only_what_it_held(scene: Callable[[int], Scene]) -> None:
    stage = scene(2)
    pids = [one["pid"] for one in stage.served.status()["processes"]]
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(stage.address)) for _ in range(16)]
        held: dict[int, list[Client]] = {pid: [] for pid in pids}
        for client in clients:
            before = answered_by(stage)
            assert client.ask().status == 200
            pid = eventually(lambda before=before: who_answered(stage, before))
            held[pid].append(client)
        for client in clients:
            client.send(request(target="/slow"))
        eventually(lambda: stage.slow.waiting == 16)

        os.kill(pids[0], signal.SIGKILL)
        eventually(lambda: all(client.ended() for client in held[pids[0]]))
        stage.slow.go_on.set()
        answers = [client.answer() for client in held[pids[1]]]

        assert [answer.status for answer in answers] == [200] * len(held[pids[1]])
        assert min(len(one) for one in held.values()) > 0
        eventually(lambda: pids[0] not in answered_by(stage) and len(answered_by(stage)) == 2, 60)
        with Client(stage.address) as client:
            assert client.ask().status == 200


def who_answered(stage: Scene, before: dict[int, int]) -> int | None:
    """The process that has answered since: it counts just after the answer is written."""
    return next((pid for pid, number in answered_by(stage).items() if number > before[pid]), None)


def answered_by(stage: Scene) -> dict[int, int]:
    return {one["pid"]: one["answered"] for one in stage.served.status()["processes"]}
