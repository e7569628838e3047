"""Every query of the dashboards, asked of a live Prometheus that saw real traffic, and held against
what the clients of that traffic saw (``truth.py``).

The expression is the panel's own; only Grafana's variables are filled in, as Grafana would.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.config import parse
from tests.composed import truth
from tests.composed.harness import Composed, Told
from tests.composed.truth import TRUTHS, Facts, Labels, by
from tests.grafana import AWAITED, DASHBOARDS, Query, marked, shown, variables

ROUTES = ("breast-cancer", "iris")
STEP = 0.5  # seconds, as often as Prometheus scrapes here
# Nothing of it happens here. The names are known to be told (tests/monitoring/test_dashboard.py),
# and Prometheus takes the query.
SILENT = {
    "gateway: Certificate ends in A now": "no port of docker-compose.yml speaks TLS",
    "gateway: Certificates: time left A": "no port of docker-compose.yml speaks TLS",
    "gateway: Certificates: reloads A": "no port of docker-compose.yml speaks TLS",
    "gateway: Endpoints ready A now": "no version there has `readiness`",
    "gateway: Endpoints that are ready A": "no version there has `readiness`",
    "route: Endpoints that are ready A": "no version there has `readiness`",
}
QUERIES = {query.name: query for query in shown()}
each_route = pytest.mark.parametrize("route", ROUTES)


def filled(query: str, route: str, window: float) -> str:
    """As Grafana sends it, all versions chosen."""
    for variable, value in (
        ("$__rate_interval", f"{round(window * 1000)}ms"),
        ("$__range", f"{round(window * 1000)}ms"),
        ("$__interval", f"{round(STEP * 1000)}ms"),
        ("$route", route),
        ("$version", ".+"),
    ):
        query = query.replace(variable, value)
    assert "$" not in query
    return query


def last_scrape(composed: Composed, told: Told, query: Query) -> float:
    """When Prometheus last asked who tells this, so that a window ends with what it was told."""
    name = query.metrics[0] if query.metrics else "up"
    found = composed.prometheus("query", query=f"max(timestamp({name}))", time=told.ended)["result"]
    assert found, f"{name} is told by nobody"
    return float(found[0]["value"][1])


def at_the_end(
    composed: Composed, told: Told, query: Query, route: str
) -> tuple[dict[Labels, float], float]:
    """What a panel shows of the whole story, and the length of the story in seconds."""
    end = last_scrape(composed, told, query)
    window = end - told.began + 5  # begins before the first request
    text = filled(query.expr, route, window)
    found = composed.prometheus("query", query=text, time=f"{end:.3f}")["result"]
    return {by(**each["metric"]): float(each["value"][1]) for each in found}, window


def over_time(composed: Composed, told: Told, query: Query, route: str) -> list[dict[str, Any]]:
    """The series that Grafana would draw, without NaN: it stands where there was no traffic."""
    text = filled(query.expr, route, 8 * STEP)
    given = {"start": told.began, "end": told.ended, "step": STEP}
    found = composed.prometheus("query_range", query=text, **given)["result"]
    for each in found:
        values = [(float(at), float(value)) for at, value in each["values"]]
        each["values"] = [(at, value) for at, value in values if not math.isnan(value)]
    return [each for each in found if each["values"]]


@pytest.fixture(scope="module")
def facts(composed: Composed, told: Told) -> Mapping[str, Facts]:
    """What happened, by route."""
    config = parse(composed.routing_file.read_bytes())
    history = composed.routing_file.with_suffix(".history.jsonl").read_text().splitlines()
    return {
        route: truth.facts_of(
            config.route(route),
            [one for one in told.load.answers if one.route == route],
            int(composed.value(f'sum(canary_fallbacks_total{{route="{route}"}})') or 0),
            [json.loads(line) for line in history],
        )
        for route in ROUTES
    }


# --- panels


def differences(found: Mapping[Labels, float], expected: truth.Expected) -> dict[str, Any]:
    """Where what is shown is not what happened. What nobody expects may be shown as 0 or NaN."""
    wrong = {}
    for labels in found.keys() | expected.keys():
        value, wanted = found.get(labels), expected.get(labels, 0.0)
        if value is None or math.isnan(value):
            fits = wanted == 0
        elif isinstance(wanted, tuple):
            fits = wanted[0] - 1e-6 <= value <= wanted[1] + 1e-6
        else:
            fits = math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-6)
        if not fits:
            wrong[str(dict(labels))] = f"shown {value}, expected {wanted}"
    return wrong


@each_route
@pytest.mark.parametrize("name", TRUTHS)
def test_a_panel_shows_what_the_clients_saw(
    composed: Composed, told: Told, facts: Mapping[str, Facts], name: str, route: str
) -> None:
    wanted = TRUTHS[name]
    found, window = at_the_end(composed, told, QUERIES[name], route)
    if wanted.per_second:
        found = {labels: value * window for labels, value in found.items()}

    assert differences(found, wanted.expected(facts[route])) == {}


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in SILENT])
def test_every_panel_shows_something_of_the_story(
    composed: Composed, told: Told, name: str
) -> None:
    query = QUERIES[name]
    if AWAITED & set(query.metrics):
        pytest.skip(f"nobody tells {AWAITED & set(query.metrics)} yet")
    drawn = over_time(composed, told, query, "breast-cancer")

    assert drawn
    assert all(math.isfinite(value) for each in drawn for _, value in each["values"])
    for each in drawn:
        assert not {"instance", "job"} & (
            each["metric"].keys() - {"job"} if "job" in query.expr else each["metric"].keys()
        )
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
            assert each["metric"].get(label), label
    if "{{role}}" in query.legend:
        assert {each["metric"]["role"] for each in drawn} == {"stable", "candidate"}


@pytest.mark.parametrize("query", [*shown(), *marked()], ids=lambda query: query.name)
def test_prometheus_takes_every_query_and_complains_of_none(
    composed: Composed, told: Told, query: Query
) -> None:
    over_time(composed, told, query, "iris")


def test_every_panel_is_held_against_what_happened_or_says_why_not() -> None:
    awaited = {name for name, query in QUERIES.items() if AWAITED & set(query.metrics)}
    held = [set(TRUTHS), set(SILENT), set(truth.UNCOUNTED), awaited]

    assert set().union(*held) == QUERIES.keys()
    assert sum(map(len, held)) == len(QUERIES), "each in one way"
