"""Asking a gateway for its counts: with the token, in time, and nobody else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx2
import pytest

from gateway.security.credential import Token
from monitoring.readings.sources import LARGEST, TIMEOUT, GatewaySource, GatewaySources, SourceError

TOKEN = "0123456789abcdef-token"
Answer = Callable[[httpx2.Request], httpx2.Response]


def source(
    answer: Answer, token: Token | None = None, **more: Callable[[], float]
) -> GatewaySource:
    return GatewaySource("gateway:8081", token, httpx2.MockTransport(answer), **more)


def test_the_token_is_brought_where_there_is_one() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={})

    source(answer).evidence()
    source(answer, Token(TOKEN)).status()

    assert "authorization" not in seen[0].headers
    assert seen[1].headers["authorization"] == f"Bearer {TOKEN}"
    assert [str(one.url) for one in seen] == [
        "http://gateway:8081/api/evidence",
        "http://gateway:8081/api/status",
    ]


def test_the_token_goes_nowhere_else() -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.host)
        return httpx2.Response(302, headers={"Location": "http://evil.example/"})

    with pytest.raises(SourceError, match="302"):
        source(answer, Token(TOKEN)).evidence()

    assert seen == ["gateway"]


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(SourceError, match="no credentials") as refused:
        GatewaySource("http://user:password@gateway:8081")
    assert "password" not in str(refused.value)


def test_a_gateway_that_asks_for_a_token_is_said_in_a_sentence() -> None:
    with pytest.raises(SourceError, match=r"it needs a token: give --admin-token-file or CANARY"):
        source(lambda _: httpx2.Response(401)).evidence()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"1",
        b"null",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
    ],
)
def test_what_is_no_evidence_is_an_error_and_nothing_worse(content: bytes) -> None:
    with pytest.raises(SourceError):
        source(lambda _: httpx2.Response(200, content=content)).evidence()


@pytest.mark.parametrize("status", [204, 400, 403, 404, 500, 503])
def test_other_answers_are_errors(status: int) -> None:
    with pytest.raises(SourceError):
        source(lambda _: httpx2.Response(status)).evidence()


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 20
            yield b" " * (1 << 20)

    with pytest.raises(SourceError, match=f"more than {LARGEST} bytes"):
        source(lambda _: httpx2.Response(200, content=endless())).evidence()
    assert read <= LARGEST + (1 << 21)


def test_an_answer_that_trickles_is_given_up() -> None:
    now = 0.0

    def trickle() -> Iterator[bytes]:
        nonlocal now
        while True:
            now += TIMEOUT / 4  # less than what the library waits for a byte
            yield b" "

    with pytest.raises(SourceError, match="not whole within 2 s"):
        source(lambda _: httpx2.Response(200, content=trickle()), clock=lambda: now).evidence()


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as client:
                client.recv(65536)
                body = json.dumps({"generation": "one"}).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                client.sendall(head + body)

        thread = threading.Thread(target=serve)
        thread.start()
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with GatewaySource(f"http://127.0.0.1:{server.getsockname()[1]}") as source:
            answered = source.evidence()
        thread.join(20)

    assert answered == {"generation": "one"}


# --- several gateways


def sources(answer: Answer, *addresses: str, token: Token | None = None) -> GatewaySources:
    return GatewaySources(addresses, token, httpx2.MockTransport(answer))


def test_all_gateways_are_asked_and_told_of_in_the_order_they_were_named() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        return httpx2.Response(200, json={"who": request.url.host, "path": request.url.path})

    with sources(answer, "b:1, a:1,", "https://c:1/", token=Token(TOKEN)) as all_of_them:
        told = all_of_them.evidence()
        state = all_of_them.status()

    assert [one["who"] for one in told] == ["b", "a", "c"]
    assert {one["path"] for one in told} == {"/api/evidence"}
    assert {one["path"] for one in state} == {"/api/status"}


def test_they_are_asked_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)  # broken, and so an error, if one waits for the other

    def answer(request: httpx2.Request) -> httpx2.Response:
        both.wait()
        return httpx2.Response(200, json={})

    with sources(answer, "a:1,b:1") as two:
        assert two.evidence() == [{}, {}]


@pytest.mark.parametrize("broken", [b"[]", b"no"])
def test_one_that_says_nothing_is_named_and_what_the_others_say_is_passed_on(
    broken: bytes,
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=broken if request.url.host == "b" else b"{}")

    with sources(answer, "a:1,b:1,c:1") as three:
        assert three.evidence() == [{}, None, {}]
        (why,) = three.silent
        assert "http://b:1/api/evidence gave no answer" in why


def test_where_none_says_anything_that_is_an_error() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(500)

    with sources(answer, "a:1,b:1") as both, pytest.raises(SourceError, match=r"a:1.*; .*b:1"):
        both.evidence()


@pytest.mark.parametrize("twice", ["a:1,a:1", "a:1,http://a:1/", "a:1,b:1,A:1"])
def test_a_gateway_named_twice_would_count_twice_and_is_refused(twice: str) -> None:
    with pytest.raises(SourceError, match="named twice; name each gateway once"):
        sources(lambda _: httpx2.Response(200), twice)


@pytest.mark.parametrize("nobody", ["", ",", " , "])
def test_nobody_to_ask_is_said(nobody: str) -> None:
    with pytest.raises(SourceError, match="no gateway is named"):
        sources(lambda _: httpx2.Response(200), nobody)
