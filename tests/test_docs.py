"""The README against the code: nothing users rely on is undocumented, no example is broken."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import typer

from gateway.config import parse, warnings
from gateway.config.schema import json_schema
from gateway.errors import Reason
from gateway.metrics.collector import GatewayMetrics
from gateway.model import Assignment
from monitoring.cli import application
from monitoring.metrics.collector import Metrics
from tests.builders import make_report, make_value

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
}


def metric_names() -> set[str]:
    """Every metric of a gateway that serves the example file, each route with values, and of its
    controller, as Prometheus names it.
    """
    config = parse((ROOT / "routing.yaml").read_bytes())
    routes = tuple(replace(route, prediction=make_value()) for route in config.routes)
    report = make_report(replace(config, routes=routes))
    told = chain(GatewayMetrics(lambda: report, "0").collect(), Metrics("0").collect())
    suffix = {"counter": "_total"}
    return {metric.name + suffix.get(metric.type, "") for metric in told}


def test_every_metric_is_explained() -> None:
    assert {name for name in metric_names() if f"`{name}`" not in README} == set()


def test_every_metric_that_is_explained_exists() -> None:
    named = set(re.findall(r"^\| `(canary_[a-z_]+)` \|", README, re.MULTILINE))

    assert named == metric_names()


def test_every_command_is_explained() -> None:
    commands = set(typer.main.get_command(application()).commands)  # type: ignore[attr-defined]

    assert {name for name in commands if f"`canary {name}" not in README} == set()


def test_every_reason_and_assignment_is_explained() -> None:
    words = {*Reason, *Assignment} - {Reason.UPSTREAM_5XX}  # that one is an answer of the model

    assert {word for word in words if f"`{word}`" not in README} == set()


def test_every_refusal_of_a_request_is_explained() -> None:
    source = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    reasons = set(re.findall(r'Refusal\(\s*\d{3},\s*"([a-z_]+)"', source))

    assert len(reasons) > 5
    assert {reason for reason in reasons if f"`{reason}`" not in README} == set()


def test_every_key_of_a_route_is_explained() -> None:
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)
    keys = set(definitions["Route"]["properties"])

    assert {key for key in keys if f"`{key}`" not in README} == set()


def examples() -> list[str]:
    """The routing files of all pages."""
    return re.findall(r"```yaml\n(.*?)```", "".join(PAGES.values()), re.DOTALL)


@pytest.mark.parametrize("text", [text for text in examples() if "routes:" in text])
def test_every_example_of_a_routing_file_is_good(text: str) -> None:
    assert parse(text.encode()).routes


def test_every_example_in_yaml_is_a_routing_file() -> None:
    assert [text for text in examples() if "routes:" not in text] == []


def anchors(page: str) -> set[str]:
    """What a link into a page can name: its headings, as hosts of repositories write them."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    place = (ROOT / name).parent
    lost = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGES[name]):
        path, _, anchor = target.partition("#")
        file = (place / path).resolve() if path else ROOT / name
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            lost.append(target)

    assert lost == []


def test_the_example_file_uses_nothing_that_is_not_acted_on() -> None:
    assert warnings((ROOT / "routing.yaml").read_bytes()) == ()


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z]+)", "".join(PAGES.values()), re.MULTILINE))

    assert {"demo", "test"} <= named <= targets


def promises() -> dict[str, list[str]]:
    """The rows of the table of promises: cells, by number."""
    section = README.partition("\n## What is promised\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| P")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def test_every_promise_has_its_mark_and_figure_and_the_tests_that_hold_it() -> None:
    assert list(promises()) == [f"P{number}" for number in range(1, 29)]
    for number, cells in promises().items():
        assert len(cells) == 5, number
        assert all(cells), number
        named = re.findall(r"`(tests/[\w/.-]+)`", cells[-1])
        assert named, number
        assert {path for path in named if not (ROOT / path).exists()} == set(), number


def test_every_file_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`((?:tests|gateway|monitoring)/[\w/.-]+)`", text))

    assert len(named) > 15
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert "@" not in text  # nobody is asked to write to an address that nobody reads
