"""A parsed request: what is refused in it, and how a worker is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.http.headers import RequestHead
from gateway.http.request import (
    MAX_FIELDS,
    MAX_TARGET,
    Request,
    check_head,
)
from tests.builders import make_request

HOST = (b"Host", b"models.example")
CHUNKED = (b"Transfer-Encoding", b"chunked")


def check(
    *fields: tuple[bytes, bytes],
    method: bytes = b"POST",
    target: bytes = b"/predict",
    version: str = "1.1",
) -> None:
    check_head(RequestHead(fields, method, target, version))


def refused(*fields: tuple[bytes, bytes], **more: object) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        check(*fields, **more)  # type: ignore[arg-type]
    return caught.value.status, caught.value.reason


def streamed(*fields: tuple[bytes, bytes], chunks: Sequence[bytes]) -> Request:
    request = make_request(headers=[HOST, *fields], body=None, whole=False)
    request.streamed = True
    request.chunks = list(chunks)
    return request


# --- what is refused


def test_an_ordinary_head_is_fine() -> None:
    check(HOST)
    check(HOST, CHUNKED)
    check(HOST, (b"Expect", b"100-Continue"))
    check(HOST, (b"Transfer-Encoding", b"Chunked"))
    check(version="1.0")


@pytest.mark.parametrize("version", ["2.0", "0.9", "1.2", "3.0"])
def test_other_versions_of_http_are_a_505(version: str) -> None:
    assert refused(HOST, version=version) == (505, "bad_request")


def test_a_long_target_is_a_414() -> None:
    check(HOST, target=b"/" + b"x" * (MAX_TARGET - 1))

    assert refused(HOST, target=b"/" + b"x" * MAX_TARGET) == (414, "target_too_long")


def test_many_fields_are_a_431() -> None:
    check(HOST, *[(b"X-%d" % i, b"1") for i in range(MAX_FIELDS - 1)])

    many = [(b"X-%d" % i, b"1") for i in range(MAX_FIELDS)]
    assert refused(HOST, *many) == (431, "head_too_large")


def test_host_stands_exactly_once() -> None:
    assert refused() == (400, "bad_request")
    assert refused(HOST, HOST) == (400, "bad_request")
    assert refused(HOST, HOST, version="1.0") == (400, "bad_request")


@pytest.mark.parametrize(
    "host",
    [
        *(
            b"a b",
            b"a/b",
            b"user@a",
            b"a\\b",
            b"a?b",
            b"a#b",
            b"a\tb",
            b"a, b",
            b"\xc3\xa9.example",
        ),
        *(b"a:b", b"a:80:80", b"[::1", b"::1", b"[::1]x", b"a:-1", b"<a>", b'"a"', b"http://a"),
    ],
)
def test_a_malformed_host_is_a_400(host: bytes) -> None:
    assert refused((b"Host", host)) == (400, "bad_request")


@pytest.mark.parametrize(
    "host",
    [
        *(b"a", b"A.example", b"a:80", b"a:", b"127.0.0.1:8080", b"[::1]", b"[2001:db8::1]:8080"),
        *(b"my_service", b"xn--bcher-kva.example", b"a-b.c~d", b"a%20b", b""),
    ],
)
def test_a_wellformed_host_is_fine(host: bytes) -> None:
    check((b"Host", host))


def test_this_is_no_proxy() -> None:
    assert refused(HOST, method=b"CONNECT", target=b"a:443") == (405, "bad_request")


@pytest.mark.parametrize(
    "codings",
    [
        [(b"Transfer-Encoding", b"gzip")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"gzip"), CHUNKED],
        [CHUNKED, CHUNKED],
        [(b"Transfer-Encoding", b"identity")],
    ],
)
def test_any_other_transfer_coding_is_a_501(codings: list[tuple[bytes, bytes]]) -> None:
    assert refused(HOST, *codings) == (501, "bad_request")


def test_http_1_0_has_no_transfer_coding() -> None:
    """RFC 9112, section 6.1: such a message is to be treated as if its framing were faulty."""
    assert refused(HOST, CHUNKED, version="1.0") == (400, "bad_request")


def test_an_unknown_expectation_is_a_417() -> None:
    assert refused(HOST, (b"Expect", b"200-maybe")) == (417, "bad_request")


# --- how a worker is told


def test_a_whole_request_is_rendered_with_its_own_length() -> None:
    request = make_request(
        target=b"/predict?x", headers=[HOST, (b"X-A", b"1"), CHUNKED], body=b"\x00\r\nbody"
    )

    assert request.render() == (
        b"POST /predict?x HTTP/1.1\r\n"
        b"Host: models.example\r\n"
        b"X-A: 1\r\n"
        b"X-Forwarded-Host: models.example\r\n"
        b"X-Forwarded-For: 192.0.2.7\r\n"
        b"X-Forwarded-Proto: http\r\n"
        b"X-Request-Id: id-1\r\n"
        b"Content-Length: 7\r\n"
        b"\r\n"
        b"\x00\r\nbody"
    )


def test_a_request_can_be_rendered_twice() -> None:
    request = make_request(body=b"once more")

    assert request.render() == request.render()


def test_a_request_without_a_body_declares_none() -> None:
    rendered = make_request(b"GET", body=None).render()

    assert b"Content-Length" not in rendered
    assert rendered.endswith(b"\r\n\r\n")


def test_an_empty_body_stays_an_empty_body() -> None:
    rendered = make_request(body=b"").render()

    assert rendered.count(b"Content-Length: 0\r\n") == 1
    assert rendered.endswith(b"\r\n\r\n")


def test_a_streamed_body_of_unknown_length_is_chunked() -> None:
    request = streamed(CHUNKED, chunks=[b"abc", b"de"])
    head, _, body = request.render().partition(b"\r\n\r\n")

    assert head.endswith(b"Transfer-Encoding: chunked")
    assert b"Content-Length" not in head
    assert body == b"5\r\nabcde\r\n"
    assert request.render_more() == b""

    request.chunks.append(b"x" * 16)
    assert request.render_more() == b"10\r\n" + b"x" * 16 + b"\r\n"

    request.whole = True
    assert request.render_more() == b"0\r\n\r\n"


def test_a_streamed_body_of_known_length_keeps_it() -> None:
    request = streamed((b"Content-Length", b"6"), chunks=[b"abc"])
    head, _, body = request.render().partition(b"\r\n\r\n")

    assert head.count(b"Content-Length: 6") == 1
    assert b"Transfer-Encoding" not in head
    assert body == b"abc"

    request.chunks.append(b"def")
    request.whole = True
    assert request.render_more() == b"def"
    assert request.render_more() == b""


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.data())
def test_a_streamed_body_arrives_whole_however_it_comes(
    chunks: list[bytes], data: st.DataObject
) -> None:
    request = streamed(CHUNKED, chunks=[])
    sent = request.render().partition(b"\r\n\r\n")[2]
    for chunk in chunks:
        request.chunks.append(chunk)
        if data.draw(st.booleans()):
            sent += request.render_more()
    request.whole = True
    sent += request.render_more()

    body = b""
    while sent != b"0\r\n\r\n":
        size, _, sent = sent.partition(b"\r\n")
        body += sent[: int(size, 16)]
        assert sent[int(size, 16) :][:2] == b"\r\n"
        sent = sent[int(size, 16) + 2 :]
    assert body == b"".join(chunks)


def test_a_request_is_shown_without_its_body() -> None:
    assert repr(make_request(body=b"secret")) == "<Request POST /predict 6 bytes>"
