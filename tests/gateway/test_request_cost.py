"""What a request costs the interpreter: calls and memory, counted, so that no machine's speed
matters. The limits are what was seen, and a little; whoever needs more, says why.
"""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from time import time
from typing import Any

import pytest

from gateway.clients.inbound import InboundConnection
from gateway.clients.listener import Kind
from gateway.clients.live import Live
from gateway.counting.exemplars import Exemplars
from gateway.counting.ledger import Ledger
from gateway.model import Endpoint
from gateway.routing.table import compile_table
from gateway.traces.traced import TracedConnection
from gateway.workers.upstream import UpstreamConnection
from tests.builders import make_config, make_prediction

BODY = b'{"predictions": ["setosa"], "probabilities": [0.5], "note": "%b"}' % (b"x" * 130)
REQUEST_BODY = b"x" * 300


class Wire:
    """A transport that keeps what was written last."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written = data

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.7", 1) if name == "peername" else None


class Pair:
    """One client and one worker with a gateway between them, and no sockets."""

    def __init__(self, kind: Kind) -> None:
        self.client, self.worker = Wire(), Wire()
        config = make_config(
            {"v1": "http://127.0.0.1:1"}, prediction=make_prediction("/predictions/0", "/p/0")
        )
        self.inbound = kind(Live(compile_table(config), Ledger(), dial=self.dial), set())
        self.inbound.connection_made(self.client)  # type: ignore[arg-type]
        self.upstream: UpstreamConnection | None = None

    async def dial(
        self, factory: Callable[[], UpstreamConnection], endpoint: Endpoint
    ) -> UpstreamConnection:
        self.upstream = factory()
        self.upstream.connection_made(self.worker)  # type: ignore[arg-type]
        return self.upstream

    def exchange(self, request: bytes, answer: bytes) -> None:
        """One request on a connection that exists already."""
        self.inbound.data_received(request)
        assert self.upstream is not None
        self.upstream.data_received(answer)

    async def begin(self, request: bytes, answer: bytes) -> None:
        """The first request waits for its connection."""
        self.inbound.data_received(request)
        for _ in range(10):
            await asyncio.sleep(0)
        assert self.upstream is not None
        self.upstream.data_received(answer)


def request(trace: int | None = None) -> bytes:
    own = b"" if trace is None else b"X-Trace: %d\r\n" % trace
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%b" % own
    return head + b"Content-Length: 300\r\n\r\n" + REQUEST_BODY


def answer(trace: int | None = None) -> bytes:
    own = b"" if trace is None else b"X-Trace: %d\r\n" % trace
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%b" % own
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture(params=["plain", "looking for traces"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A pair that has exchanged a few requests, of the kind of several processes or of one."""
    traced = partial(TracedConnection, Exemplars(time))
    made = Pair(InboundConnection if request.param == "plain" else traced)
    yield from exchanging(made)


def exchanging(made: Pair) -> Iterator[Pair]:
    with asyncio.Runner() as runner:
        runner.run(made.begin(request(), answer()))
        for _ in range(50):
            made.exchange(request(), answer())
        yield made


def calls_in(work: Callable[[], None]) -> tuple[int, int]:
    """Calls of Python functions and of C functions."""
    seen = {"call": 0, "c_call": 0}

    def note(frame: object, event: str, argument: object) -> None:
        if event in seen:
            seen[event] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return seen["call"] - 1, seen["c_call"] - 1  # the work's own, and setprofile's


def peak_of(work: Callable[[], None]) -> int:
    """The most bytes held at once, of those that were taken meanwhile."""
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - held


def test_an_ordinary_request_is_few_calls(pair: Pair) -> None:
    asked, answered = request(), answer()
    python, c = calls_in(lambda: pair.exchange(asked, answered))

    assert pair.client.written.endswith(BODY)
    assert python <= 46
    assert c <= 60


def test_a_request_with_a_head_of_its_own_is_not_many_more(pair: Pair) -> None:
    asked, answered = request(7), answer(7)
    python, c = calls_in(lambda: pair.exchange(asked, answered))

    assert pair.client.written.endswith(BODY)
    assert python <= 86
    assert c <= 140


def test_a_request_takes_little_memory_at_once(pair: Pair) -> None:
    asked, answered = request(), answer()
    pair.exchange(asked, answered)
    passed_on = len(pair.worker.written) + len(pair.client.written)
    bodies = len(REQUEST_BODY) + len(BODY)

    assert peak_of(lambda: pair.exchange(asked, answered)) <= 2 * (passed_on + bodies) + 2048


def test_memory_grows_with_the_body_and_not_with_its_square(pair: Pair) -> None:
    def asked(size: int) -> bytes:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
        return head + b"x" * size

    peaks = []
    for size in (10_000, 100_000, 1_000_000):
        whole = asked(size)
        pair.exchange(whole, answer())
        peaks.append(peak_of(lambda whole=whole: pair.exchange(whole, answer())))  # type: ignore[misc]

    assert all(
        peak <= 3 * size + 4096 for peak, size in zip(peaks, (1e4, 1e5, 1e6), strict=True)
    ), peaks
