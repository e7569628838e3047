"""A whole dashboard: its variables, links and marks, and its panels laid out row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.grafana.look import Json
from monitoring.grafana.marks import marks
from monitoring.grafana.panels import SOURCE
from monitoring.grafana.promql import ROUTE, ROUTES

WIDTH: Final = 24  # of Grafana's grid
CONSOLE: Final = "http://127.0.0.1:8081"
_PAGES: Final = {
    "canary-rollout": "Rollout",
    "canary-route": "Route",
    "canary-gateway": "Gateway health",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and panels of one height from left to right, as wide as there is room for; who
    does not fit begins a new line.
    """

    title: str
    height: int
    panels: Sequence[Json]
    wide: int  # of each panel


def page(uid: str, description: str, rows: Sequence[Row], *, any_route: bool = False) -> Json:
    """The JSON of a dashboard. ``any_route``: any number of routes at once, and all versions."""
    return {
        "uid": uid,
        "title": _PAGES[uid],
        "description": description,
        "tags": ["canary"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "links": list(_links(uid, keep=not any_route)),
        "templating": {"list": list(_variables(any_route))},
        "annotations": {"list": marks(ROUTES if any_route else ROUTE)},
        "panels": [{"id": number, **one} for number, one in enumerate(_placed(rows), 1)],
    }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        yield {
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y += 1
        in_line = WIDTH // row.wide
        for number, panel in enumerate(row.panels):
            line, column = divmod(number, in_line)
            x, down = column * row.wide, y + line * row.height
            yield {**panel, "gridPos": {"x": x, "y": down, "w": row.wide, "h": row.height}}
        y += row.height * -(-len(row.panels) // in_line)


def _links(uid: str, *, keep: bool) -> Iterator[Json]:
    """To the other dashboards, with the variables where they mean the same there."""
    console = {"url": "${console}", "tooltip": "State, history, verdicts", "targetBlank": True}
    others = [
        (title, {"url": f"/d/{other}", "tooltip": "", "targetBlank": False})
        for other, title in _PAGES.items()
        if other != uid
    ]
    for title, link in [*others, ("Console", console)]:
        within = title != "Console"
        yield {
            "type": "link",
            "title": title,
            "icon": "dashboard" if within else "external link",
            "tags": [],
            "asDropdown": False,
            "includeVars": within and keep,
            "keepTime": within,
            **link,
        }


def _variables(any_route: bool) -> Iterator[Json]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "refresh": 1,
    }
    route = _asked("route", "A route of routing.yaml.", "canary_route_weight_ratio")
    yield {**route, **_any()} if any_route else route
    if not any_route:
        versions = 'canary_route_weight_ratio{route="$route"}'
        yield {**_asked("version", "Versions of the route.", versions), **_any()}
    yield {
        "name": "console",
        "label": "Console",
        "description": "The gateway's admin port, as your browser reaches it.",
        "type": "textbox",
        "query": CONSOLE,
        "current": {"text": CONSOLE, "value": CONSOLE},
        "hide": 0,
    }


def _asked(name: str, description: str, series: str) -> Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "description": description,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "refresh": 2,
        "sort": 7,
        "hide": 0,
    }


def _any() -> Json:
    """Any number of values, at first all."""
    return {
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
