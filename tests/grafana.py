"""The dashboards as Grafana reads them, for all tests that read or ask them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "monitoring" / "grafana" / "dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
METRIC = re.compile(r"\b(?:canary_\w+|\w+:canary_\w+:\w+)")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression that Grafana sends. ``place`` is the panel's title, or the mark's name."""

    page: str
    place: str
    ref: str
    expr: str
    legend: str  # or what a mark says
    instant: bool = False

    @property
    def name(self) -> str:
        """For people: ``rollout: p95 latency A``; of a stat ``rollout: Error ratio A now``."""
        return f"{self.page}: {self.place} {self.ref}{' now' if self.instant else ''}"

    @property
    def metrics(self) -> list[str]:
        """The series it is made from, in their order."""
        return METRIC.findall(re.sub(r'"[^"]*"', "", self.expr))


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels that show something."""
    return [item for item in dashboard["panels"] if item["type"] != "row"]


def variables(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dashboard["templating"]["list"]}


def shown() -> list[Query]:
    """What the panels ask."""
    return [
        Query(
            page,
            panel["title"],
            target["refId"],
            target["expr"],
            target["legendFormat"],
            target.get("instant", False),
        )
        for page, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def marked() -> list[Query]:
    """What the marks ask."""
    return [
        Query(
            page,
            mark["name"],
            mark["target"]["refId"],
            mark["target"]["expr"],
            f"{mark['titleFormat']} {mark['textFormat']}",
        )
        for page, dashboard in DASHBOARDS.items()
        for mark in dashboard["annotations"]["list"]
    ]
