"""The page that answers which version a user would get, and why."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.config import parse
from gateway.errors import ConfigError
from gateway.routing.split import BUCKETS
from monitoring import editing
from monitoring.console.context import Context
from monitoring.console.forms import Fault
from monitoring.console.inquiry import Answer, BadRequest, answer
from monitoring.console.layout import page

_FIELDS = ("route", "key", "path", "headers")
_LONGEST = 16 * 1024  # characters of what is asked


def routes(context: Context) -> list[BaseRoute]:
    """One page: the question stands in its address."""

    async def explain(request: Request) -> Response:
        return await run_in_threadpool(_explained, context, request)

    return [Route("/explain", explain)]


def _explained(context: Context, request: Request) -> Response:
    asked = {name: request.query_params.get(name, "")[:_LONGEST] for name in _FIELDS}
    try:
        config = parse(editing.content_of(context.file))
    except ConfigError as error:
        return page(request, "explain.html", 422, problems=error.problems, **_nothing(asked))
    found: Answer | None = None
    faults: list[Fault] = []
    if request.query_params.keys() & {*_FIELDS}:
        try:
            found = answer(config, asked["route"], asked["key"], asked["path"], asked["headers"])
        except BadRequest as error:
            faults = [Fault(error.field, str(error))]
    return page(
        request,
        "explain.html",
        422 if faults else 200,
        **_nothing(asked) | {"config": config, "found": found, "faults": faults},
        problems=(),
    )


def _nothing(asked: dict[str, str]) -> dict[str, object]:
    return {"asked": asked, "config": None, "found": None, "faults": [], "buckets": BUCKETS}
