"""Large answers when there is little room for them, over real sockets."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from random import Random

from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Message,
    Talk,
    answering,
    chunked,
    eventually,
    request,
)

MEBIBYTE = 1024 * 1024
ANSWER = Random(2).randbytes(3 * MEBIBYTE)
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
    *[ANSWER[i : i + 50_000] for i in range(0, len(ANSWER), 50_000)]
)
OVERRIDE = {"override": "x-version", "timeout": 100.0}


def one_after_the_other(talk: Talk) -> None:
    """With its length or in chunks."""
    if talk.number % 2:
        talk.send(IN_CHUNKS)
    else:
        talk.reply(200, ANSWER)


def stop(talk: Talk) -> bool:
    """In the middle of an answer."""
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + ANSWER)
    talk.wire.ended()
    return False


def test_everybody_is_answered_though_there_is_room_for_one(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    gateway = serve(make_config({"v1": hire(one_after_the_other).url}, timeout=100.0))
    gateway.live.gathering.limit = MEBIBYTE
    answers: list[Message] = []

    def ask() -> None:
        with gateway.client() as client:
            answers.extend(client.ask() for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status for answer in answers] == [200] * 36
    assert all(answer.body == ANSWER for answer in answers)
    assert gateway.run(lambda: gateway.live.gathering.room) == MEBIBYTE


def test_a_version_that_stops_in_the_middle_does_not_hold_up_another(
    serve: Serve, hire: Hire, stack: ExitStack
) -> None:
    """Though what is here of its answers fills all the room there is."""

    sick, healthy = hire(stop), hire(answering(body=ANSWER))
    gateway = serve(make_config({"v1": healthy.url, "v2": (sick.url, 0)}, **OVERRIDE))
    gateway.live.gathering.limit = MEBIBYTE
    for _ in range(3):
        client = stack.enter_context(gateway.client())
        client.send(request(fields=[("X-Version", "v2")]))
    eventually(lambda: gateway.run(lambda: gateway.live.gathering.room) < 0)

    for _ in range(3):
        assert gateway.ask().body == ANSWER


def test_an_answer_nobody_waits_for_any_more_makes_room(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire(stop).url}, timeout=100.0))
    room = gateway.live.gathering.limit
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.run(lambda: gateway.live.gathering.room) < room - MEBIBYTE)

    eventually(lambda: gateway.run(lambda: gateway.live.gathering.room) == room)
