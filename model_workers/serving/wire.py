"""Between Starlette and the worker: bodies in, JSON out, and the ways of not answering."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..contract.refusal import RefusedBody
from ..protocols.compression import CODINGS, Broken, TooLarge, Unsupported, unpack
from .faults import Fault, Strike

MAX_BODY = 1 << 20  # bytes
GONE = 499  # nginx's status for a client that left before its answer
HANG_S = 600.0  # a client that waits longer than this is as good as gone


RETRY = {"Retry-After": "1"}
CUT = "model_worker.cut"  # in a scope: break this answer off half-way


class Garbage(Exception):
    """The fault plan wants an answer that is none."""


class CutAnswers:
    """ASGI middleware: an answer whose scope says so promises its whole length and breaks off in
    the middle of its first part.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def halved(message: Message) -> None:
            if CUT not in scope or message["type"] != "http.response.body":
                await send(message)
            elif not scope.get("model_worker.done"):
                scope["model_worker.done"] = True
                half = message["body"][: len(message["body"]) // 2]
                await send({"type": "http.response.body", "body": half, "more_body": True})

        await self._app(scope, receive, halved)


def at_once(send: Send) -> Send:
    """For HTTP/1.0, which has no chunks: uvicorn sends them to whoever is not told a length (RFC
    9112, 6.1, forbids it). So all events are sent once they are known, with theirs.
    """
    start: Message = {}
    body = bytearray()

    async def gather(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message["body"])
        if not message.get("more_body"):
            headers = [*start["headers"], (b"content-length", b"%d" % len(body))]
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": bytes(body)})

    return gather


async def wait(request: Request, fault: Fault) -> None:
    """Sleep as the fault demands, not blocking anybody else; raises ClientDisconnect if the client
    leaves meanwhile.
    """
    seconds = HANG_S if fault.strike is Strike.HANG else fault.delay_s
    if not seconds:
        return
    try:
        with stoppable():
            async with asyncio.timeout(seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
    except TimeoutError:
        if fault.strike is not Strike.HANG:
            return
    raise ClientDisconnect


@contextmanager
def stoppable() -> Iterator[None]:
    """Around whatever an answer waits for. A server that stops cancels what is still under way
    after a while; the client is told so, and it is no failure of the model.
    """
    try:
        yield
    except asyncio.CancelledError:
        raise HTTPException(503, "the worker is stopping; ask another", RETRY) from None


async def read_body(request: Request) -> bytes:
    """The whole body, unpacked if it is compressed; refused as soon as it is seen to be too large,
    packed or unpacked.
    """
    if "upgrade" in request.headers:
        _refuse_upgrade(request)
    body = bytearray()
    with stoppable():
        async for chunk in request.stream():
            body += chunk
            # Starlette's own limit would answer in plain text; every error of a worker is JSON.
            if len(body) > MAX_BODY:
                raise _too_large()
    try:
        return unpack(bytes(body), request.headers.get("content-encoding", ""), MAX_BODY)
    except TooLarge:
        raise _too_large() from None
    except Broken as error:
        raise HTTPException(400, str(error)) from None
    except Unsupported as error:
        raise HTTPException(415, str(error), {"Accept-Encoding": ", ".join(CODINGS)}) from None


def _refuse_upgrade(request: Request) -> None:
    """The parser reads no body behind a request for another protocol, as Java's client sends it
    (``Upgrade: h2c``): that is told, and not that the body is empty.
    """
    if "upgrade" in request.headers.get("connection", "").lower():
        wish = request.headers["upgrade"][:40]
        said = f"a body sent with Upgrade: {wish} is not read; send HTTP/1.1 without Upgrade"
        raise HTTPException(400, said, {"Connection": "close"})


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body is larger than {MAX_BODY} bytes; send less at a time")


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


async def refused_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedBody)
    return json_response({"detail": [problem._asdict() for problem in error.problems]}, 422)


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    content = {"error": sentence(request, error)}
    return json_response(content, error.status_code, dict(error.headers or {}))


def sentence(request: Request, error: HTTPException, models: str = "/v2/models") -> str:
    """What it says; ``models`` is where to look what is served."""
    if error.detail != HTTPStatus(error.status_code).phrase:
        return error.detail
    # Starlette's own: 404 and 405 of the router.
    asked = f"{request.method} {request.url.path[:100]}"
    return f"{asked}: {error.detail}; GET {models} names what is served"


async def client_gone(request: Request, error: Exception) -> Response:
    """For the counts only: nobody reads it."""
    return Response(status_code=GONE)


async def garbage(request: Request, error: Exception) -> Response:
    return Response("<html>this is no prediction</html>", media_type="application/json")


async def crash(request: Request, error: Exception) -> Response:
    return json_response({"error": "the model failed; the worker's log says why"}, 500)
