"""Between Starlette and the worker: bodies in, JSON out, and the ways of not answering."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..contract.instances import RefusedBody
from .faults import Fault, Strike

MAX_BODY = 1 << 20  # bytes
GONE = 499  # nginx's status for a client that left before its answer
HANG_S = 600.0  # a client that waits longer than this is as good as gone


class CutResponse(Response):
    """An answer that promises its whole length and breaks off half-way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


async def waited_in_vain(request: Request, fault: Fault) -> bool:
    """Sleep as the fault demands, not blocking anybody else; whether the client left meanwhile."""
    seconds = HANG_S if fault.strike is Strike.HANG else fault.delay_s
    if not seconds:
        return False
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return True
    except TimeoutError:
        return fault.strike is Strike.HANG
    except asyncio.CancelledError:
        raise HTTPException(503, "the worker is stopping") from None


async def read_body(request: Request) -> bytes:
    """The whole body, refused if it is compressed, or as soon as it is seen to be too large."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "compressed bodies are not supported; send plain JSON")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        # Starlette's own limit would answer in plain text; every error of a worker is JSON.
        if len(body) > MAX_BODY:
            raise HTTPException(
                413, f"the body is larger than {MAX_BODY} bytes; send fewer instances at a time"
            )
    return bytes(body)


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


async def refused_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedBody)
    return json_response({"detail": [problem._asdict() for problem in error.problems]}, 422)


async def bad_inference(request: Request, error: Exception) -> Response:
    return json_response({"error": str(error)}, 400)


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = error.detail
    if said == HTTPStatus(error.status_code).phrase:  # Starlette's own: 404 and 405 of the router
        asked = f"{request.method} {request.url.path[:100]}"
        said = f"{asked}: {said}; GET /v2/models names what is served"
    return json_response({"error": said}, error.status_code, dict(error.headers or {}))


async def client_gone(request: Request, error: Exception) -> Response:
    """For the counts only: nobody reads it."""
    return Response(status_code=GONE)


async def crash(request: Request, error: Exception) -> Response:
    return json_response({"error": "the model failed; the worker's log says why"}, 500)
