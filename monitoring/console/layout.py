"""How a page is made: one of the templates, escaped, in the frame that all pages share."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from monitoring.console import static


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("monitoring.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static.address
    return environment


def render(template: str, **values: Any) -> str:
    """A template as HTML; every value is escaped."""
    return _environment().get_template(template).render(values)


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A whole page. ``request`` and what was put into ``request.state.shown`` (by whoever guards
    the door, for example) are known to the template, too.
    """
    shown: dict[str, Any] = getattr(request.state, "shown", {})
    return HTMLResponse(render(template, request=request, **shown, **values), status)


async def not_served(request: Request, error: Exception) -> Response:
    """404 and the like, as a page."""
    assert isinstance(error, HTTPException)
    heading = HTTPStatus(error.status_code).phrase
    said = "" if error.detail == heading else error.detail
    return page(request, "problem.html", error.status_code, heading=heading, said=said)


async def failed(request: Request, error: Exception) -> Response:
    """The log has the rest."""
    return page(
        request,
        "problem.html",
        500,
        heading="This is a mistake of the console",
        said="Its log says more. Requests of clients are not concerned.",
    )
