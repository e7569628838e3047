"""A worker that says how long it had each request: ``python -m benchmarks.timed_worker MODEL
PREDICTOR ARTEFACTS``. Its address is the first line that it prints.

The application and the server's settings are those of ``model-worker serve``; around the
application stands a clock. It starts when the last byte of the request has been read, and stops
when the last byte of the answer has been handed to the kernel.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import uvicorn
from threadpoolctl import threadpool_limits

from model_workers.models.catalogue import find
from model_workers.serving.app import create_app
from model_workers.training.supply import supply

TIMINGS = "/benchmark/timings"


class Clock:
    """ASGI middleware: times ``POST``s, and tells them, once, at :data:`TIMINGS`."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._seconds: list[float] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == TIMINGS:
            await self._tell(send)
        elif scope["method"] == "POST":
            await self._timed(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _timed(
        self,
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        begun = 0.0

        async def read() -> Any:
            nonlocal begun
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                begun = perf_counter()
            return message

        async def write(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._seconds.append(perf_counter() - begun)

        await self._app(scope, read, write)

    async def _tell(self, send: Any) -> None:
        told, self._seconds = json.dumps(self._seconds).encode(), []
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(told))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": told})


def main(model: str, predictor: str, artefacts: str) -> None:
    """Serve until killed."""
    threadpool_limits(limits=1)
    app = create_app(predictor, supply(find(model, predictor), Path(artefacts)))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        Clock(app), lifespan="off", log_level="warning", access_log=False, proxy_headers=False
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
