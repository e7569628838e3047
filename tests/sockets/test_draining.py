"""Idle connections on the way out: kept for a moment, as a request may be on its way to them.

The gateway's clock stands still here, except where a test says so.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

import pytest

from gateway.clients.listener import IDLE_GRACE
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Clock, Gateway, eventually, request


class Frozen(Clock):
    def __call__(self) -> float:
        return self.ahead


@pytest.fixture
def gateway(serve: Serve, hire: Hire) -> Gateway:
    return serve(make_config({"v1": hire().url}), clock=Frozen())


def drain(gateway: Gateway) -> threading.Thread:
    """Begin to drain, and let the loop go round for some time."""
    thread = threading.Thread(target=lambda: gateway.wait(gateway.listener.drain(100)))
    thread.start()
    eventually(lambda: gateway.live.draining)
    gateway.wait(asyncio.sleep(0.3))
    return thread


def test_a_request_on_its_way_to_an_idle_connection_is_answered(gateway: Gateway) -> None:
    """nginx closes idle connections at once, and lost 870 of 33,165 requests in 60 reloads; it has
    keepalive_min_timeout against that since 1.27.4.
    """
    with gateway.client() as used, gateway.client() as fresh:
        assert used.ask().status == 200
        draining = drain(gateway)
        answers = [client.ask() for client in (used, fresh)]

        assert [(answer.status, answer["connection"]) for answer in answers] == [(200, "close")] * 2
        assert used.ended()
        assert fresh.ended()
    draining.join(20)
    assert not draining.is_alive()


def test_idle_connections_end_when_the_moment_is_over(gateway: Gateway) -> None:
    with gateway.client() as used, gateway.client() as fresh:
        assert used.ask().status == 200
        draining = drain(gateway)
        assert gateway.connections == 2
        gateway.skip(IDLE_GRACE)

        assert used.ended()
        assert fresh.ended()
    draining.join(20)
    assert not draining.is_alive()


@pytest.mark.parametrize("number", [1, 30])
def test_who_has_connected_is_let_in_before_the_door_is_closed(
    gateway: Gateway, number: int
) -> None:
    """The kernel has said yes to them already, and their request may have been sent."""
    with ExitStack() as stack:
        go_on = threading.Event()
        gateway.loop.call_soon_threadsafe(go_on.wait, 20)  # the loop sees nobody
        draining = threading.Thread(target=lambda: gateway.wait(gateway.listener.drain(100)))
        draining.start()
        clients = [stack.enter_context(gateway.client()) for _ in range(number)]
        for client in clients:
            client.send(request())
        go_on.set()
        answers = [client.answer() for client in clients]

        assert {(answer.status, answer["connection"]) for answer in answers} == {(200, "close")}
    draining.join(20)
    assert not draining.is_alive()
