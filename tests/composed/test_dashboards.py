"""Every query of the dashboard, asked of a live Prometheus that saw real traffic."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from tests.composed.harness import ROOT, Composed, Told

DASHBOARD = json.loads((ROOT / "monitoring/grafana/dashboards/rollout.json").read_text())
QUERIES: dict[str, tuple[str, str]] = {
    f"{panel['title']} {target['refId']} {panel['id']}": (target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}


def asked(composed: Composed, told: Told, query: str) -> list[dict[str, Any]]:
    """The series Grafana would get for the failing route, all versions."""
    for variable, value in (
        ("$route", "breast-cancer"),
        ("$version", ".+"),
        ("$__rate_interval", "4s"),
    ):
        query = query.replace(variable, value)
    answer = composed.prometheus(
        "query_range", query=query, start=told.began, end=told.ended, step=0.5
    )
    result = answer["result"]
    assert isinstance(result, list)
    return result


def numbers(series: dict[str, Any]) -> list[float]:
    """The values, without NaN: it stands where there was no traffic, and is not drawn."""
    found = (float(value) for _, value in series["values"])
    return [value for value in found if not math.isnan(value)]


@pytest.mark.parametrize("name", QUERIES)
def test_every_panel_shows_real_traffic(composed: Composed, told: Told, name: str) -> None:
    query, legend = QUERIES[name]
    shown = [each for each in asked(composed, told, query) if numbers(each)]

    assert shown
    assert all(math.isfinite(value) for each in shown for value in numbers(each))
    for label in re.findall(r"\{\{(\w+)\}\}", legend):
        assert all(each["metric"].get(label) for each in shown), label
    if "{{role}}" in legend:
        assert {each["metric"]["role"] for each in shown} == {"stable", "candidate"}


def test_the_rollback_is_marked_on_the_plots(composed: Composed, told: Told) -> None:
    (annotation,) = DASHBOARD["annotations"]["list"]
    marked = asked(composed, told, annotation["target"]["expr"])

    assert {each["metric"]["version"] for each in marked} == {"v1", "v2"}


@pytest.mark.parametrize(
    ("name", "values"), [("route", ["breast-cancer", "iris"]), ("version", ["v1", "v2", "v3"])]
)
def test_the_variables_offer_what_the_file_has(
    composed: Composed, told: Told, name: str, values: list[str]
) -> None:
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == name)
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    assert found
    selector = found[1].replace("$route", "iris")

    assert composed.prometheus(f"label/{found[2]}/values", **{"match[]": selector}) == values
