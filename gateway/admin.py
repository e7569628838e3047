"""The admin port: metrics, health, state and reload. It sets no weights: only the file does."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.plane import Plane
from gateway.reloader import Reloader
from gateway.report import Report
from gateway.status import evidence_json, status_json


def create_admin(
    plane: Plane, reloader: Reloader, report: Callable[[], Report], registry: CollectorRegistry
) -> Starlette:
    """The application of the admin port; ``report`` gathers what is so at the moment."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("healthy\n")

    async def ready(request: Request) -> Response:
        # A table is in force from the first moment on, and a dead candidate is not our unreadiness.
        if plane.draining:
            return PlainTextResponse("draining\n", status_code=503)
        if not any(process.generation for process in plane.processes()):
            return PlainTextResponse("no process serves at the moment\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def reload(request: Request) -> Response:
        status = await reloader.reload()
        problems = [problem.render(reloader.path.name) for problem in status.problems]
        body = {"generation": plane.generation, "problems": problems}
        return JSONResponse(body, status_code=200 if status.successful else 400)

    async def status(request: Request) -> Response:
        return JSONResponse(status_json(report()))

    async def evidence(request: Request) -> Response:
        return JSONResponse(evidence_json(report()))

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
