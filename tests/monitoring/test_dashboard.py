"""Dashboard, rules and scrape configuration by reading, and by Prometheus' own ``promtool``.

What the dashboard shows of real traffic is in ``tests/composed``. Grafana
itself is not run anywhere here: that it draws the panels well is not proven.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import parse
from gateway.metrics import GatewayMetrics
from tests.builders import make_report

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
ROUTING = ROOT / "monitoring" / "compose" / "routing.yaml"
DASHBOARD: dict[str, Any] = json.loads(
    (ROOT / "monitoring" / "grafana" / "dashboards" / "rollout.json").read_text()
)
ITEMS: list[dict[str, Any]] = DASHBOARD["panels"]
PANELS = [item for item in ITEMS if item["type"] != "row"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
(ANNOTATION,) = DASHBOARD["annotations"]["list"]
RULES: list[dict[str, str]] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0][
    "rules"
]
BY_ROLE = "{{role}} {{version}}"
METRIC = re.compile(r"\b(?:canary_\w+|\w+:canary_\w+:\w+)")

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def queries() -> list[str]:
    """Every expression Grafana sends: panels, annotation, variables."""
    shown = [target["expr"] for panel in PANELS for target in panel["targets"]]
    asked = [VARIABLES[name]["query"]["query"] for name in ("route", "version")]
    return [*shown, *asked, ANNOTATION["target"]["expr"]]


def exposition() -> str:
    """What the gateway tells before the first request."""
    report = make_report(parse(ROUTING.read_bytes()))
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(lambda: report, "0"))
    return generate_latest(registry).decode()


def told() -> set[str]:
    """The name of every sample of the gateway."""
    families = text_string_to_metric_families(exposition())
    return {sample.name for family in families for sample in family.samples}


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Without Debian's package `prometheus` (tests/packages.txt) this fails, on purpose."""
    return subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, check=False, cwd=ROOT
    )


# --- the dashboard


def test_everything_has_an_id_of_its_own() -> None:
    ids = [item["id"] for item in ITEMS]

    assert len(ids) == len(set(ids))
    assert DASHBOARD["uid"]


def test_no_two_panels_overlap_and_none_leaves_the_grid() -> None:
    def cells(item: dict[str, Any]) -> set[tuple[int, int]]:
        x, y, w, h = (item["gridPos"][side] for side in "xywh")
        return {(column, line) for column in range(x, x + w) for line in range(y, y + h)}

    for item in ITEMS:
        assert 0 <= item["gridPos"]["x"] <= 24 - item["gridPos"]["w"]
    for one, other in combinations(ITEMS, 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@each_panel
def test_a_panel_asks_the_data_source_that_was_chosen(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all("datasource" not in target for target in panel["targets"])


def test_what_asks_besides_the_panels_asks_the_chosen_data_source_too() -> None:
    for asking in (ANNOTATION, VARIABLES["route"], VARIABLES["version"]):
        assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_dashboard_is_changed_in_this_repository_only() -> None:
    assert DASHBOARD["editable"] is False
    assert "id" not in DASHBOARD


def test_route_is_one_and_versions_are_any_number() -> None:
    assert list(VARIABLES) == ["datasource", "route", "version"]
    assert not VARIABLES["route"].get("multi")
    assert VARIABLES["version"]["multi"]
    assert VARIABLES["version"]["includeAll"]


def test_a_rate_window_follows_the_zoom() -> None:
    for query in queries():
        windows = re.findall(r"\[([^\]]+)\]", query)
        assert all(window == "$__rate_interval" for window in windows), query


def test_a_counter_is_turned_into_a_rate_before_it_is_summed() -> None:
    counter = r"canary_\w+_(?:total|bucket|sum|count)\b"
    for query in queries():
        for found in re.finditer(counter, query):
            before = query[: found.start()]
            assert before.endswith(("rate(", "increase(")), (found[0], query)


@pytest.mark.parametrize(
    "panel",
    [
        panel
        for panel in PANELS
        if panel["targets"][0]["legendFormat"].startswith(BY_ROLE)
        and "reason" not in panel["targets"][0]["legendFormat"]
    ],
    ids=lambda panel: panel["title"],
)
def test_stable_is_blue_and_a_candidate_orange(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["overrides"][:2] == [
        {
            "matcher": {"id": "byRegexp", "options": f"/^{role} /"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for role, colour in (("stable", "blue"), ("candidate", "orange"))
    ]


# --- metrics that exist


def test_every_metric_named_is_one_the_gateway_tells_or_a_rule_records() -> None:
    named = {name for query in queries() for name in METRIC.findall(query)}
    recorded = {rule["record"] for rule in RULES}

    assert named
    assert named <= told() | recorded


def test_every_rule_is_built_on_metrics_of_the_gateway_or_on_rules_before_it() -> None:
    known = told()
    for rule in RULES:
        assert set(METRIC.findall(rule["expr"])) <= known
        known.add(rule["record"])


def test_a_metric_nobody_tells_would_be_noticed() -> None:
    assert METRIC.findall("sum(rate(canary_request_total[1m]))") == ["canary_request_total"]
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
