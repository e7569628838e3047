"""The dashboards by reading: what grafana/dashboard-linter asks of them, and what we ask besides.

Its rules that hold here: template-datasource, template-on-time-change-reload, template-label-promql
(live), panel-datasource, panel-no-targets, panel-title-description, panel-units, target-promql
(live), target-rate-interval, target-counter-agg, uneditable. Not followed, and why: template-job,
template-instance, target-job and target-instance ask for a choice of job and instance. The names
``canary_*`` are nobody else's, and several gateways are one to who looks, so every query adds them
up; the one query without such a name chooses by job.

What the dashboards show of real traffic is in ``tests/composed``; that they are what Grafana's own
types say is in ``test_dashboard_types.py``. Grafana itself is not run anywhere here: that it takes
and draws them well is not proven.

And the rules and the scrape configuration, by Prometheus' own ``promtool``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.config import parse
from gateway.counting.report import CertificateStatus
from gateway.metrics.collector import GatewayMetrics
from monitoring.grafana.__main__ import dashboards, main
from monitoring.metrics.collector import Metrics
from tests.builders import make_config, make_prediction, make_report, with_readiness
from tests.grafana import (
    DASHBOARDS,
    FOLDER,
    METRIC,
    ROOT,
    Query,
    marked,
    panels,
    shown,
    variables,
)

PROMETHEUS = ROOT / "monitoring" / "prometheus"
ROUTING = ROOT / "monitoring" / "compose" / "routing.yaml"
RULES: list[dict[str, str]] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0][
    "rules"
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Words of Grafana for what has no unit of its own, and for what has.
UNITS = {"none", "short", "percentunit", "s", "bytes", "reqps", "ops"}
ALERTS = {
    *("CanaryErrorRatioAboveStable", "CanaryLatencyRegression", "CanaryPredictionShift"),
    *("CanaryInventedLabel", "CanarySampleRatioMismatch", "CanaryReloadFailed"),
    *("CanaryUpstreamDown", "CanaryVerdictStalled", "CanaryRolledBack", "CanaryGatewayDown"),
    *("CanaryControllerDown", "CanaryOverheadHigh", "CanaryRouteWithoutTraffic"),
}
COUNTER = re.compile(r"\bcanary_\w+_(?:total|bucket|sum|count)\b")

QUERIES = [*shown(), *marked()]
each_page = pytest.mark.parametrize("page", DASHBOARDS.values(), ids=list(DASHBOARDS))
each_query = pytest.mark.parametrize(
    "asked",
    [[query for query in QUERIES if query.page == name] for name in DASHBOARDS],
    ids=list(DASHBOARDS),
)


@cache
def samples() -> tuple[Sample, ...]:
    """Every sample of gateway and controller, the gateway with all it can have."""
    config = parse(ROUTING.read_bytes())
    several = make_config(
        {"v1": ("http://127.0.0.1:1", "http://127.0.0.1:2"), "v2": "http://127.0.0.1:3"},
        prediction=make_prediction(score="/scores/0", value="/values/0", bounds=[1.0]),
    )
    found: list[Sample] = []
    for each in (config, with_readiness(several)):
        report = make_report(each)
        certificate = CertificateStatus("data", 2e9, in_use=True, replaced=0, refused=0)
        state = replace(report.state, certificates=(certificate,))
        report = replace(report, state=state)
        registry = CollectorRegistry()
        registry.register(GatewayMetrics(lambda report=report: report, "0"))
        controller = Metrics("0")
        controller.known(each.routes)
        for text in (generate_latest(registry).decode(), controller.render("")[1].decode()):
            for family in text_string_to_metric_families(text):
                found += family.samples
    return tuple(found)


def told() -> set[str]:
    """The name of every sample of gateway and controller."""
    return {sample.name for sample in samples()}


def names_with(label: str) -> set[str]:
    """What has such a label, rules included."""
    by_rule = {name for name in recorded() if label in name.partition(":")[0].split("_")}
    return {sample.name for sample in samples() if label in sample.labels} | by_rule


def recorded() -> set[str]:
    return {rule["record"] for rule in RULES}


def exposition() -> str:
    """What the gateway of docker-compose.yml tells before the first request."""
    report = make_report(parse(ROUTING.read_bytes()))
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(lambda: report, "0"))
    return generate_latest(registry).decode()


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Without Debian's package `prometheus` (tests/packages.txt) this fails, on purpose."""
    return subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, check=False, cwd=ROOT
    )


# --- where they come from


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_a_dashboard_is_what_its_source_makes(name: str) -> None:
    hint = f"{name} is written by `make dashboards` from monitoring/grafana: change it there"

    assert json.loads((FOLDER / name).read_text()) == dashboards()[name], hint


def test_writing_the_dashboards_writes_exactly_these_files(tmp_path: Path) -> None:
    main(tmp_path)

    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.iterdir()}


# --- the whole page


def test_every_dashboard_has_a_name_of_its_own() -> None:
    assert {name: page["uid"] for name, page in DASHBOARDS.items()} == {
        "rollout": "canary-rollout",
        "gateway": "canary-gateway",
        "route": "canary-route",
    }
    assert len({page["title"] for page in DASHBOARDS.values()}) == len(DASHBOARDS)


@each_page
def test_every_panel_has_an_id_of_its_own_and_every_query_of_a_panel(page: dict[str, Any]) -> None:
    ids = [item["id"] for item in page["panels"]]

    assert len(ids) == len(set(ids))
    for panel in panels(page):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters
        assert len(letters) == len(set(letters))


@each_page
def test_no_two_panels_of_a_page_have_the_same_title_and_kind(page: dict[str, Any]) -> None:
    named = [(panel["title"], panel["type"]) for panel in panels(page)]

    assert len(named) == len(set(named))


@each_page
def test_no_two_panels_overlap_and_none_leaves_the_grid(page: dict[str, Any]) -> None:
    def cells(item: dict[str, Any]) -> set[tuple[int, int]]:
        x, y, w, h = (item["gridPos"][side] for side in "xywh")
        return {(column, line) for column in range(x, x + w) for line in range(y, y + h)}

    for item in page["panels"]:
        assert 0 <= item["gridPos"]["x"] <= 24 - item["gridPos"]["w"]
    for one, other in combinations(page["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@each_page
def test_a_dashboard_is_changed_in_this_repository_only(page: dict[str, Any]) -> None:
    assert page["editable"] is False
    assert "id" not in page


@each_page
def test_what_asks_besides_the_panels_asks_the_chosen_data_source_too(page: dict[str, Any]) -> None:
    asking = [each for each in variables(page).values() if each["type"] == "query"]

    assert asking
    for each in [*asking, *page["annotations"]["list"]]:
        assert each["datasource"] == SOURCE
    assert all(each["refresh"] == 2 for each in asking), "on a change of the time shown"


def test_route_is_one_and_versions_are_any_number_and_of_the_gateway_any_routes() -> None:
    for name in ("rollout", "route"):
        known = variables(DASHBOARDS[name])
        assert list(known) == ["datasource", "route", "version", "console"]
        assert not known["route"].get("multi")
        assert known["version"]["multi"]
        assert known["version"]["includeAll"]
    known = variables(DASHBOARDS["gateway"])
    assert list(known) == ["datasource", "route", "console"]
    assert known["route"]["multi"]


@each_page
def test_the_dashboards_lead_to_each_other_and_to_the_console(page: dict[str, Any]) -> None:
    others = {f"/d/{other['uid']}" for other in DASHBOARDS.values()} - {f"/d/{page['uid']}"}
    links = {link["url"]: link for link in page["links"]}

    assert links.keys() == {*others, "${console}"}
    for url in others:
        assert links[url]["keepTime"]
        # A dashboard of any number of routes cannot say which one another is to show.
        assert links[url]["includeVars"] is not variables(page)["route"].get("multi", False)


@each_page
def test_a_query_names_no_variable_that_its_page_does_not_have(page: dict[str, Any]) -> None:
    known = {*variables(page), "__rate_interval", "__interval", "__range"}
    known |= {"__url_time_range", "__field"}

    assert set(re.findall(r"\$\{?([a-z]\w+|__(?!all)\w+)", json.dumps(page))) <= known


def test_everything_that_is_marked_is_marked_on_every_page() -> None:
    for page in DASHBOARDS.values():
        names = [mark["name"] for mark in page["annotations"]["list"]]
        assert names == ["Weight changes", "Rollbacks", "Verdict changes", "Reloads"]
        assert all(mark["enable"] for mark in page["annotations"]["list"])


def test_every_alert_has_its_runbook_at_a_panel() -> None:
    prefix = "${console}/runbooks/"
    links = [
        link["url"]
        for page in DASHBOARDS.values()
        for panel in panels(page)
        for link in panel["links"]
    ]

    assert all(link.startswith(prefix) for link in links)
    assert {link.removeprefix(prefix) for link in links} == ALERTS
    written = (ROOT / "monitoring/prometheus/alerts.yml").read_text()
    assert set(re.findall(r"alert: (\w+)", written)) <= ALERTS


# --- each panel


@each_page
def test_a_panel_says_what_it_shows_and_in_which_unit(page: dict[str, Any]) -> None:
    for panel in panels(page):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


@each_page
def test_a_panel_asks_the_data_source_that_was_chosen(page: dict[str, Any]) -> None:
    for panel in panels(page):
        assert panel["datasource"] == SOURCE
        assert all("datasource" not in target for target in panel["targets"])


@each_page
def test_stable_is_blue_and_a_candidate_orange(page: dict[str, Any]) -> None:
    colours = {"stable": "blue", "candidate": "orange"}
    fixed = [
        {
            "matcher": {"id": "byRegexp", "options": f"/^{role} /"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for role, colour in colours.items()
    ]
    for panel in panels(page):
        legends = [target["legendFormat"] for target in panel["targets"]]
        # Where more than a version is told apart by colour, versions cannot have one each.
        if any(one.startswith("{{role}} {{version}}") and ":" not in one for one in legends):
            assert panel["fieldConfig"]["overrides"][:2] == fixed, panel["title"]
        if panel["type"] == "heatmap":
            (role,) = re.findall(r'role="(\w+)"', panel["targets"][0]["expr"])
            assert panel["options"]["color"]["fill"] == colours[role], panel["title"]


def test_exemplars_are_asked_for_where_latency_is_shown_closely() -> None:
    asking = [
        panel["title"]
        for page in DASHBOARDS.values()
        for panel in panels(page)
        for target in panel["targets"]
        if target.get("exemplar")
    ]

    assert asking == ["Latency, stable", "Latency, candidate", "p95 latency"]


# --- each query


@each_query
def test_a_rate_window_follows_the_zoom(asked: list[Query]) -> None:
    for query in asked:
        # One number is about all the time shown; a line has a window that follows the zoom.
        window = "$__range" if query.instant else "$__rate_interval"
        assert set(re.findall(r"\[([^\]]+)\]", query.expr)) <= {window}, query


@each_query
def test_a_counter_is_turned_into_a_rate_before_it_is_summed(asked: list[Query]) -> None:
    for query in asked:
        for found in COUNTER.finditer(query.expr):
            assert query.expr[: found.start()].endswith(("rate(", "increase(")), query


@each_query
def test_a_histogram_is_summed_by_its_bounds(asked: list[Query]) -> None:
    for query in asked:
        if "_bucket" in query.expr:
            assert re.search(r"sum by \([^)]*\ble\)", query.expr), query


@each_query
def test_a_query_is_about_the_chosen_route_wherever_there_are_several(asked: list[Query]) -> None:
    """In each of its parts: where one is not, the others may hide it."""
    several = names_with("route")
    for query in asked:
        about = '{route=~"$route"' if query.page == "gateway" else '{route="$route"'
        for found in METRIC.finditer(query.expr):
            chosen = query.expr[found.end() :].startswith(about)
            assert chosen == (found[0] in several), query


@each_query
def test_a_name_in_a_legend_is_a_label_of_the_answer(asked: list[Query]) -> None:
    for query in asked:
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query.expr))))
        kept |= set(re.findall(r'count_values by \([^)]*\) \("(\w+)"', query.expr))
        if query.metrics and query.metrics[0] in recorded():  # a rule's name begins with them
            kept |= {*query.metrics[0].partition(":")[0].split("_"), "role"}
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= kept, query


# --- metrics that exist


def test_every_metric_named_is_one_that_is_told_or_recorded() -> None:
    named = {name for query in QUERIES for name in query.metrics}

    assert named
    assert named - told() - recorded() == set()


def test_every_rule_is_built_on_metrics_of_the_gateway_or_on_rules_before_it() -> None:
    known = told()
    for rule in RULES:
        assert set(METRIC.findall(rule["expr"])) <= known
        known.add(rule["record"])


def test_a_metric_nobody_tells_would_be_noticed() -> None:
    query = Query("p", "t", "A", 'sum(rate(canary_request_total{a="canary_b"}[1m]))', "")

    assert query.metrics == ["canary_request_total"]
    assert "canary_request_total" not in told()


# --- promtool


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-local.yml"])
def test_prometheus_accepts_the_configuration_and_the_rules_it_names(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, folder)
    token = tmp_path / "admin-token"  # it looks whether the file is there
    token.write_text("0123456789abcdef")
    text = (folder / name).read_text().replace("/run/secrets/admin-token", str(token))
    (folder / name).write_text(text)
    checked = promtool("check", "config", str(folder / name))

    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


def test_the_rules_pass_every_lint() -> None:
    checked = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", str(PROMETHEUS / "rules.yml")
    )

    assert checked.returncode == 0, checked.stderr


def test_the_rules_say_what_happened() -> None:
    tested = promtool("test", "rules", "tests/data/rules.test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_prometheus_finds_nothing_to_better_in_what_the_gateway_tells() -> None:
    checked = promtool("check", "metrics", given=exposition())

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
