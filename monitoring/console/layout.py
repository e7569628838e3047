"""How a page is made: one of the templates, escaped, in the frame that all pages share."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from monitoring.console import static
from monitoring.console.notices import PARAMETER
from monitoring.console.veil import veiled
from monitoring.printable import harmless
from monitoring.printable import shown as printable


def _finished(value: Any) -> Any:
    """What is put into a page. HTML of our own is what it is."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("monitoring.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static.address
    environment.filters["shown"] = printable
    environment.filters["veiled"] = veiled
    return environment


def render(template: str, **values: Any) -> str:
    """A template as HTML; every value is escaped."""
    return _environment().get_template(template).render(values)


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A whole page. ``request`` and what was put into ``request.state.shown`` (by whoever guards
    the door, for example) are known to the template, too.
    """
    shown: dict[str, Any] = getattr(request.state, "shown", {})
    app = request.scope.get("app")  # nobody's yet, where the door answers
    notices = getattr(app.state, "notices", None) if app else None
    notice = notices.get(request.query_params.get(PARAMETER)) if notices else None
    text = render(template, request=request, notice=notice, **shown, **values)
    return HTMLResponse(text, status)


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
