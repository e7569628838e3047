"""The pages that only read: overview, and one route."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitoring.console.context import Context
from monitoring.console.layout import page


def routes(context: Context) -> list[BaseRoute]:
    """What is served of them."""

    async def overview(request: Request) -> Response:
        return page(request, "overview.html")

    return [Route("/", overview)]
