"""Gateways and workers that end with the test, and a check that the gateway's loop had no
complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.sockets.peers import Gateway, Worker

Serve = Callable[..., Gateway]
Hire = Callable[..., Worker]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(stack: ExitStack) -> Serve:
    """A running gateway for a config. At the end nothing may be in flight, and no exception may
    have reached its loop.
    """

    def start(*config: Any, **more: Any) -> Gateway:
        gateway = Gateway(*config, **more)

        def end() -> None:
            gateway.close()
            assert gateway.problems == []
            assert gateway.in_flight == 0

        stack.callback(end)
        return gateway

    return start


@pytest.fixture
def hire(stack: ExitStack) -> Hire:
    """A running worker."""

    def start(*behaviour: Any, **more: Any) -> Worker:
        return stack.enter_context(closing(Worker(*behaviour, **more)))

    return start
