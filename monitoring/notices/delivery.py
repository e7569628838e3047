"""One attempt to hand a notice to a webhook, and what is to be done after it.

It goes through a transport with no client around it: no redirect is followed, no proxy and no
credentials are taken from the environment, no cookie is kept. The answer's status decides; of its
body nothing is made. What a webhook's URL holds after the host is often a secret, so no message
quotes it, and neither what the other side said.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Final

import httpx2

from gateway.security.tls import client_context
from monitoring.notices.notice import Notice

TIMEOUT: Final = 5.0  # seconds for a whole attempt: name, connection, handshake, answer
LONGEST_WAIT: Final = 60.0  # seconds that a receiver may ask for
LARGEST: Final = 64 * 1024  # bytes of an answer that are read, for the sake of who writes it

_AGAIN: Final = frozenset({408, 429, *range(500, 600)})
_USER_AGENT: Final = f"canary-gateway/{version('canary-gateway')}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one. Without ``why`` it is delivered; ``again``: another one may do better, not
    sooner than in ``wait`` seconds.
    """

    why: str = ""
    again: bool = False
    wait: float = 0.0


def network() -> httpx2.AsyncBaseTransport:
    """Connections of their own for each attempt, https verified by the system's store. Raises
    OSError if there is no such store.
    """
    return httpx2.AsyncHTTPTransport(
        verify=client_context(""),
        trust_env=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
    )


async def attempt(
    transport: httpx2.AsyncBaseTransport, url: str, notice: Notice, within: float = TIMEOUT
) -> Attempt:
    """Post the notice, all of it within so many seconds. Raises nothing but its cancellation."""
    answer: httpx2.Response | None = None
    try:
        request = _request(url, notice)
        async with asyncio.timeout(within):
            answer = await transport.handle_async_request(request)
            await _pass_over(answer)
    except TimeoutError:
        if answer is None:
            return Attempt(f"no answer within {within:g} s", again=True)
    except (httpx2.TransportError, OSError) as error:
        if answer is None:
            return Attempt(_why(error), again=not isinstance(error, httpx2.LocalProtocolError))
    except Exception as error:  # a URL or a notice that cannot be sent: it will not get better
        if answer is None:
            return Attempt(f"it cannot be sent ({type(error).__name__})")
    finally:
        if answer is not None:
            with suppress(Exception):
                await answer.aclose()
    assert answer is not None
    return _judged(answer)


def _request(url: str, notice: Notice) -> httpx2.Request:
    fields = {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "X-Canary-Event": notice.event,
        "X-Canary-Delivery": notice.id,
    }
    return httpx2.Request("POST", url, headers=fields, content=notice.body())


async def _pass_over(answer: httpx2.Response) -> None:
    """Take the body as it comes, unless it is long."""
    size = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > LARGEST:
            break


def _judged(answer: httpx2.Response) -> Attempt:
    if answer.is_success:
        return Attempt()
    again = answer.status_code in _AGAIN
    return Attempt(f"it answered {answer.status_code}", again, _wait(answer) if again else 0.0)


def _wait(answer: httpx2.Response) -> float:
    """The seconds of Retry-After (RFC 9110, section 10.2.3). A date is held against the answer's
    own, so that nobody's clock has to be right.
    """
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        asked = parsedate_to_datetime(text) - parsedate_to_datetime(answer.headers["Date"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return 0.0
    return min(max(asked.total_seconds(), 0.0), LONGEST_WAIT)


def _why(error: BaseException) -> str:
    """The cause at the bottom, in words of this system or of ours, never of the other side."""
    if isinstance(error, BaseExceptionGroup):  # one for each address of a name
        return _why(error.exceptions[0])
    wrapped = error.__cause__ or (error.args[0] if error.args else None)  # httpcore2: the latter
    if isinstance(wrapped, BaseException):
        return _why(wrapped)
    verdict = getattr(error, "verify_message", "")
    if verdict:
        return f"its certificate is not valid: {verdict}"
    if isinstance(error, OSError):
        known = error.errno is not None and error.errno > 0
        return os.strerror(error.errno or 0).lower() if known else error.strerror or str(error)
    return f"no answer to work with ({type(error).__name__})"
