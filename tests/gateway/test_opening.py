"""Whose a request to the admin port is: the console's only where nobody can read it otherwise."""

from __future__ import annotations

import pytest

from gateway.admin.opening import LARGEST, length_for_console

OWN = frozenset({"metrics", "-", "api", "runbooks"})
HOST = b"Host: localhost:8081\r\n"


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\n".encode("latin-1") + HOST + b"\r\n"


def length(data: bytes) -> int | None:
    return length_for_console(data, OWN)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?a=/metrics",
        "/routes/iris",
        "/routes/a%20b/events?since=1",
        "/static/1/a.js",
        "/x/a;b",
    ],
)
def test_a_plain_path_that_is_not_the_gateways_is_the_consoles(target: str) -> None:
    data = get(target)

    assert length(data) == len(data)
    assert {length(data[:end]) for end in range(1, len(data))} == {None}


@pytest.mark.parametrize(
    "target",
    [
        *("/metrics", "/-/ready", "/-/", "/api/status", "/api", "/runbooks", "/runbooks/x"),
        *("/METRICS", "/Api/status", "/metrics?a=1", "/metrics/", "/api/../routes"),
        *("//metrics", "//", "/routes//metrics", "/./metrics", "/../metrics", "/.", "/.."),
        *("/routes/../metrics", "/routes/./x", "/routes/"),
        *("/%6detrics", "/%2d/reload", "/routes%2f..", "/routes/%2e%2e/metrics", "/%2fmetrics"),
        *("/routes/a%2fb", "/routes/a%5cb", "/routes/a\\b", "/routes/%00", "/routes/a%0d%0a"),
        *("/routes/a%zz", "/routes/%", "/routes/a#b", "/#", "/routes/a b", "/routes/\xe9"),
        *("http://localhost:8081/", "http://localhost:8081/metrics", "*", "localhost:8081", ""),
    ],
)
def test_what_is_not_surely_the_consoles_is_the_gateways(target: str) -> None:
    assert length(get(target)) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"PUT / HTTP/1.1\r\n",
        b"OPTIONS / HTTP/1.1\r\n",
        b"CONNECT / HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET /\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_so_is_a_request_line_that_is_none_of_a_browsers(data: bytes) -> None:
    assert length(data) == 0


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: \r\n",
        b"Content-Length : 3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"transfer-encoding:\r\n",
        b"Host: a\r\n b\r\n",
        b"Host: a\nTransfer-Encoding: chunked\r\n",
        b"Host: a\r\r\n",
        b"Host: a\x00\r\n",
        b"no field\r\n",
    ],
)
def test_so_is_a_head_whose_end_or_body_others_could_see_elsewhere(fields: bytes) -> None:
    assert length(b"POST /routes/iris HTTP/1.1\r\n" + fields + b"\r\nabc") == 0


def test_the_length_counts_the_body_and_not_what_follows() -> None:
    head = b"POST /routes/iris HTTP/1.1\r\n" + HOST + b"content-LENGTH: \t5\r\n\r\n"

    assert length(head) == len(head) + 5
    assert length(head + b"abcdeGET /metrics HTTP/1.1\r\n\r\n") == len(head) + 5


def test_a_request_has_a_largest_size() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n"

    assert length(head % (LARGEST - 100)) is not None
    assert length(head % LARGEST) == 0
    assert length(b"GET /" + b"a" * LARGEST) == 0
    assert length(b"GET / HTTP/1.1\r\nCookie: " + b"a" * LARGEST) == 0
    assert length(b"GET / HTTP/1.1\r\nCookie: " + b"a" * 1000) is None
