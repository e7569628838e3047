"""The console as an application. Each module of pages brings its own routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from monitoring.console import acts, asking, filed, layout, pages, past, static
from monitoring.console.context import Context
from monitoring.console.policy import Strict


def create_console(context: Context) -> ASGIApp:
    """Pages, files and streams, every answer with the headers of the module ``policy``."""
    application = Starlette(
        routes=[
            *static.routes(),
            *pages.routes(context),
            *acts.routes(context),
            *past.routes(context),
            *asking.routes(context),
            *filed.routes(context),
        ],
        exception_handlers={HTTPException: layout.not_served, Exception: layout.failed},
    )
    application.state.notices = context.notices
    # It would redirect to wherever the Host field says.
    application.router.redirect_slashes = False
    return Strict(application)
