"""The pages that only read, overview and one route, and what changes on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path

from monitoring.console import views
from monitoring.console.context import Context
from monitoring.console.desk import Desk
from monitoring.console.layout import page, render
from monitoring.console.offers import offered
from monitoring.console.sampler import Sampler
from monitoring.console.stream import Drawn, Hub
from monitoring.console.traces import DEFAULT, RANGES, news
from monitoring.console.views import Sight

# Parts of a page that change while one looks at it: templates, and the ids of what they fill.
OVERVIEW_PARTS: Final = ("health", "routes")
ROUTE_PARTS: Final = (
    "health",
    "actions",
    "lead",
    "split",
    "versions",
    "scores",
    "evidence",
    "changes",
)


def address(route: str) -> str:
    """Where the page of a route is."""
    return f"/routes/{quote(route, safe='')}"


class Pages:
    """What they are drawn from. Drawing reads files and computes: it belongs in a thread, where
    handlers that are no coroutines run.
    """

    def __init__(self, context: Context, sampler: Sampler, hub: Hub) -> None:
        self._context = context
        self._sampler = sampler
        self._hub = hub
        self._desk = Desk(context.file)

    def routes(self) -> list[BaseRoute]:
        """What is served."""
        return [
            Path("/", self._overview),
            Path("/live", self._overview_stream),
            Path("/routes/{name:path}", self._route),
            Path("/live/routes/{name:path}", self._route_stream),
        ]

    @contextmanager
    def sight(self) -> Iterator[Sight]:
        """What is seen now; nothing of it changes meanwhile."""
        papers = self._desk.papers()
        sampler, now = self._sampler, self._context.clock()
        sampler.watch()
        with sampler.series() as series:
            yield Sight(papers, series, sampler.silent, sampler.last, now)

    def _overview(self, request: Request) -> Response:
        with self.sight() as sight:
            values = _overview_values(sight)
        return page(request, "overview.html", **values)

    def _route(self, request: Request) -> Response:
        name, shown = _asked(request)
        with self.sight() as sight:
            values = _route_values(sight, name, shown)
        return page(request, "route.html", **values, ranges=RANGES, shown=shown)

    async def _overview_stream(self, request: Request) -> Response:
        def draw() -> Drawn:
            with self.sight() as sight:
                values = _overview_values(sight)
            return Drawn(_parts(OVERVIEW_PARTS, values))

        return self._hub.stream("overview", draw)

    async def _route_stream(self, request: Request) -> Response:
        name, shown = _asked(request)
        return self._hub.stream((name, shown), _RouteDrawing(self, name, shown))


class _RouteDrawing:
    """The page of a route as it changes; of its plots only what is new."""

    def __init__(self, pages: Pages, name: str, shown: str) -> None:
        self._pages = pages
        self._name = name
        self._shown = shown
        self._plots: dict[str, Any] = {}

    def __call__(self) -> Drawn:
        with self._pages.sight() as sight:
            try:
                values = _route_values(sight, self._name, self._shown)
            except HTTPException:  # it has left the file
                return Drawn(_parts(OVERVIEW_PARTS[:1], {"health": views.health(sight)}))
            plots = views.plots(sight, self._name, RANGES[self._shown])
        before, self._plots = self._plots, plots
        parts = _parts(ROUTE_PARTS, values)
        if plots == before:
            return Drawn(parts)
        fresh = news(before, plots)
        return Drawn(parts, json.dumps(plots), json.dumps(fresh) if fresh else "")


def _overview_values(sight: Sight) -> dict[str, Any]:
    return {
        "health": views.health(sight),
        "routes": views.overview(sight),
        "led": sight.papers.led,
        "address": address,
        "now": int(sight.now),
    }


def _route_values(sight: Sight, name: str, shown: str) -> dict[str, Any]:
    """Raises HTTPException where the file has no such route."""
    config = sight.papers.config
    found = [one for one in config.routes if one.name == name] if config else []
    if not found:
        raise HTTPException(404, f"The file has no route {name!r}.")
    view = views.route_view(found[0], sight)
    return {
        "health": views.health(sight),
        "route": view,
        "offered": offered(config, name, lambda: sight.papers.entries) if config else (),
        "scores": views.scores(name, view.versions, sight.series, RANGES[shown]),
        "changes": views.changes(sight.papers, name),
        "over": RANGES[shown].title,
        "live": f"/live{address(name)}?range={shown}",
        "now": int(sight.now),
    }


def _parts(names: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    return {name: render(f"parts/{name}.html", **values) for name in names}


def _asked(request: Request) -> tuple[str, str]:
    """The name of a route, and a range that there is."""
    shown = request.query_params.get("range", DEFAULT)
    return request.path_params["name"], shown if shown in RANGES else DEFAULT
