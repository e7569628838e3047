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
from gateway.model import FULL_WEIGHT
from tests.composed.expected import TRUTHS, UNCOUNTED
from tests.composed.harness import Composed, Told
from tests.composed.truth import Expected, Facts, Labels, by
from tests.grafana import DASHBOARDS, Query, marked, shown, variables

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
    "gateway: Circuits open A now": "no version there has several endpoints",
    "gateway: Circuits A": "no version there has several endpoints",
    "route: Circuits A": "no version there has several endpoints",
    "route: p50 time to the first byte A": "nothing is passed on as it comes",
    "route: p95 time to the first byte A": "nothing is passed on as it comes",
    "rollout: Median value A": "no route there has `prediction.value`",
    "rollout: p90 value A": "no route there has `prediction.value`",
}
QUERIES = {query.name: query for query in shown()}
each_route = pytest.mark.parametrize("route", ROUTES)


def filled(query: str, route: str, window: float, version: str = ".+") -> str:
    """As Grafana sends it; all versions are chosen if none is named."""
    for variable, value in (
        ("$__rate_interval", f"{round(window * 1000)}ms"),
        ("$__range", f"{round(window * 1000)}ms"),
        ("$__interval", f"{round(STEP * 1000)}ms"),
        ("$route", route),
        ("$version", version),
    ):
        query = query.replace(variable, value)
    assert not re.search(r"\$\D", query)
    return query


def last_scrape(composed: Composed, told: Told, query: Query) -> float:
    """When Prometheus last asked who tells this, so that a window ends with what it was told."""
    name = query.metrics[0] if query.metrics else "up"
    found = composed.prometheus("query", query=f"max(timestamp({name}))", time=told.ended)["result"]
    assert found, f"{name} is told by nobody"
    return float(found[0]["value"][1])


def at_the_end(
    composed: Composed, told: Told, query: Query, route: str, version: str = ".+"
) -> tuple[dict[Labels, float], float]:
    """What a panel shows of the whole story, and the length of the story in seconds."""
    end = last_scrape(composed, told, query)
    window = round(end - told.began + 5, 3)  # begins before the first request
    text = filled(query.expr, route, window, version)
    found = composed.prometheus("query", query=text, time=f"{end:.3f}")["result"]
    return {labels(each): float(each["value"][1]) for each in found}, window


def labels(series: dict[str, Any]) -> Labels:
    """Without the name, which what is asked for by name alone keeps."""
    return by(**{name: value for name, value in series["metric"].items() if name != "__name__"})


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
    edits = [row for row in map(json.loads, history) if row["row"] == "intent"]
    found = {}
    for name in ROUTES:
        route = config.route(name)
        answers = [one for one in told.load.answers if one.route == name]
        gave_way = composed.value(f'sum(canary_fallbacks_total{{route="{name}"}})') or 0
        more = int(gave_way) - sum(one.assignment == "fallback" for one in answers)
        assert 0 <= more <= 1  # one client, one change of the file
        weights = {each.name: route.weight(each.name) / FULL_WEIGHT for each in route.versions}
        found[name] = Facts(
            name, answers, weights, config.generation, more, edits, told.load.refused
        )
    return found


# --- panels


def differences(found: Mapping[Labels, float], expected: Expected) -> dict[str, Any]:
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
    query, wanted = QUERIES[name], TRUTHS[name]
    found, window = at_the_end(composed, told, query, route)
    if wanted.per_second:
        found = {labels: value * window for labels, value in found.items()}

    assert differences(found, wanted.expected(facts[route])) == {}


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in SILENT])
def test_every_panel_shows_something_of_the_story(
    composed: Composed, told: Told, name: str
) -> None:
    query = QUERIES[name]
    drawn = over_time(composed, told, query, "breast-cancer")

    assert drawn
    assert all(math.isfinite(value) for each in drawn for _, value in each["values"])
    for each in drawn:
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
            assert each["metric"].get(label), label
    if "{{role}}" in query.legend:
        assert {each["metric"]["role"] for each in drawn} == {"stable", "candidate"}


@pytest.mark.parametrize("name", [name for name in TRUTHS if "$version" in QUERIES[name].expr])
def test_a_chosen_version_is_shown_as_among_all(composed: Composed, told: Told, name: str) -> None:
    """And alone, where what is shown tells versions apart."""
    query = QUERIES[name]
    if not re.search(r"\{\{(version|assigned)\}\}", query.legend):
        return
    among_all, _ = at_the_end(composed, told, query, "iris")
    alone, _ = at_the_end(composed, told, query, "iris", "v2")

    assert {dict(each).get("version", dict(each).get("assigned")) for each in alone} <= {"v2"}
    for each, value in alone.items():
        assert differences({each: value}, {each: among_all[each]}) == {}


@pytest.mark.parametrize("name", SILENT)
def test_prometheus_takes_a_query_of_what_does_not_happen_here(
    composed: Composed, told: Told, name: str
) -> None:
    drawn = over_time(composed, told, QUERIES[name], "breast-cancer")

    assert drawn == [], f"it can be held against what happened: not {SILENT[name]}"


def test_every_panel_is_held_against_what_happened_or_says_why_not() -> None:
    held = [*TRUTHS, *SILENT, *UNCOUNTED]

    assert sorted(held) == sorted(QUERIES)


# --- what was done while the candidate was being watched


STATES = {
    "rollout: Step A now": {by(version="v2"): {1.0}},
    "rollout: Phase A now": {by(version="v2", phase="ramping"): {1.0}},
    "rollout: Phase and steps A": {by(version="v2"): {2.0, 5.0}},
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_shown_while_it_lasts(composed: Composed, told: Told, name: str) -> None:
    drawn = over_time(composed, told, QUERIES[name], "breast-cancer")
    shown = {labels(each): {value for _, value in each["values"]} for each in drawn}

    assert STATES[name].items() <= shown.items()


def test_the_time_to_the_next_step_runs_down_from_its_pause(composed: Composed, told: Told) -> None:
    query = QUERIES["rollout: Time to the next step A now"]
    (drawn,) = over_time(composed, told, query, "breast-cancer")
    left = [value for _, value in drawn["values"]]

    assert drawn["metric"] == {"version": "v2"}
    assert left == sorted(left, reverse=True)
    assert 0 <= left[-1] < left[0] <= 10  # the pause of the first step


def test_evidence_is_proof_when_the_candidate_is_taken_out(composed: Composed, told: Told) -> None:
    query = QUERIES["rollout: Evidence against its limit A"]
    drawn = over_time(composed, told, query, "breast-cancer")
    most = {labels(each): max(value for _, value in each["values"]) for each in drawn}

    assert {one for one, value in most.items() if value >= 100} == {
        by(version="v2", check="errors")
    }


# --- marks and variables


@pytest.mark.parametrize("page", DASHBOARDS)
def test_every_change_is_marked_on_the_plots_with_what_it_was(
    composed: Composed, told: Told, page: str
) -> None:
    found = {
        query.place: [labels(each) for each in over_time(composed, told, query, "breast-cancer")]
        for query in marked()
        if query.page == page
    }

    stable, candidate = ({"route": "breast-cancer", "version": each} for each in ("v1", "v2"))
    assert set(found["Weight changes"]) == {
        by(**stable, **{"from": "90", "to": "100"}),
        by(**candidate, **{"from": "10", "to": "0"}),
    }
    assert found["Rollbacks"] == [by(**candidate, reason="errors")]
    assert by(**candidate, verdict="Failed", reason="errors") in found["Verdict changes"]
    assert found["Reloads"] == [by(result="success")]


@pytest.mark.parametrize("page", DASHBOARDS)
def test_nothing_is_marked_on_the_plots_of_another_route(
    composed: Composed, told: Told, page: str
) -> None:
    for query in marked():
        if query.page == page and query.place in ("Weight changes", "Rollbacks"):
            assert over_time(composed, told, query, "iris") == []


def test_a_change_of_weight_is_one_mark(composed: Composed, told: Told) -> None:
    (query,) = (one for one in marked() if one.name.startswith("rollout: Weight changes"))

    for each in over_time(composed, told, query, "breast-cancer"):
        assert [value for _, value in each["values"]] == [1]


@pytest.mark.parametrize("page", DASHBOARDS)
@pytest.mark.parametrize(
    ("name", "values"), [("route", ["breast-cancer", "iris"]), ("version", ["v1", "v2", "v3"])]
)
def test_the_variables_offer_what_the_file_has(
    composed: Composed, told: Told, name: str, values: list[str], page: str
) -> None:
    if variable := variables(DASHBOARDS[page]).get(name):
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert found
        selector = found[1].replace("$route", "iris")

        given = composed.prometheus(f"label/{found[2]}/values", **{"match[]": selector})
        assert given == values
