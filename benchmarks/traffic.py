"""What goes over the wires: whole requests of the load, and the worker's answers.

Three kinds of heads. *Plain*: the same bytes each time. *Varied*: a client library's usual head,
the same each time but for the Content-Length, and answers of several lengths with a Date. *Fresh*:
no two heads alike, in either direction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from benchmarks.bodies import LARGE_REQUEST, SMALL_REPLY, SMALL_REQUEST, reply_body, request_body

# More distinct requests than anything remembers that remembers heads; over 10 MB of them.
FRESH_REQUESTS: Final = 20_000
VARIED_REQUESTS: Final = (250, 264, 278, 292, 307, 321, 335, 350)  # bytes of body
VARIED_REPLIES: Final = (SMALL_REPLY, 197, 205, 211, 226)
_SEED: Final = 20261121  # every run sends the same

_CLIENT: Final = (
    "User-Agent: python-httpx/0.28.1\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\n"
)


class Heads(StrEnum):
    """How much of the heads stays the same; the values are words of worker.c."""

    PLAIN = "plain"
    VARIED = "dated"
    FRESH = "traced"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which bodies, which heads."""

    heads: Heads = Heads.PLAIN
    large: bool = False

    def requests(self, paths: Sequence[str]) -> list[bytes]:
        """The messages the load sends in turn."""
        if self.heads is Heads.FRESH:
            numbers = random.Random(_SEED)
            body = request_body(SMALL_REQUEST)
            return [
                message(paths[i % len(paths)], body, _ids(numbers)) for i in range(FRESH_REQUESTS)
            ]
        if self.heads is Heads.VARIED:
            bodies = [request_body(size) for size in VARIED_REQUESTS]
            return [message(path, body, _CLIENT) for body in bodies for path in paths]
        body = request_body(LARGE_REQUEST if self.large else SMALL_REQUEST)
        return [message(path, body) for path in paths]

    def replies(self) -> list[bytes]:
        """The bodies the worker answers in turn."""
        if self.large:
            return [reply_body(None)]
        sizes = VARIED_REPLIES if self.heads is Heads.VARIED else (SMALL_REPLY,)
        return [reply_body(size) for size in sizes]


PLAIN: Final = Traffic()


def message(path: str, body: bytes, lines: str = "") -> bytes:
    """A whole request; ``lines`` are more header lines, each with its end."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def write_ring(path: Path, messages: Sequence[bytes]) -> None:
    """For load.lua: each message after a line with its size."""
    path.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in messages))


def _ids(numbers: random.Random) -> str:
    """What a client that traces its requests sends: a request id and a W3C trace context."""
    bits = numbers.getrandbits
    return (
        f"X-Request-Id: {bits(128):032x}\r\ntraceparent: 00-{bits(128):032x}-{bits(64):016x}-01\r\n"
    )
