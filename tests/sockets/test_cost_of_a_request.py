"""What a request may not cost: a task, a Future, a timer, a connection, memory that stays."""

from __future__ import annotations

import gc
import os
from collections import Counter
from typing import Any

import uvloop

from gateway.clients import reader
from gateway.workers import upstream
from tests.builders import make_config, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Gateway, eventually, request

REQUESTS = 1000
# The sweep of the listener wakes up ten times a second, whatever is asked.
FEW = 100


class CountingLoop(uvloop.Loop):
    """A loop that counts what is made on it."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()

    def create_task(self, *args: Any, **kwargs: Any) -> Any:
        self.made["tasks"] += 1
        return super().create_task(*args, **kwargs)

    def create_future(self) -> Any:
        self.made["futures"] += 1
        return super().create_future()

    def call_later(self, *args: Any, **kwargs: Any) -> Any:
        self.made["timers"] += 1
        return super().call_later(*args, **kwargs)

    def call_at(self, *args: Any, **kwargs: Any) -> Any:
        self.made["timers"] += 1
        return super().call_at(*args, **kwargs)


def ask_many(gateway: Gateway, number: int = REQUESTS) -> None:
    """On one kept connection."""
    with gateway.client() as client:
        for i in range(number):
            assert client.ask(fields=[("X-User-Id", f"user-{i}")]).status == 200


def test_a_request_makes_no_task_no_future_and_no_timer(serve: Serve, hire: Hire) -> None:
    versions = {"v1": hire().url, "v2": (hire().url, 50)}
    gateway = serve(make_config(versions, sticky=make_sticky()), new_loop=CountingLoop)
    ask_many(gateway, 10)
    loop = gateway.loop
    assert isinstance(loop, CountingLoop)
    loop.made.clear()
    ask_many(gateway)

    assert loop.made["tasks"] < FEW
    assert loop.made["futures"] < FEW
    assert loop.made["timers"] < FEW


def forget() -> None:
    """Everything that nobody needs, heads that are remembered (bounded) included."""
    reader.known.forget()
    upstream.known.forget()
    gc.collect()


def test_requests_leave_nothing_in_memory(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    forget()  # what an earlier file left is frozen, and not among the objects that are counted
    ask_many(gateway, 50)
    forget()
    before = Counter(type(thing).__name__ for thing in gc.get_objects())
    ask_many(gateway, 300)
    eventually(lambda: gateway.connections == 0)
    forget()
    after = Counter(type(thing).__name__ for thing in gc.get_objects())
    ours = {"Exchange", "Request", "RequestHead", "ReplyHead", "Outcome", "UpstreamConnection"}

    assert {name: after[name] - before[name] for name in ours} == dict.fromkeys(ours, 0)


def test_clients_that_come_and_go_leave_no_open_files(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(make_config({"v1": worker.url}))

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        clients = [gateway.client() for _ in range(40)]
        for client in clients:
            client.send(request())
        for client in clients[::2]:  # some take their answers, some reset, some just leave
            client.answer()
        for client in clients[::3]:
            client.reset()
        for client in clients:
            client.close()

    def as_before() -> bool:
        worker.drop_idle()
        return len(os.listdir("/proc/self/fd")) <= before

    eventually(as_before)


def test_many_idle_clients_do_not_disturb_one(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    idle = [gateway.client() for _ in range(300)]
    eventually(lambda: gateway.connections == 300)
    ask_many(gateway, 50)
    for client in idle:
        client.close()
    eventually(lambda: gateway.connections == 0)
