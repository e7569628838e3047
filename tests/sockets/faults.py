"""Everything a worker can do wrong, by name; and how an error of the gateway looks."""

from __future__ import annotations

from tests.sockets.peers import (
    Behaviour,
    Message,
    answering,
    closing,
    hanging,
    resetting,
    saying,
    trickling,
)

OK = b"HTTP/1.1 200 OK\r\n"

# What a worker does instead of answering, the word for it, and the status when nobody else answers.
FAULTS: dict[str, tuple[Behaviour, str, int]] = {
    "closes": (closing, "reset", 502),
    "resets": (resetting, "reset", 502),
    "resets in the status line": (saying(b"HTTP/1.1 20", "reset"), "reset", 502),
    "closes in the status line": (saying(b"HTTP/1.1 20", "close"), "reset", 502),
    "closes in the head": (saying(OK + b"Content-Le", "close"), "reset", 502),
    "resets in the head": (saying(OK + b"Content-Le", "reset"), "reset", 502),
    "closes after the head": (saying(OK + b"Content-Length: 9\r\n\r\n", "close"), "reset", 502),
    "resets after the head": (saying(OK + b"Content-Length: 9\r\n\r\n", "reset"), "reset", 502),
    "closes in the body": (saying(OK + b"Content-Length: 9\r\n\r\nhalf", "close"), "reset", 502),
    "resets in the body": (saying(OK + b"Content-Length: 9\r\n\r\nhalf", "reset"), "reset", 502),
    "closes in a chunk": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "close"),
        "reset",
        502,
    ),
    "closes before the last chunk": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "close"),
        "reset",
        502,
    ),
    "resets a body without length": (
        saying(OK + b"\r\nhalf", "reset"),
        "reset",
        502,
    ),
    "speaks no http": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_response", 502),
    "speaks tls": (saying(b"\x15\x03\x01\x00\x02\x02\x0a", "close"), "bad_response", 502),
    "repeats the request": (saying(b"POST /predict HTTP/1.1\r\n\r\n"), "bad_response", 502),
    "says garbage after the head": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        "bad_response",
        502,
    ),
    "bad chunk size": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"),
        "bad_response",
        502,
    ),
    "two lengths": (
        saying(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        "bad_response",
        502,
    ),
    "length and chunked": (
        saying(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "bad_response",
        502,
    ),
    "negative length": (saying(OK + b"Content-Length: -2\r\n\r\nok"), "bad_response", 502),
    "length of letters": (
        saying(OK + b"Content-Length: two\r\n\r\nok"),
        "bad_response",
        502,
    ),
    "coding nobody asked for": (
        saying(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n"),
        "bad_response",
        502,
    ),
    "bare lf": (saying(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), "bad_response", 502),
    "nul in a field": (saying(OK + b"X: \x00\r\nContent-Length: 2\r\n\r\nok"), "bad_response", 502),
    "folded": (
        saying(OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
        "bad_response",
        502,
    ),
    "status without a number": (saying(b"HTTP/1.1 abc OK\r\n\r\n"), "bad_response", 502),
    "status of two digits": (saying(b"HTTP/1.1 20 OK\r\n\r\n"), "bad_response", 502),
    "a head beyond 64 KiB": (
        saying(OK + b"X: " + b"y" * 66_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
        "bad_response",
        502,
    ),
    "endless head": (saying(OK + b"X: " + b"y" * 400_000), "bad_response", 502),
    "endless fields": (saying(OK + b"X: y\r\n" * 80_000), "bad_response", 502),
    "endless interim answers": (
        saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
        "bad_response",
        502,
    ),
    "switches protocols": (
        saying(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        "bad_response",
        502,
    ),
    "switches protocols without naming one": (
        saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
        "bad_response",
        502,
    ),
    "switches protocols and falls silent": (
        saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        "bad_response",
        502,
    ),
}
SLOW: dict[str, Behaviour] = {
    "never answers": hanging,
    "never ends its head": saying(OK + b"Content-Length: 2\r\n"),
    "never ends its body": saying(OK + b"Content-Length: 9\r\n\r\nhalf"),
    "never says the last chunk": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
    "only says continue": saying(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trickles its head": trickling(OK + b"X: " + b"y" * 10_000),
    "trickles its body": trickling(OK + b"Content-Length: 10000\r\n\r\n" + b"y" * 10_000),
}

# --- more of the same kind: framings that are wrong in one detail

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


def bad(said: bytes, then: str = "stay") -> tuple[Behaviour, str, int]:
    return saying(said, then), "bad_response", 502


FAULTS |= {
    "answers as http/0.9 did": bad(b"just a body", "close"),
    "speaks http/2": bad(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    "writes http small": bad(b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "no length in the field": bad(OK + b"Content-Length:\r\n\r\nok"),
    "length with a sign": bad(OK + b"Content-Length: +2\r\n\r\nok"),
    "length that is a list": bad(OK + b"Content-Length: 2, 2\r\n\r\nok"),
    "length in hex": bad(OK + b"Content-Length: 0x2\r\n\r\nok"),
    "length beyond 64 bits": bad(OK + b"Content-Length: 18446744073709551618\r\n\r\nok"),
    "the same length twice": bad(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    "chunk size beyond 64 bits": bad(CHUNKED + b"\r\n10000000000000002\r\nok\r\n0\r\n\r\n"),
    "chunk longer than its size": bad(CHUNKED + b"\r\n1\r\nok\r\n0\r\n\r\n"),
    "chunk without its line end": bad(CHUNKED + b"\r\n2\r\nok0\r\n\r\n"),
    "chunk ended by a bare lf": bad(CHUNKED + b"\r\n2\nok\n0\n\n"),
    "chunk without a size": bad(CHUNKED + b"\r\n\r\nok\r\n0\r\n\r\n"),
    "nonsense for a trailer": bad(CHUNKED + b"\r\n2\r\nok\r\n0\r\n\x00: x\r\n\r\n"),
    "endless trailers": bad(CHUNKED + b"\r\n2\r\nok\r\n0\r\n" + b"X: y\r\n" * 80_000),
    "one endless trailer": bad(CHUNKED + b"\r\n2\r\nok\r\n0\r\nX: " + b"y" * 400_000),
    "endless chunk extension": bad(CHUNKED + b"\r\n2;x=" + b"y" * 400_000),
    "chunked twice": bad(CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    "chunked and something": bad(OK + b"Transfer-Encoding: chunked, x\r\n\r\nok", "close"),
    "no coding at all": bad(OK + b"Transfer-Encoding: identity\r\n\r\nok", "close"),
    "an interim answer with a body": bad(b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok"),
    "chunk extension without a name": bad(CHUNKED + b"\r\n2;=b\r\nok\r\n0\r\n\r\n"),
    "chunk extension without a value": bad(CHUNKED + b"\r\n2;a=\r\nok\r\n0\r\n\r\n"),
    "chunk extension of nothing": bad(CHUNKED + b"\r\n2;;a\r\nok\r\n0\r\n\r\n"),
    "chunk extension half in quotes": bad(CHUNKED + b'\r\n2;a=b"c"\r\nok\r\n0\r\n\r\n'),
    "chunk extension left open": bad(CHUNKED + b'\r\n2;a="b\r\nok\r\n0\r\n\r\n'),
    "chunk extension with an escape": bad(CHUNKED + b'\r\n2;a="\x1b"\r\nok\r\n0\r\n\r\n'),
    "bad extension of the last chunk": bad(CHUNKED + b"\r\n2\r\nok\r\n0;a=\r\n\r\n"),
    "bad extension behind an interim answer": bad(
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"\r\n2;=b\r\nok\r\n0\r\n\r\n"
    ),
    "says http/0.9": bad(b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "says http/1.2": bad(b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "says http/2.0": bad(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    "says http/2.0 behind http/1.1": bad(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "says http/2.0 behind an empty line": bad(
        b"\r\nHTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ),
    "bare lf before the answer": bad(b"\n" + OK + b"Content-Length: 2\r\n\r\nok"),
    "bare cr before the answer": bad(b"\r" + OK + b"Content-Length: 2\r\n\r\nok"),
    "ends after an interim answer": (
        saying(b"HTTP/1.1 103 Early Hints\r\n\r\n", "close"),
        "reset",
        502,
    ),
    "cuts a large body": (
        saying(OK + b"Content-Length: 8388608\r\n\r\n" + b"x" * 8_388_607, "close"),
        "reset",
        502,
    ),
}

# What is odd and an answer all the same: the bytes on the wire, and the status and body in them.
ODD: dict[str, tuple[Behaviour, int, bytes]] = {
    "an empty line before the answer": (
        saying(b"\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "extensions of chunks": (
        saying(CHUNKED + b'\r\n1;a\r\no\r\n1;a="q\\"x";b=c\r\nk\r\n0;d\r\nT: u\r\n\r\n'),
        200,
        b"ok",
    ),
    "many interim answers": (
        saying(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50 + OK + b"Content-Length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "a large head": (
        saying(OK + b"X: y\r\n" * 5_000 + b"Content-Length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "no json at all": (answering(200, b"{", [("Content-Type", "application/json")]), 200, b"{"),
    "not the type it says": (answering(200, b"{}", [("Content-Type", "image/png")]), 200, b"{}"),
    "no gzip at all": (answering(200, b"no gzip", [("Content-Encoding", "gzip")]), 200, b"no gzip"),
    "a second answer": (
        saying((OK + b"Content-Length: 2\r\n\r\nok") + OK + b"Content-Length: 5\r\n\r\nfalse"),
        200,
        b"ok",
    ),
    "surplus bytes": (saying(OK + b"Content-Length: 2\r\n\r\noksurplus"), 200, b"ok"),
    "a body on 204": (
        saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"),
        204,
        b"",
    ),
    "a body on 304": (
        saying(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok"),
        304,
        b"",
    ),
    "http/1.0 without a length": (saying(b"HTTP/1.0 200 OK\r\n\r\nok", "close"), 200, b"ok"),
    "a reason of many words": (
        saying(b"HTTP/1.1 200 \xc3\xa4 b c\r\nContent-Length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "an unknown status": (
        saying(b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok"),
        299,
        b"ok",
    ),
    "closes after its answer": (saying(OK + b"Content-Length: 2\r\n\r\nok", "close"), 200, b"ok"),
    "says close and stays": (
        saying(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "tiny chunks": (
        saying(CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 9_999 + b"0\r\n\r\n"),
        200,
        b"x" * 9_999,
    ),
}


def check_error(answer: Message, status: int, reason: str) -> None:
    told = answer.json()

    assert answer.status == status
    assert set(told) == {"error", "reason", "request_id"}
    assert told["reason"] == reason
    assert told["request_id"] == answer["x-request-id"]
    assert answer["content-type"] == "application/json"
    assert "127.0.0.1" not in told["error"]
    assert ("retry-after" in answer) == (status == 503)
