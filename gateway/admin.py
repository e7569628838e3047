"""The admin port: metrics, health, state and reload. It sets no weights: only the file does."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.live import Live
from gateway.reloader import Reloader
from gateway.status import evidence_json, status_json


def create_admin(live: Live, reloader: Reloader, registry: CollectorRegistry) -> Starlette:
    """The application of the admin port."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("healthy\n")

    async def ready(request: Request) -> Response:
        # A table is in force from the first moment on, and a dead candidate is not our unreadiness.
        if live.draining:
            return PlainTextResponse("draining\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def reload(request: Request) -> Response:
        status = await reloader.reload()
        problems = [problem.render(reloader.path.name) for problem in status.problems]
        body = {"generation": live.serving.generation, "problems": problems}
        return JSONResponse(body, status_code=200 if status.successful else 400)

    async def status(request: Request) -> Response:
        return JSONResponse(status_json(live, reloader.status, reloader.path.name))

    async def evidence(request: Request) -> Response:
        return JSONResponse(evidence_json(live))

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["POST"]),
            Route("/api/status", status),
            Route("/api/evidence", evidence),
        ]
    )
