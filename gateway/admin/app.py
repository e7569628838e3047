"""The admin port: metrics, health, state and reload. It sets no weights: only the file does.

Who may ask is decided in ``access``, before anything else happens.
"""

from __future__ import annotations

import json
from asyncio import sleep
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.routing import Mount as _Mounted
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.admin.status import evidence_json, status_json
from gateway.counting.report import Report
from gateway.errors import Refusal
from gateway.files.reloader import Reloader
from gateway.metrics.exposition import pieces
from gateway.processes.plane import Plane
from gateway.security.access import refusal
from gateway.security.credential import Token


class _Json(JSONResponse):
    """In ASCII: a name of a file or a version may hold what UTF-8 has no form for."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Mount:
    """What others serve on the admin port below a path (``/pages``), behind the same guard. What is
    ``open`` everybody may read without a token: it must hold nothing that is not public.
    """

    path: str
    application: ASGIApp
    open: bool = False


class _Guarded:
    """Lets through who may pass."""

    def __init__(self, app: ASGIApp, token: Token | None, open_below: Collection[str] = ()) -> None:
        self._app = app
        self._token = token
        self._open_below = open_below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = None if self._token is None else self._token.value()
        # `path` is what the router goes by, too: it is decoded once, and Host has no say in it.
        method, path, fields = scope["method"], scope["path"], scope["headers"]
        refused = refusal(method, path, fields, token, self._open_below)
        app = self._app if refused is None else _refused(refused)
        await app(scope, receive, send)


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
        return _Json(body, status_code=200 if status.successful else 400)

    async def status(request: Request) -> Response:
        return _Json(status_json(report()))

    async def evidence(request: Request) -> Response:
        return _Json(evidence_json(report()))

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


def guarded(
    routes: Sequence[BaseRoute],
    token: Token | None,
    *more: Middleware,
    open_below: Collection[str] = (),
) -> Starlette:
    """An application that serves these to whoever may pass, and says in JSON what it does not.
    What lies below ``open_below`` everybody may read.
    """
    application = Starlette(
        middleware=[Middleware(_Guarded, token=token, open_below=open_below), *more],
        exception_handlers={HTTPException: _not_served, Exception: _failed},
        routes=routes,
    )
    # It would redirect to wherever the Host field says.
    application.router.redirect_slashes = False
    return application


def _refused(refused: Refusal) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="admin"'} if refused.status == 401 else None
    return _error(refused.status, refused.reason, refused.sentence, headers)


async def _not_served(request: Request, error: Exception) -> Response:
    """404 and 405."""
    assert isinstance(error, HTTPException)
    reason = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    return _error(error.status_code, reason, "nothing is served here that way", headers)


async def _failed(request: Request, error: Exception) -> Response:
    """The log has the rest."""
    return _error(500, "internal_error", "this is a mistake of the gateway; its log says more")


def _error(
    status: int, reason: str, sentence: str, headers: dict[str, str] | None = None
) -> Response:
    return _Json({"error": sentence, "reason": reason}, status, headers)
