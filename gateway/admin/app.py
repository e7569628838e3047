"""The admin port: metrics, health, state and reload. It sets no weights: only the file does.

Who may ask is decided before anything else happens, see ``guard``.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.routing import Mount as _Mounted
from starlette.types import ASGIApp

from gateway.admin.guard import Json, guarded
from gateway.admin.status import evidence_json, status_json
from gateway.counting.report import Report
from gateway.files.reloader import Reloader
from gateway.metrics.exposition import pieces
from gateway.processes.plane import Plane
from gateway.security.credential import Token


@dataclass(frozen=True, slots=True)
class Mount:
    """What others serve on the admin port below a path (``/pages``), behind the same guard. What is
    ``open`` everybody may read without a token: it must hold nothing that is not public.
    """

    path: str
    application: ASGIApp
    open: bool = False


def create_admin(
    plane: Plane,
    reloader: Reloader,
    report: Callable[[], Report],
    registry: CollectorRegistry,
    token: Token | None = None,
    mounts: Sequence[Mount] = (),
) -> Starlette:
    """The application of the admin port; ``report`` gathers what is so at the moment. Without a
    token it may be served on loopback only. ``mounts`` come after what is the gateway's own.
    """

    async def metrics(request: Request) -> Response:
        content_type, text = pieces(registry, ",".join(request.headers.getlist("accept")))
        written = bytearray()
        for piece in text:
            written += piece
            await sleep(0)  # requests of clients come first
        return Response(bytes(written), headers={"Content-Type": content_type})

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
        return Json(body, status_code=200 if status.successful else 400)

    async def status(request: Request) -> Response:
        return Json(status_json(report()))

    async def evidence(request: Request) -> Response:
        return Json(evidence_json(report()))

    routes: list[BaseRoute] = [
        Route("/metrics", metrics),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/-/reload", reload, methods=["POST"]),
        Route("/api/status", status),
        Route("/api/evidence", evidence),
        *(_Mounted(one.path, one.application) for one in mounts),
    ]
    return guarded(routes, token, open_below=[f"{one.path}/" for one in mounts if one.open])


def own_segments(application: Starlette) -> frozenset[str]:
    """The first segments of the paths that are served, in lower case: ``-`` of ``/-/ready``."""
    routes = [route for route in application.routes if isinstance(route, Route | _Mounted)]
    return frozenset(route.path.split("/")[1].lower() for route in routes)
