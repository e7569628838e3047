"""The gateway people write first: Starlette, httpx and prometheus_client, with the same duties.

Run as ``uvicorn benchmarks.naive:app``; ``WORKERS`` holds the URLs of stable and candidate,
``CLIENT`` the library that asks them: httpx, or its continuation httpx2, which is far cheaper.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

httpx = importlib.import_module(os.environ.get("CLIENT", "httpx"))
WORKERS = dict(zip(("v1", "v2"), os.environ.get("WORKERS", "").split(), strict=False))
REQUESTS = Counter("requests", "Answers", ["version", "status"])
SECONDS = Histogram("request_seconds", "What the client waited", ["version"])
LABELS = Counter("predictions", "Predicted labels", ["version", "label"])


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    async with httpx.AsyncClient(timeout=3, limits=limits) as client:
        app.state.client = client
        yield


async def predict(request: Request) -> Response:
    started = time.perf_counter()
    version = random.choices(("v1", "v2"), (90, 10))[0]
    answer = await request.app.state.client.post(
        WORKERS[version] + request.url.path,
        content=await request.body(),
        headers={"Content-Type": request.headers.get("content-type", "application/json")},
    )
    SECONDS.labels(version).observe(time.perf_counter() - started)
    REQUESTS.labels(version, str(answer.status_code)).inc()
    LABELS.labels(version, json.loads(answer.content)["predictions"][0]).inc()
    return Response(
        answer.content,
        answer.status_code,
        {"X-Model-Version": version},
        answer.headers.get("content-type"),
    )


async def metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type="text/plain")


app = Starlette(
    routes=[Route("/metrics", metrics), Route("/{path:path}", predict, methods=["POST"])],
    lifespan=lifespan,
)
