"""The console as an application. Each module of pages brings its own routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from monitoring.console import acts, asking, filed, layout, past, static
from monitoring.console.context import Context
from monitoring.console.door import Door
from monitoring.console.pages import Pages
from monitoring.console.policy import Strict
from monitoring.console.sampler import Sampler
from monitoring.console.stream import Hub
from monitoring.readings.sources import GatewaySource, GatewaySources, SourceError


def create_console(context: Context, sampler: Sampler | None = None) -> ASGIApp:
    """Pages, files and streams for whoever the ``door`` lets in, every answer with the headers of
    the module ``policy``. Unless another one is given, a sampler looks at the gateways for as long
    as it runs.
    """
    door, hub = Door(context), Hub()
    watcher = sampler or Sampler(partial(_metrics, context.sources), context.clock)

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        with watcher:
            yield
        await hub.close()

    application = Starlette(
        routes=[
            *door.routes(),
            *static.routes(),
            *acts.routes(context),  # before the page of a route, whose name takes the rest
            *past.routes(context),
            *asking.routes(context),
            *filed.routes(context),
            *Pages(context, watcher, hub).routes(),
        ],
        exception_handlers={HTTPException: layout.not_served, Exception: layout.failed},
        lifespan=running,
    )
    application.state.notices = context.notices
    # It would redirect to wherever the Host field says.
    application.router.redirect_slashes = False
    return Strict(door.before(application))


def _metrics(sources: GatewaySources) -> dict[str, str | SourceError]:
    return dict(zip(sources.addresses, sources.each(GatewaySource.metrics), strict=True))
