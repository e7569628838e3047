"""What clients do: send in pieces, ahead, too much, too slowly, nonsense; leave; and come back."""

from __future__ import annotations

import asyncio
import http.client
import json
from contextlib import suppress
from random import Random

import pytest

from gateway.clients.inbound import BODY_TIMEOUT, HEAD_TIMEOUT, IDLE_TIMEOUT, LINGER_TIMEOUT
from gateway.model import Limits
from gateway.workers.pool import dial
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    PATIENCE,
    Gateway,
    Message,
    Worker,
    answering,
    chunked,
    eventually,
    hanging,
    request,
)

HOST = b"Host: models.example\r\n"


def single(worker: Worker, **rules: object):
    return make_config({"v1": worker.url}, **rules)


def refusal_of(gateway: Gateway, data: bytes) -> Message:
    """What the gateway says to these bytes; it has ended the connection after that."""
    with gateway.client() as client:
        with suppress(OSError):  # it may have been refused before it was sent whole
            client.send(data)
        answer = client.answer()

        assert client.ended()
    return answer


# --- ways of sending

PIPELINE = b"".join(
    request(body=f"body {i}".encode())
    if i % 3
    else request("GET", f"/predict?{i}", None)
    if i % 2
    else request(body=chunked(b"body ", str(i).encode()), fields=[("Transfer-Encoding", "chunked")])
    for i in range(30)
)


def tokens(answers: list[Message]) -> list[str]:
    told = [answer.json() for answer in answers]
    return [one["body"] or one["target"] for one in told]


EXPECTED = [f"/predict?{i}" if i % 3 == 0 and i % 2 else f"body {i}" for i in range(30)]


def test_thirty_requests_in_one_go_are_answered_in_order(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        client.send(PIPELINE)

        assert tokens([client.answer() for _ in range(30)]) == EXPECTED


def test_thirty_requests_byte_by_byte_are_answered_in_order(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        for i in range(len(PIPELINE)):
            client.send(PIPELINE[i : i + 1])

        assert tokens([client.answer() for _ in range(30)]) == EXPECTED


def test_thirty_requests_split_at_every_place_are_answered_in_order(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(hire()))
    three = PIPELINE[: PIPELINE.index(b"GET") + 20]
    with gateway.client() as client:
        for cut in range(1, len(three) - 20):
            whole = request(body=b"first") + request(body=chunked(b"se", b"cond"), fields=CHUNKED)
            cut %= len(whole)
            client.send(whole[:cut])
            gateway.settle()  # let it read
            client.send(whole[cut:])

            assert tokens([client.answer(), client.answer()]) == ["first", "second"]


CHUNKED = [("Transfer-Encoding", "chunked")]


def test_more_requests_ahead_than_are_read_are_answered_in_order(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        client.send(b"".join(request(body=str(i).encode()) for i in range(3000)))
        bodies = [client.answer().json()["body"] for _ in range(3000)]

    assert bodies == [str(i) for i in range(3000)]


def test_a_crowd_of_requests_that_nobody_need_be_asked_about_is_answered_in_order(
    serve: Serve, hire: Hire
) -> None:
    """Each is answered from within the end of the one before it."""
    config = make_config({"v1": hire().url}, override="x-v")
    with serve(config).client() as client:
        wrong = request("GET", body=None, fields=[("X-V", "v9")])
        client.send(request(body=b"first") + wrong * 3000 + request(body=b"last"))
        answers = [client.answer() for _ in range(3002)]

    assert answers[0].json()["body"] == "first"
    assert {answer.status for answer in answers[1:-1]} == {400}
    assert answers[-1].json()["body"] == "last"


@pytest.mark.parametrize("size", [40_000, 200_000, 1_000_000])
def test_a_large_body_does_not_count_for_the_head_that_follows(
    size: int, serve: Serve, hire: Hire
) -> None:
    worker = hire(answering())
    with serve(single(worker)).client() as client:
        following = request("GET", body=None, fields=[("X-Long", "x" * 5000)])
        client.send(request(body=b"x" * size) + following[:3000])
        eventually(lambda: worker.requests)
        client.send(following[3000:])

        assert [client.answer().status, client.answer().status] == [200, 200]


def test_an_expectation_is_answered_before_the_body(serve: Serve, hire: Hire) -> None:
    worker = hire()
    with serve(single(worker)).client() as client:
        whole = request(body=b"hello", fields=[("Expect", "100-continue")])
        client.send(whole[:-5])
        interim, fields = client.head()

        assert interim == "HTTP/1.1 100 Continue"
        assert fields == ()
        assert worker.requests == []

        client.send(b"hello")
        answer = client.answer()

    assert answer.json()["body"] == "hello"
    assert "expect" not in worker.requests[0].names


def test_an_expectation_sent_ahead_is_answered_when_its_turn_comes(
    serve: Serve, hire: Hire
) -> None:
    with serve(single(hire())).client() as client:
        whole = request(body=b"hello", fields=[("Expect", "100-continue")])
        client.send(request(body=b"first") + whole[:-5])

        assert client.answer().json()["body"] == "first"
        assert client.head()[0] == "HTTP/1.1 100 Continue"

        client.send(b"hello")

        assert client.answer().json()["body"] == "hello"


def test_an_expectation_of_http_1_0_is_not_answered(serve: Serve, hire: Hire) -> None:
    """RFC 9110, section 10.1.1: such a client would take the 100 for its answer."""
    with serve(single(hire())).client() as client:
        answer = client.ask(body=b"hello", fields=[("Expect", "100-continue")], version="1.0")

    assert answer.json()["body"] == "hello"


def test_a_body_too_large_is_refused_before_it_is_asked_for(serve: Serve, hire: Hire) -> None:
    worker = hire()
    fields = [("Expect", "100-continue"), ("Content-Length", "2000000")]
    answer = refusal_of(serve(single(worker)), request(body=b"", fields=fields))

    assert answer.status == 413
    assert worker.requests == []


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_an_upgrade_is_ignored_and_the_connection_goes_on(
    upgrade: str, serve: Serve, hire: Hire
) -> None:
    """Java's HttpClient asks for h2c with its first request and then goes on in HTTP/1.1."""
    worker = hire()
    fields = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", upgrade),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ]
    with serve(single(worker)).client() as client:
        client.send(request(body=b"first", fields=fields))
        first = client.answer()
        client.send(
            request("GET", body=None, fields=fields) + request(body=b"third", fields=fields)
        )
        rest = [client.answer(), client.answer()]

    assert first.json()["body"] == "first"
    assert [one.json()["body"] for one in rest] == ["", "third"]
    assert not {"upgrade", "connection", "http2-settings"} & worker.requests[0].names


def test_a_crowd_of_upgrades_in_one_go_is_answered(serve: Serve, hire: Hire) -> None:
    fields = [("Connection", "Upgrade"), ("Upgrade", "h2c")]
    with serve(single(hire())).client() as client:
        client.send(request("GET", body=None, fields=fields) * 1500)
        statuses = {client.answer().status for _ in range(1500)}

    assert statuses == {200}


@pytest.mark.parametrize("keep", [False, True])
def test_http_1_0_clients_are_answered_as_they_ask(keep: bool, serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        client.send(
            b"POST /predict HTTP/1.0\r\nContent-Length: 2\r\n"
            + (b"Connection: keep-alive\r\n" if keep else b"")
            + b"\r\nhi"
        )
        answer = client.answer()

        assert answer.json()["body"] == "hi"
        if keep:
            assert answer["connection"] == "keep-alive"
            assert client.ask(version="1.0", body=b"again").json()["body"] == "again"
        assert client.ended()


def test_an_http_1_0_client_whose_request_is_refused_is_told_whether_it_may_go_on(
    serve: Serve, hire: Hire
) -> None:
    with serve(single(hire(), override="x-v")).client() as client:
        fields = [("Connection", "keep-alive"), ("X-V", "v9")]
        refused = client.ask(version="1.0", fields=fields)

        assert (refused.status, refused["connection"]) == (400, "keep-alive")
        assert client.ask(version="1.0", fields=fields[:1]).status == 200


def test_a_client_that_says_close_is_told_so_and_gets_it(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        answer = client.ask(fields=[("Connection", "close")])

        assert answer["connection"] == "close"
        assert client.ended()


def test_empty_lines_before_a_request_are_passed_over(serve: Serve, hire: Hire) -> None:
    with serve(single(hire())).client() as client:
        client.send(b"\r\n\r\n" + request(body=b"first") + b"\r\n" + request(body=b"second"))

        assert tokens([client.answer(), client.answer()]) == ["first", "second"]


@pytest.mark.parametrize("space", ["  ", "\t", " \t "])
def test_space_around_a_value_is_no_part_of_it(space: str, serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire(name="v2")
    gateway = serve(make_config({"v1": v1.url, "v2": v2.url}, override="x-v"))
    lines = ("Host: a", "X-V: v2", "Content-Length: 4", "Expect: 100-continue")
    head = "POST / HTTP/1.1\r\n" + "".join(
        line.replace(": ", f":{space}") + f"{space}\r\n" for line in lines
    )
    with gateway.client() as client:
        client.send(head.encode() + b"\r\nbody")
        assert client.head()[0] == "HTTP/1.1 100 Continue"
        answer = client.answer()

        assert (answer.json()["worker"], answer.json()["body"]) == ("v2", "body")
    assert v2.requests[0]["x-v"] == "v2"


def test_a_connection_may_be_opened_long_before_it_is_used(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        for _ in range(3):  # sweeps
            gateway.skip(IDLE_TIMEOUT / 4)
            gateway.sweep()

        assert client.ask().status == 200


# --- nonsense

CL = b"Content-Length: "
TE = b"Transfer-Encoding: "
MALFORMED = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", 400),
    "lower-case method": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "unknown method": (b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "connect": (b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "http/0.9": (b"GET /\r\n\r\n", 505),
    "http/0.9 named": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    "http/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
    "http/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "target without slash": (b"GET predict HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target in authority form": (b"GET a.example:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target with fragment": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target with control byte": (b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target with space": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target outside ascii": (b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "target too long": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "bare lf": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare cr": (b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400),
    "host with space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "host with user": (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "space before colon": (b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\n" + HOST + b": y\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\n" + HOST + b"Xy\r\n\r\n", 400),
    "folded": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "space before first field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "nul in value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    "escape in value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x1bb\r\n\r\n", 400),
    "del in value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x7fb\r\n\r\n", 400),
    "lf in value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n\r\n", 400),
    "cr in value": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n", 400),
    "name outside ascii": (b"GET / HTTP/1.1\r\n" + HOST + b"X\xff: y\r\n\r\n", 400),
    "101 fields": (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n", 431),
    "long field": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 40_000 + b"\r\n\r\n", 431),
    "long head": (
        b"GET / HTTP/1.1\r\n"
        + HOST
        + b"".join(b"X-%d: %b\r\n" % (i, b"y" * 500) for i in range(80))
        + b"\r\n",
        431,
    ),
    "endless head": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 400_000, 431),
    "endless fields": (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 80_000, 431),
    "endless target": (b"GET /" + b"x" * 400_000, 431),
    "endless empty lines": (b"\r\n" * 200_000, 431),
    "length empty": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"\r\n\r\n", 400),
    "length signed": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"+5\r\n\r\nhello", 400),
    "length negative": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"-5\r\n\r\nhello", 400),
    "length hexadecimal": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"0x5\r\n\r\nhello", 400),
    "length with text": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"5 5\r\n\r\nhello", 400),
    "length as list": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"5, 5\r\n\r\nhello", 400),
    "length twice": (b"POST / HTTP/1.1\r\n" + HOST + (CL + b"5\r\n") * 2 + b"\r\nhello", 400),
    "length twice, two values": (
        b"POST / HTTP/1.1\r\n" + HOST + CL + b"5\r\n" + CL + b"6\r\n\r\nhello",
        400,
    ),
    "length beyond 64 bits": (
        b"POST / HTTP/1.1\r\n" + HOST + CL + b"18446744073709551616\r\n\r\n",
        400,
    ),
    "length of 2^63": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"9223372036854775808\r\n\r\n", 413),
    "length and chunked": (
        b"POST / HTTP/1.1\r\n" + HOST + CL + b"5\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunked and length": (
        b"POST / HTTP/1.1\r\n" + HOST + TE + b"chunked\r\n" + CL + b"5\r\n\r\n0\r\n\r\n",
        400,
    ),
    "coding unknown": (b"POST / HTTP/1.1\r\n" + HOST + TE + b"gzip\r\n\r\n", 501),
    "coding before chunked": (
        b"POST / HTTP/1.1\r\n" + HOST + TE + b"gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    "coding in a field before chunked": (
        b"POST / HTTP/1.1\r\n" + HOST + TE + b"gzip\r\n" + TE + b"chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    "coding after chunked": (
        b"POST / HTTP/1.1\r\n" + HOST + TE + b"chunked, gzip\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunked twice": (
        b"POST / HTTP/1.1\r\n" + HOST + (TE + b"chunked\r\n") * 2 + b"\r\n0\r\n\r\n",
        400,
    ),
    "chunked with vertical tab": (
        b"POST / HTTP/1.1\r\n" + HOST + TE + b"\x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunked in http/1.0": (b"POST / HTTP/1.0\r\n" + HOST + TE + b"chunked\r\n\r\n0\r\n\r\n", 400),
    "expectation unknown": (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: magic\r\n\r\n", 417),
    "length too large": (b"POST / HTTP/1.1\r\n" + HOST + CL + b"1048577\r\n\r\n", 413),
}
BAD_CHUNKS = {
    "size not hexadecimal": b"g\r\nx\r\n0\r\n\r\n",
    "size with prefix": b"0x1\r\nx\r\n0\r\n\r\n",
    "size signed": b"+1\r\nx\r\n0\r\n\r\n",
    "size with space": b"1 \r\nx\r\n0\r\n\r\n",
    "size empty": b"\r\nx\r\n0\r\n\r\n",
    "size beyond 64 bits": b"10000000000000000\r\nx",
    "size ends in lf": b"1\nx\r\n0\r\n\r\n",
    "extension ends in lf": b"1;a=b\nx\r\n0\r\n\r\n",
    "data longer": b"1\r\nxx\r\n0\r\n\r\n",
    "data ends in lf": b"1\r\nx\n0\r\n\r\n",
    "trailer without colon": b"1\r\nx\r\n0\r\nX\r\n\r\n",
    "trailer folded": b"1\r\nx\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer with nul": b"1\r\nx\r\n0\r\nX: a\x00\r\n\r\n",
}


def check_shape(answer: Message, reason: str | None = None) -> None:
    told = answer.json()

    assert set(told) == {"error", "reason", "request_id"}
    assert answer["content-type"] == "application/json"
    assert answer["x-request-id"] == told["request_id"]
    assert told["error"]
    assert "\n" not in told["error"]
    assert "Traceback" not in told["error"]
    if reason is not None:
        assert told["reason"] == reason


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_refused_and_forwarded_to_nobody(
    name: str, serve: Serve, hire: Hire
) -> None:
    data, status = MALFORMED[name]
    worker = hire()
    gateway = serve(single(worker))
    answer = refusal_of(gateway, data)

    assert answer.status == status
    check_shape(answer)
    assert answer["connection"] == "close"
    assert worker.requests == []
    assert gateway.refusals() == 1
    assert gateway.ask().status == 200


@pytest.mark.parametrize("name", MALFORMED)
def test_nothing_hidden_behind_what_is_malformed_is_honoured(
    name: str, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    data, _ = MALFORMED[name]
    with gateway.client() as client:
        with suppress(OSError):
            client.send(request(body=b"first") + data + request("GET", "/hidden", None))
        first = client.answer()
        rest = client.rest()

    assert first.json()["body"] == "first"
    assert rest.startswith(b"HTTP/1.1 %d " % MALFORMED[name][1])
    assert rest.count(b"\r\nContent-Length: ") == 1
    assert [seen.target for seen in worker.requests] == ["/predict"]


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks_are_refused_and_forwarded_to_nobody(
    name: str, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    answer = refusal_of(gateway, request(body=BAD_CHUNKS[name], fields=CHUNKED))

    assert answer.status == 400
    check_shape(answer, "bad_request")
    assert worker.requests == []
    assert gateway.ask().status == 200


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_what_is_malformed_is_refused_however_it_is_cut(
    piece: int, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(single(worker))
    for name in ("two hosts", "length and chunked", "nul in value", "http/2.0", "long head"):
        data, status = MALFORMED[name]
        with gateway.client() as client:
            with suppress(OSError):
                for i in range(0, len(data), piece):
                    client.send(data[i : i + piece])

            assert client.answer().status == status, name
    assert worker.requests == []


@pytest.mark.parametrize("size", [31 * 1024, 33 * 1024, 100 * 1024])
def test_the_limit_of_a_head_does_not_depend_on_how_it_arrives(
    size: int, serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(hire()))
    data = request("GET", body=None, fields=[(f"X-{i}", "y" * 1000) for i in range(size // 1010)])
    statuses = []
    for piece in (len(data), 20_000, 1_000):
        with gateway.client() as client:
            with suppress(OSError):
                for i in range(0, len(data), piece):
                    client.send(data[i : i + piece])
                    gateway.settle()  # let it read
            statuses.append(client.answer().status)

    assert statuses == [200 if size < 32 * 1024 else 431] * 3


def test_endless_trailers_are_refused(serve: Serve, hire: Hire) -> None:
    worker = hire()
    body = b"1\r\nx\r\n0\r\n" + b"X-Trailer: 1\r\n" * 30_000
    answer = refusal_of(serve(single(worker)), request(body=body, fields=CHUNKED))

    assert answer.status == 431
    assert worker.requests == []


def test_an_endless_chunk_extension_is_refused(serve: Serve, hire: Hire) -> None:
    worker = hire()
    body = b"1;" + b"x" * 400_000
    answer = refusal_of(serve(single(worker)), request(body=body, fields=CHUNKED))

    assert answer.status in (400, 431)
    assert worker.requests == []


def test_a_request_after_connection_close_is_not_honoured(serve: Serve, hire: Hire) -> None:
    worker = hire()
    with serve(single(worker)).client() as client:
        client.send(
            request(body=b"first", fields=[("Connection", "close")]) + request(body=b"second")
        )
        first = client.answer()
        rest = client.rest()

    assert first.json()["body"] == "first"
    assert rest == b""
    assert len(worker.requests) == 1


# --- limits


def test_a_body_too_large_is_refused_when_declared(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker, limits=Limits(body=10)))
    answer = refusal_of(gateway, request(body=b"", fields=[("Content-Length", "11")]))

    assert answer.status == 413
    check_shape(answer, "body_too_large")
    assert worker.requests == []
    assert gateway.ask(body=b"x" * 10).status == 200


def test_a_body_too_large_is_refused_when_it_turns_out(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker, limits=Limits(body=10)))
    answer = refusal_of(gateway, request(body=chunked(b"x" * 6, b"y" * 5)[:-5], fields=CHUNKED))

    assert answer.status == 413
    assert worker.requests == []
    assert gateway.ask(body=chunked(b"x" * 6, b"y" * 4), fields=CHUNKED).status == 200


def test_a_client_that_sends_too_much_can_read_why(serve: Serve, hire: Hire) -> None:
    """Closing with unread bytes resets the connection, and the answer is lost with it."""
    gateway = serve(single(hire()))
    for _ in range(5):
        connection = http.client.HTTPConnection(*gateway.address, timeout=PATIENCE)
        connection.request("POST", "/predict", body=b"x" * 30_000_000)
        answer = connection.getresponse()

        assert answer.status == 413
        assert json.loads(answer.read())["reason"] == "body_too_large"
        connection.close()


def test_a_client_that_never_stops_sending_is_cut(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        client.send(request(body=b"", fields=[("Content-Length", "99999999")]))
        assert client.answer().status == 413

        gateway.sweep()
        gateway.skip(LINGER_TIMEOUT)

        eventually(lambda: gateway.connections == 0)


# --- time


def test_a_head_that_does_not_come_is_a_408(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        client.send(b"POST /predict HTTP/1.1\r\nHo")
        eventually(gateway.reading)
        gateway.sweep()
        gateway.skip(HEAD_TIMEOUT)
        answer = client.answer()

        assert answer.status == 408
        check_shape(answer, "timeout")
        assert client.ended()


def test_a_body_that_does_not_come_is_a_408_and_holds_no_worker(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker))
    with gateway.client() as client:
        client.send(request(body=b"x" * 100)[:-1])
        eventually(gateway.reading)
        gateway.sweep()
        assert worker.connections == 0

        gateway.skip(BODY_TIMEOUT)
        answer = client.answer()

        assert answer.status == 408
        assert client.ended()
    assert worker.connections == 0


def test_a_mistake_with_one_connection_does_not_end_the_deadlines_of_all(
    serve: Serve, hire: Hire
) -> None:
    class Broken:
        """A connection the listener looks at in vain."""

        def sweep(self, now: float) -> None:
            raise ZeroDivisionError

        def drain(self) -> None: ...

        def abort(self) -> None:
            gateway.listener._connections.discard(self)  # type: ignore[arg-type]

    gateway = serve(make_config({"v1": hire(hanging).url}, timeout=100))
    gateway.run(lambda: gateway.listener._connections.add(Broken()))  # type: ignore[arg-type]
    eventually(lambda: gateway.problems)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.in_flight == 1)
        gateway.skip(100)

        assert client.answer().status == 504
    assert "ZeroDivisionError" in gateway.problems.pop()


def test_an_idle_connection_ends_without_a_word(serve: Serve, hire: Hire) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        client.ask()
        gateway.sweep()
        gateway.skip(IDLE_TIMEOUT)

        assert client.ended()


def test_a_connection_that_says_nothing_at_all_ends_without_a_word(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(single(hire()))
    with gateway.client() as client:
        eventually(lambda: gateway.connections == 1)
        gateway.sweep()
        gateway.skip(IDLE_TIMEOUT)

        assert client.ended()


def test_a_client_that_does_not_take_its_answer_is_cut_in_the_end(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(body=b"x" * 8_000_000))
    gateway = serve(single(worker))
    with gateway.client(receive_buffer=4096) as client:
        client.send(request())
        eventually(lambda: gateway.answers("v1") == {"weighted 200": 1})
        for _ in range(2):
            gateway.sweep()
            gateway.skip(IDLE_TIMEOUT)

        eventually(lambda: gateway.connections == 0)


def test_a_client_that_takes_its_answer_slowly_gets_it_whole(serve: Serve, hire: Hire) -> None:
    body = Random(3).randbytes(8_000_000)
    gateway = serve(single(hire(answering(body=body))))
    with gateway.client(receive_buffer=4096) as client:
        client.send(request())
        head = client.until(b"\r\n\r\n")
        taken = b""
        for _ in range(2):
            taken += client.read(3_000_000)
            gateway.sweep()
            gateway.skip(IDLE_TIMEOUT)
            gateway.sweep()
        taken += client.read(2_000_000)

    assert b"Content-Length: 8000000" in head
    assert taken == body


# --- leaving


def test_a_client_that_leaves_ends_the_workers_work_too(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(make_config({"v1": worker.url}))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)

    eventually(lambda: worker.abandoned == 1)
    assert gateway.answers("v1") == {"weighted 499": 1}
    assert gateway.errors("v1") == {}
    found = gateway.evidence("v1")
    assert (found.assigned, found.bad, found.gone) == (1, 0, 1)
    assert gateway.in_flight == 0


def test_a_client_that_resets_leaves_nothing_behind(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(single(worker))
    for i in range(1, 4):
        client = gateway.client()
        client.send(request() + request())
        eventually(lambda i=i: len(worker.requests) == i)
        client.reset()
        eventually(lambda i=i: worker.abandoned == i)

    assert gateway.in_flight == 0
    assert len(worker.requests) == 3
    eventually(lambda: gateway.connections == 0)


def test_a_client_that_leaves_within_its_request_disturbs_nobody(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(single(worker))
    whole = request(body=b"x" * 50)
    for cut in range(0, len(whole), 7):
        with gateway.client() as client:
            client.send(whole[:cut])
    eventually(lambda: gateway.connections == 0)

    assert worker.requests == []
    assert gateway.ask().status == 200


def test_a_client_that_leaves_while_a_connection_is_opened_leaves_nothing_behind(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gate = asyncio.Event()

    async def slowly(factory, endpoint):
        await gate.wait()
        return await dial(factory, endpoint)

    gateway = serve(single(worker), dial=slowly)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.in_flight == 1)
    eventually(lambda: gateway.in_flight == 0)
    gateway.run(gate.set)

    assert gateway.ask().status == 200
    assert gateway.answers("v1") == {"weighted 499": 1, "weighted 200": 1}
    assert len(worker.requests) == 1
