"""Clients that take their time, take too much of ours, or come in crowds."""

from __future__ import annotations

import gc
import os
import select
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from random import Random

import pytest

from gateway.clients.inbound import BODY_TIMEOUT, HEAD_TIMEOUT
from gateway.http.request import UPLOAD_BUFFER
from gateway.model import Limits
from gateway.workers.backlog import STALL_TIMEOUT, TOTAL_TIMEOUT
from gateway.workers.upstream import REPLY_BUFFER
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    PATIENCE,
    Client,
    Ended,
    Gateway,
    Talk,
    Worker,
    answering,
    chunked,
    eventually,
    hanging,
    request,
    saying,
)

MEBIBYTE = 1024 * 1024
ANSWER = Random(1).randbytes(8_000_000)
CHUNKED = [("Transfer-Encoding", "chunked")]


def single(worker: Worker, **rules: object):
    return make_config({"v1": worker.url}, **rules)


def unsent(gateway: Gateway) -> int:
    """Bytes of answers that the gateway holds for its clients."""
    return gateway.run(lambda: sum(one.unsent() for one in tuple(gateway.listener._connections)))


def ask_slowly(gateway: Gateway, **more: object) -> Client:
    """Ask for a large answer, and take none of it."""
    known = gateway.counts("v1").answered
    before = sum(known.values())
    client = gateway.client(receive_buffer=4096)
    client.send(request(**more))  # type: ignore[arg-type]
    eventually(lambda: sum(gateway.counts("v1").answered.values()) > before)
    return client


# --- slow requests


def test_a_head_that_trickles_ends_after_ten_seconds(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    head = request("GET", body=None, fields=[("X", "y" * 100)])
    with gateway.client() as client:
        for i in range(11):
            client.send(head[i : i + 1])
            if i == 0:
                eventually(gateway.reading)
            gateway.settle()
            gateway.sweep()
            gateway.skip(HEAD_TIMEOUT / 10)
        gateway.sweep()

        assert client.answer().status == 408
        assert client.ended()


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_body_that_trickles_ends_after_twenty_seconds_and_holds_no_worker(
    coding: str, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    whole = (
        request(body=b"x" * 100)
        if coding == "length"
        else request(body=chunked(*[b"x"] * 100), fields=CHUNKED)
    )
    begin = whole.index(b"\r\n\r\n") + 5
    with gateway.client() as client:
        client.send(whole[:begin])
        eventually(gateway.reading)
        gateway.sweep()
        for i in range(11):
            client.send(whole[begin + i : begin + i + 1])
            gateway.settle()
            gateway.skip(BODY_TIMEOUT / 10)
            gateway.sweep()

        assert client.answer().status == 408
        assert client.ended()
    assert worker.connections == 0


def test_a_crowd_of_slow_bodies_holds_no_worker_and_disturbs_nobody(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    crowd = [stack.enter_context(gateway.client()) for _ in range(200)]
    for client in crowd:
        client.send(request(body=b"x" * 1000)[:-1])
    eventually(lambda: gateway.connections == 200)
    gateway.settle()

    assert worker.connections == 0
    assert gateway.ask().status == 200
    assert worker.connections == 1

    gateway.sweep()
    gateway.skip(BODY_TIMEOUT + 1)
    gateway.sweep()
    assert {client.answer().status for client in crowd} == {408}
    eventually(lambda: gateway.connections == 0)


# --- slow readers


def test_a_client_that_takes_nothing_of_its_answer_is_cut(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    gateway = serve(single(hire(answering(body=ANSWER))))
    stack.enter_context(ask_slowly(gateway))
    assert unsent(gateway) > MEBIBYTE
    gateway.skip(STALL_TIMEOUT - 10)
    gateway.sweep()
    assert gateway.connections == 1

    gateway.skip(11)
    gateway.sweep()
    gateway.skip(STALL_TIMEOUT + 1)

    eventually(lambda: gateway.connections == 0)
    assert len(gateway.live.backlog) == 0


def test_a_client_that_asked_for_the_end_of_its_connection_is_cut_as_well(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    """Its exchange is over and its connection is closing, but the answer is still in memory."""
    gateway = serve(single(hire(answering(body=ANSWER))))
    stack.enter_context(ask_slowly(gateway, fields=[("Connection", "close")]))
    gateway.sweep()
    assert unsent(gateway) > MEBIBYTE

    for _ in range(2):
        gateway.skip(STALL_TIMEOUT + 1)
        gateway.sweep()

    eventually(lambda: gateway.connections == 0)


def test_a_client_of_http_1_0_that_is_cut_does_not_take_what_it_has_for_all(
    serve: Serve, hire: Hire
) -> None:
    """An answer without a length is passed on when it is large, and ends with the connection: what
    is not taken of it when its exchange is over is missing.
    """
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
        bytes(REPLY_BUFFER + 1)
    )
    gateway = serve(single(hire(saying(answer)), timeout=1000))
    with gateway.client(receive_buffer=4096) as client:
        client.send(request(version="1.0"))
        eventually(lambda: unsent(gateway) > MEBIBYTE)
        for _ in range(2):
            gateway.skip(STALL_TIMEOUT + 1)
            gateway.sweep()
        eventually(lambda: gateway.connections == 0)

        with pytest.raises(ConnectionResetError):
            list(iter(lambda: client.sock.recv(MEBIBYTE), b""))


def test_a_client_that_takes_a_little_now_and_then_has_ten_minutes(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    """Also when what it takes comes out of the kernel's buffer, and not yet out of ours."""
    gateway = serve(single(hire(answering(body=ANSWER))))
    began = gateway.clock()
    client = stack.enter_context(ask_slowly(gateway))
    with suppress(Ended):
        while True:
            client.read(20_000)
            gateway.skip(STALL_TIMEOUT * 1.1)
            gateway.sweep()
            gateway.settle()
            if gateway.clock() - began < TOTAL_TIMEOUT:
                assert gateway.connections == 1

    assert gateway.clock() - began > TOTAL_TIMEOUT
    assert gateway.connections == 0


def test_slow_readers_together_hold_no_more_than_the_limit(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    gateway = serve(single(hire(answering(body=ANSWER))))
    limit = gateway.live.backlog.limit = 3 * len(ANSWER)
    for _ in range(8):
        stack.enter_context(ask_slowly(gateway))
        gateway.settle()
        assert unsent(gateway) <= limit
        gateway.skip(2)  # who came first is the slowest
    assert 1 <= gateway.connections < 8

    with gateway.client() as client:
        assert client.ask().body == ANSWER


def test_a_slow_reader_is_answered_one_thing_at_a_time(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    """However many it asks for: at most one answer of each client is in memory."""
    gateway = serve(single(hire(answering(body=ANSWER))))
    client = stack.enter_context(gateway.client(receive_buffer=4096))
    client.send(request() * 10)
    eventually(lambda: gateway.answers("v1"))
    for _ in range(20):
        gateway.settle()

        assert unsent(gateway) <= 1.1 * len(ANSWER)
    assert gateway.answers("v1") == {"weighted 200": 1}


def test_a_client_that_was_cut_for_its_memory_leaves_nothing(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire(answering(body=ANSWER))))
    gateway.live.backlog.limit = MEBIBYTE
    for _ in range(3):
        with ask_slowly(gateway):
            eventually(lambda: gateway.connections == 0)
    assert len(gateway.live.backlog) == 0
    assert gateway.answers("v1") == {"weighted 200": 3}


# --- floods


def test_a_flood_of_uploads_is_stopped_at_the_limit(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker))
    piece = b"x" * MEBIBYTE
    ends = []

    def flood(declared: bool) -> None:
        sent = 0
        with gateway.client() as client:
            fields = [("Content-Length", "67108864")] if declared else CHUNKED
            client.send(request(body=b"", fields=fields))
            framed = piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece)
            while sent < 64 and not select.select([client.sock], [], [], 0)[0]:
                with suppress(OSError):
                    client.send(framed)
                sent += 1
            ends.append((client.answer().status, sent))

    threads = [threading.Thread(target=flood, args=(i % 2 == 0,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [status for status, _ in ends] == [413] * 16
    assert worker.requests == []
    eventually(lambda: gateway.connections == 0)


def test_bodies_sent_ahead_are_not_gathered(serve: Serve, hire: Hire, stack: ExitStack) -> None:
    worker = hire(hanging)
    gateway = serve(single(worker, timeout=100))
    size = 900_000
    client = stack.enter_context(gateway.client())
    data = memoryview(request(body=b"x" * size) * 20)
    client.sock.setblocking(False)
    sent = 0

    def stopped() -> bool:
        nonlocal sent
        with suppress(BlockingIOError):
            sent += client.sock.send(data[sent:])
        (connection,) = gateway.listener._connections
        return connection._held

    eventually(lambda: gateway.connections == 1)
    eventually(stopped)
    eventually(lambda: worker.requests)
    (connection,) = gateway.listener._connections
    waiting = gateway.run(lambda: sum(one.size for one in connection._queue))

    assert waiting <= UPLOAD_BUFFER + size
    assert sent < len(data)


def test_bodies_sent_ahead_are_answered_all_the_same(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire(answering())))
    with gateway.client() as client:
        sender = threading.Thread(target=client.send, args=(request(body=b"x" * 900_000) * 20,))
        sender.start()

        assert [client.answer().status for _ in range(20)] == [200] * 20
        sender.join()


def test_without_room_what_was_asked_ahead_is_refused_in_its_turn(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    """What is being answered, and the connection, are not hurt by it."""
    gone_on = threading.Event()

    def wait(talk: Talk) -> None:
        assert gone_on.wait(PATIENCE)
        talk.reply(200, b"ok")

    gateway = serve(single(hire(first=[wait]), timeout=100))
    gateway.live.uploads.limit = 3000
    client = stack.enter_context(gateway.client())
    client.send(request() + request(body=b"x" * 2000) * 2)
    other = stack.enter_context(gateway.client())
    other.send(request(body=b"x" * 1000)[:-1])
    eventually(lambda: len(gateway.live.uploads) == 1)
    gone_on.set()

    assert [client.answer().status for _ in range(3)] == [200, 503, 503]
    assert client.ask().status == 200
    other.send(b"x")
    assert other.answer().status == 200
    assert gateway.run(lambda: len(gateway.live.uploads)) == 0


@pytest.mark.parametrize("end", ["whole", "refused", "left"])
def test_nothing_stays_counted_of_a_body_that_came_in_pieces(
    end: str, serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        client.send(request(body=chunked(b"abc"), fields=CHUNKED)[:-4])
        eventually(lambda: len(gateway.live.uploads) == 1)
        if end == "whole":
            client.send(request(body=chunked(b"abc"), fields=CHUNKED)[-4:])
            assert client.answer().status == 200
        elif end == "refused":
            client.send(b"nonsense")
            assert client.answer().status == 400
    eventually(lambda: len(gateway.live.uploads) == 0)
    eventually(lambda: gateway.connections == 0)


def test_clients_that_connect_and_reset_by_the_thousand_leave_nothing(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    assert gateway.ask().status == 200
    eventually(lambda: gateway.connections == 0)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    begun = [b"", b"P", request()[:40], request(body=b"x" * 50)[:-7]]
    for i in range(3000):
        client = gateway.client()
        client.send(begun[i % 4])
        client.reset()
    eventually(lambda: gateway.connections == 0)

    assert gateway.ask().status == 200
    eventually(lambda: gateway.connections == 0)
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
    gc.collect()
    left = Counter(type(one).__name__ for one in gc.get_objects())
    assert left["InboundConnection"] == left["RequestReader"] == 0
    assert len(worker.requests) == 2


def test_a_client_too_many_is_told_so_and_the_next_one_is_served(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    gateway = serve(single(hire(), limits=Limits()))
    gateway.listener.room = 3
    crowd = [stack.enter_context(gateway.client()) for _ in range(3)]
    eventually(lambda: gateway.connections == 3)
    with gateway.client() as client:
        answer = client.answer()

        assert (answer.status, answer.json()["reason"]) == (503, "shed")
        assert (answer["retry-after"], answer["connection"]) == ("1", "close")
        assert client.ended()
    assert crowd[0].ask().status == 200
    assert gateway.refusals() == 1

    crowd[1].close()
    eventually(lambda: gateway.connections == 2)
    assert gateway.ask().status == 200
