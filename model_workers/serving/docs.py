"""``/openapi.json``, and ``/docs`` to read and try it in a browser, without any other host.

Swagger UI is the published one; ``static/manifest.json`` says which. The page holds nothing inline,
so that its policy can forbid all that.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .openapi import Fragment, content, operation

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model worker</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# Swagger UI writes style attributes, and draws its arrows from addresses that are data.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js", "start.js")


def routes(document: dict[str, Any]) -> list[Route]:
    """The document, the page, and the files of the page."""
    encoded = msgspec.json.encode(document)

    async def openapi(request: Request) -> Response:
        return Response(encoded, media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(PAGE, 200, {"Content-Security-Policy": POLICY}, media_type="text/html")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            raise HTTPException(404)
        media = _TYPES[Path(name).suffix]
        return Response(_read(name), 200, {"Cache-Control": "max-age=3600"}, media_type=media)

    return [
        Route("/openapi.json", openapi),
        Route("/docs", page),
        Route("/docs/{name}", file),
    ]


def openapi() -> Fragment:
    """The description of the description."""
    page = content({"type": "string"}, media="text/html; charset=utf-8")
    return Fragment(
        {
            "/openapi.json": {
                "get": operation("This document.", content({"type": "object"})),
            },
            "/docs": {"get": operation("This document, to read and to try.", page)},
        },
        {},
    )


@cache
def _read(name: str) -> bytes:
    return (STATIC / name).read_bytes()
