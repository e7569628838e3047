"""Where Prometheus asks the controller: a port of its own, in a thread of its own.

Slow clients and too many of them are kept within bounds as at the gateway's admin port, and the
same strangers are kept out.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.admin.guard import guarded
from gateway.admin.port import AdminServer, admin_server
from gateway.machine.port import Address
from gateway.security.access import is_loopback
from gateway.security.credential import FILE_VARIABLE, TOKEN_VARIABLE, Token
from monitoring.metrics.collector import Metrics

DEFAULT: Final = Address("127.0.0.1", 8082)
_PATIENCE: Final = 5.0  # seconds for open connections to end


@contextmanager
def serve(
    metrics: Metrics, address: Address = DEFAULT, token: Token | None = None
) -> Iterator[Address]:
    """Serve for as long as the context lasts; where, if the port was 0.

    Raises OSError if the port is taken; PermissionError if others than this machine could ask, and
    would need no token for it.
    """
    if token is None and not is_loopback(address.host):
        raise PermissionError(
            f"the controller's metrics on {address} can be reached from other machines and need a "
            f"token: give --admin-token-file ({FILE_VARIABLE}) or {TOKEN_VARIABLE}, "
            "or keep them on 127.0.0.1"
        )
    with _bound(address) as sock:
        server = admin_server(guarded(_routes(metrics), token, Middleware(GZipMiddleware)))
        thread = threading.Thread(
            target=_run, args=(server, sock), name="metrics port", daemon=True
        )
        thread.start()
        try:
            yield Address(address.host, int(sock.getsockname()[1]))
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def _routes(metrics: Metrics) -> list[Route]:
    async def exposition(request: Request) -> Response:
        content_type, text = metrics.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    async def healthy(request: Request) -> Response:
        trouble = metrics.trouble()
        return PlainTextResponse(f"{trouble or 'healthy'}\n", 503 if trouble else 200)

    return [Route("/metrics", exposition), Route("/-/healthy", healthy)]


def _bound(address: Address) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


def _run(server: AdminServer, sock: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[sock]))
