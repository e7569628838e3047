"""Before a target is measured: it gives the worker's own answers, counts what it claims to count,
and sends each version its share.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPException, HTTPResponse
from math import sqrt
from typing import Final

from benchmarks.group import Group

START_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 5.0
COUNTED: Final = 50  # requests to compare a target's counting with
_SIGMAS: Final = 6


def await_answer(
    name: str,
    port: int,
    message: bytes,
    replies: Collection[bytes],
    group: Group | None,
    context: ssl.SSLContext | None = None,
) -> None:
    """Wait for one of the worker's answers. Raises RuntimeError if another comes, or none."""
    deadline = time.monotonic() + START_SECONDS
    seen: object = "nothing"
    while time.monotonic() < deadline and (group is None or group.running):
        try:
            seen = ask(port, [message], context)[0]
            if seen in replies:
                return
        except (OSError, HTTPException) as error:
            seen = error
        time.sleep(0.05)
    log = group.log.read_text(errors="replace")[-2000:] if group else ""
    raise RuntimeError(f"{name} does not give the worker's answer but {seen!r}\n{log}")


def check_counting(
    name: str,
    counted: Callable[[], int],
    port: int,
    messages: Sequence[bytes],
    context: ssl.SSLContext | None = None,
) -> None:
    """Raises RuntimeError unless each message is counted, once."""
    asked = [messages[i % len(messages)] for i in range(COUNTED)]
    before = counted()
    ask(port, asked, context)
    deadline = time.monotonic() + SETTLE_SECONDS
    while (seen := counted() - before) != COUNTED:
        if seen > COUNTED or time.monotonic() > deadline:
            raise RuntimeError(f"{name} counted {seen} labels of {COUNTED} answers")
        time.sleep(0.05)


def check_processes(name: str, group: Group, processes: int) -> None:
    """Raises RuntimeError if fewer are measured than there should be (one may have left the
    session).
    """
    seen = len(group.usage().processes)
    if seen < processes:
        raise RuntimeError(f"{name} has {seen} processes in its session, not {processes}")


def check_shares(name: str, asked: Mapping[str, int], shares: Mapping[str, float]) -> None:
    """Raises RuntimeError if a worker was not asked about as often as it should have been."""
    total = sum(asked.values())
    for address, share in shares.items():
        seen = asked.get(address, 0)
        if abs(seen - total * share) > _SIGMAS * sqrt(total * share * (1 - share)) + 1:
            raise RuntimeError(
                f"{name} sent {seen} of {total} requests to a version that takes {share:.1%}"
            )


def ask(port: int, messages: Sequence[bytes], context: ssl.SSLContext | None = None) -> list[bytes]:
    """The answers' bodies, asked for one after the other on one connection, by TLS with a
    context.
    """
    bodies = []
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        if context is not None:
            secured = context.wrap_socket(connection, server_hostname="127.0.0.1")
            connection = stack.enter_context(secured)
        for message in messages:
            connection.sendall(message)
            with HTTPResponse(connection, method="POST") as response:
                response.begin()
                bodies.append(response.read())
    return bodies
