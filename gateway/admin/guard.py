"""Who may ask an admin port, and how it says no. The choice itself is in ``access``."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import Refusal
from gateway.security.access import refusal
from gateway.security.credential import Token


class Json(JSONResponse):
    """In ASCII: a name of a file or a version may hold what UTF-8 has no form for."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


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
    return Json({"error": sentence, "reason": reason}, status, headers)
