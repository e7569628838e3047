"""What of a request is the gateway's own time, and when a streamed answer begins: told by a clock
that jumps where a test says so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.clients.inbound import BODY_TIMEOUT
from gateway.counting.report import ReloadStatus, State, gather
from gateway.counting.totals import Histogram
from gateway.errors import Reason
from gateway.workers.pool import dial
from gateway.workers.upstream import UpstreamConnection
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Behaviour,
    Gateway,
    Talk,
    answering,
    chunked,
    closing,
    eventually,
    hanging,
    refusing,
    request,
    resetting,
    saying,
    url_of,
)

LONG = 100.0  # seconds that pass at once
LITTLE = 20.0  # what really passes in a test is less, unless it hangs
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def started() -> list[Gateway]:
    """The gateway whose clock is meant."""
    return []


@pytest.fixture
def after_long(started: list[Gateway]) -> Callable[[Behaviour], Behaviour]:
    """A worker that takes its time before it does something."""

    def slow(then: Behaviour) -> Behaviour:
        def behave(talk: Talk) -> bool | None:
            started[0].skip(LONG)
            return then(talk)

        return behave

    return slow


def overhead(gateway: Gateway) -> Histogram:
    def look() -> Histogram:
        state = State("routing.yaml", ReloadStatus(), False, (), 0)
        return gather(gateway.plane.archive, state).overhead["iris"]

    return gateway.run(look)


def finished(gateway: Gateway) -> int:
    """Requests that have a duration, of all versions."""
    versions = gateway.live.serving.table.places
    return sum(sum(gateway.counts(place.version).waited.buckets) for place in versions)


def assert_little(gateway: Gateway, requests: int) -> None:
    found = overhead(gateway)
    assert sum(found.buckets) == finished(gateway) == requests
    assert 0 < found.sum < LITTLE


def test_what_client_waited_is_what_the_worker_took_and_the_overhead(
    serve: Serve, hire: Hire, started: list[Gateway], after_long: Callable[[Behaviour], Behaviour]
) -> None:
    worker = hire(answering(), first=[after_long(answering())])
    gateway = serve(make_config({"v1": worker.url}, timeout=1000.0))
    started.append(gateway)
    with gateway.client() as client:
        for _ in range(3):
            client.ask()
    gateway.settle()
    counted, found = gateway.counts("v1"), overhead(gateway)

    assert_little(gateway, 3)
    assert LONG <= counted.worked.sum < LONG + LITTLE
    assert counted.waited.sum == pytest.approx(counted.worked.sum + found.sum)


def good(talk: Talk) -> None:
    talk.reply()


@pytest.mark.parametrize(
    "fails",
    [answering(500), resetting, closing, saying(b"this is no HTTP\r\n\r\n")],
    ids=["500", "reset", "closed", "garbage"],
)
def test_what_a_failed_candidate_took_is_no_overhead_of_the_answer_of_stable(
    serve: Serve,
    hire: Hire,
    started: list[Gateway],
    after_long: Callable[[Behaviour], Behaviour],
    fails: Behaviour,
) -> None:
    stable, candidate = hire(after_long(good)), hire(after_long(fails))
    config = make_config({"v1": stable.url, "v2": (candidate.url, 100)}, timeout=1000.0)
    gateway = serve(config)
    started.append(gateway)

    assert gateway.ask().status == 200
    gateway.settle()
    assert_little(gateway, 1)
    assert gateway.counts("v1").waited.sum > 2 * LONG


def test_what_a_version_took_in_vain_is_no_overhead_of_its_second_try(
    serve: Serve, hire: Hire, started: list[Gateway], after_long: Callable[[Behaviour], Behaviour]
) -> None:
    worker = hire(after_long(good), first=[good, after_long(resetting)])
    gateway = serve(make_config({"v1": worker.url}, timeout=1000.0))
    started.append(gateway)
    with gateway.client() as client:
        assert [client.ask().status for _ in range(2)] == [200, 200]
    gateway.settle()

    assert gateway.retries("v1") == {Reason.RESET: 1}
    assert_little(gateway, 2)


@pytest.mark.parametrize(
    ("fallback", "seconds", "status"), [(True, 600.0, 200), (False, 1000.0, 504)]
)
def test_the_wait_for_a_worker_that_hangs_is_no_overhead(
    serve: Serve, hire: Hire, fallback: bool, seconds: float, status: int
) -> None:
    stable, candidate = hire(good), hire(hanging)
    versions = {"v1": stable.url, "v2": (candidate.url, 100)}
    gateway = serve(make_config(versions, timeout=1000.0, fallback=fallback))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: candidate.requests)
        gateway.skip(seconds)
        assert client.answer().status == status
    gateway.settle()

    assert_little(gateway, 1)


def test_the_wait_for_a_connection_is_overhead(
    serve: Serve, hire: Hire, started: list[Gateway]
) -> None:
    async def slow_dial(factory: object, endpoint: object) -> UpstreamConnection:
        started[0].skip(LONG)
        return await dial(factory, endpoint)  # type: ignore[arg-type]

    gateway = serve(make_config({"v1": hire(good).url}, timeout=1000.0), dial=slow_dial)
    started.append(gateway)

    assert gateway.ask().status == 200
    gateway.settle()
    assert LONG <= overhead(gateway).sum < LONG + LITTLE
    assert gateway.counts("v1").worked.sum < LITTLE


def test_an_answer_of_the_gateway_itself_has_an_overhead_as_well(serve: Serve) -> None:
    with refusing() as nobody:
        gateway = serve(make_config({"v1": url_of(nobody)}))
        assert gateway.ask().status == 503
        gateway.settle()

    assert_little(gateway, 1)


def test_the_wait_behind_another_request_is_no_overhead(
    serve: Serve, hire: Hire, started: list[Gateway], after_long: Callable[[Behaviour], Behaviour]
) -> None:
    gateway = serve(make_config({"v1": hire(after_long(good)).url}, timeout=1000.0))
    started.append(gateway)
    with gateway.client() as client:
        client.send(request() * 2)
        assert [client.answer().status for _ in range(2)] == [200, 200]
    gateway.settle()

    assert_little(gateway, 2)


def test_the_wait_for_the_rest_of_a_request_is_no_overhead(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire(good).url}, timeout=1000.0))
    whole = request(body=b"x" * 100)
    with gateway.client() as client:
        client.send(whole[:-50])
        eventually(gateway.reading)
        gateway.skip(0.75 * BODY_TIMEOUT)
        client.send(whole[-50:])
        assert client.answer().status == 200
    gateway.settle()

    assert overhead(gateway).sum < 0.75 * BODY_TIMEOUT


def test_a_client_that_leaves_leaves_the_overhead_of_its_request(
    serve: Serve, hire: Hire, started: list[Gateway]
) -> None:
    worker = hire(hanging)
    gateway = serve(make_config({"v1": worker.url}, timeout=1000.0))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
        gateway.skip(LONG)
    eventually(lambda: finished(gateway))

    assert_little(gateway, 1)


def test_a_streamed_answer_is_timed_to_its_first_byte_and_an_ordinary_one_is_not(
    serve: Serve, hire: Hire, started: list[Gateway]
) -> None:
    def tell(talk: Talk) -> None:
        started[0].skip(LONG)
        talk.send(EVENTS)
        eventually(lambda: passed)
        started[0].skip(LONG)
        pieces = chunked(b"data: a\n\n", b"data: b\n\n")
        talk.send(pieces[:14])
        eventually(lambda: len(passed) == 2)
        started[0].skip(LONG)
        talk.send(pieces[14:])

    passed: list[bytes] = []
    gateway = serve(make_config({"v1": hire(tell, first=[good]).url}, timeout=1000.0))
    started.append(gateway)
    with gateway.client() as client:
        client.ask()
        assert sum(gateway.counts("v1").began.buckets) == 0
        client.send(request())
        passed.append(client.until(b"\r\n\r\n"))
        passed.append(client.chunk())
        client.chunk()
        assert client.chunk() == b""
    gateway.settle()
    counted = gateway.counts("v1")

    assert sum(counted.began.buckets) == 1
    assert 2 * LONG <= counted.began.sum < 2 * LONG + LITTLE
    assert counted.waited.sum >= 3 * LONG
    assert_little(gateway, 2)
