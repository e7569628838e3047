"""The kinds of panels, each with what all of its kind have in common."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, Final

from monitoring.grafana.look import Json, fixed

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
BY_VERSION: Final = "{{role}} {{version}}"
_LEGEND: Final[Json] = {
    "showLegend": True,
    "displayMode": "list",
    "placement": "bottom",
    "calcs": [],
}
_TOOLTIP: Final[Json] = {"mode": "multi", "sort": "desc"}
_REDUCED: Final[Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def target(expr: str, legend: str = BY_VERSION, **more: Any) -> Json:
    """A query over the time shown, and how its series are called."""
    return {"expr": expr, "legendFormat": legend, "editorMode": "code", "range": True, **more}


def instant(expr: str, legend: str = BY_VERSION) -> Json:
    """A query at the end of the time shown."""
    return {"expr": expr, "legendFormat": legend, "editorMode": "code", "instant": True}


def runbook(alert: str) -> Json:
    """A link to what to do when the alert fires."""
    return {
        "type": "link",
        "title": f"Runbook: {alert}",
        "url": f"${{console}}/runbooks/{alert}",
        "icon": "doc",
        "tooltip": f"What to do when {alert} fires",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
    }


def plot(
    title: str,
    description: str,
    unit: str,
    *targets: Json,
    overrides: Sequence[Json] = (),
    stacked: bool = False,
    log: bool = False,
    alerts: Sequence[str] = (),
    **defaults: Any,
) -> Json:
    """Lines over time, from zero; ``log`` has a logarithmic axis, ``stacked`` areas that add up.
    ``min=None``: what is shown may be negative.
    """
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1 if stacked else 2,
        "fillOpacity": 60 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    if log:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    own: Json = {
        "unit": unit,
        **({} if log else {"min": 0}),
        "color": {"mode": "palette-classic"},
        "custom": custom,
        **defaults,
    }
    own = {name: value for name, value in own.items() if value is not None}
    options: Json = {"legend": _LEGEND, "tooltip": _TOOLTIP}
    return _panel("timeseries", title, description, targets, own, overrides, options, alerts)


def stat(
    title: str,
    description: str,
    unit: str,
    *targets: Json,
    overrides: Sequence[Json] = (),
    shows: str = "value_and_name",
    background: bool = False,
    alerts: Sequence[str] = (),
    **defaults: Any,
) -> Json:
    """Numbers as of now; ``shows`` is ``value``, ``name`` or both."""
    own: Json = {"unit": unit, "mappings": [], "color": fixed("text"), **defaults}
    options: Json = {
        "reduceOptions": _REDUCED,
        "colorMode": "background" if background else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "horizontal" if shows == "value_and_name" else "auto",
        "textMode": shows,
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    return _panel("stat", title, description, targets, own, overrides, options, alerts)


def bars(title: str, description: str, unit: str, *targets: Json, **defaults: Any) -> Json:
    """Bars as of now."""
    own: Json = {"unit": unit, "color": {"mode": "thresholds"}, **defaults}
    options: Json = {
        "reduceOptions": _REDUCED,
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "namePlacement": "left",
        "sizing": "auto",
        "showUnfilled": True,
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
        "legend": {**_LEGEND, "showLegend": False},
    }
    return _panel("bargauge", title, description, targets, own, (), options, ())


def timeline(
    title: str, description: str, *targets: Json, alerts: Sequence[str] = (), **defaults: Any
) -> Json:
    """What state something was in, over time; ``mappings`` says the words of the numbers."""
    own: Json = {
        "unit": "none",
        "color": fixed("text"),
        "custom": {"fillOpacity": 70, "lineWidth": 0},
        **defaults,
    }
    options: Json = {
        "legend": {**_LEGEND, "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
        "rowHeight": 0.9,
        "showValue": "auto",
        "mergeValues": True,
        "alignValue": "left",
    }
    return _panel("state-timeline", title, description, targets, own, (), options, alerts)


def heatmap(title: str, description: str, unit: str, expr: str, *, fill: str, **more: Any) -> Json:
    """How often each bucket of a histogram was hit over time; darker is more often."""
    asked = target(expr, "{{le}}", format="heatmap", **more)
    own: Json = {"unit": unit, "custom": {"scaleDistribution": {"type": "linear"}}}
    options: Json = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "opacity",
            "fill": fill,
            "scale": "exponential",
            "exponent": 0.5,
            "scheme": "Oranges",
            "steps": 64,
            "reverse": False,
        },
        "cellValues": {"unit": "short"},
        "yAxis": {"axisPlacement": "left", "unit": unit},
        "rowsFrame": {"layout": "auto"},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
    }
    return _panel("heatmap", title, description, [asked], own, (), options, ())


def _panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    defaults: Json,
    overrides: Sequence[Json],
    options: Json,
    alerts: Sequence[str],
) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": [
            {"refId": letter, **one} for letter, one in zip(ascii_uppercase, targets, strict=False)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
        "links": [runbook(alert) for alert in alerts],
    }
