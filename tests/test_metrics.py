"""docs/metrics.md against what gateway and controller really tell, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)

from gateway.answers.predictions import Missing
from gateway.counting.gauges import Loss, Sink
from gateway.counting.report import CertificateStatus, ReloadStatus, State, gather
from gateway.errors import REFUSED, Reason
from gateway.metrics.collector import GatewayMetrics
from gateway.metrics.exposition import expose
from gateway.model import Analysis, Assignment, RoutingConfig
from gateway.processes.plane import Solo
from monitoring.metrics.collector import Metrics
from tests.builders import make_config, make_prediction, with_readiness

PAGE = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()
OPENMETRICS = "application/openmetrics-text"


class Row(NamedTuple):
    """A metric as the page has it, or as it is told."""

    type: str
    unit: str
    labels: frozenset[str]
    sources: frozenset[str]


def make_everything() -> RoutingConfig:
    """A file of which there is everything to tell."""
    versions = {
        "v1": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
        "v2": ("http://127.0.0.1:3", 10),
    }
    bounds = [2.0**k for k in range(14)]  # as the page has them: those of a chat
    prediction = make_prediction("/p", "/s", ("a",), "/v", bounds)
    return with_readiness(make_config(versions, prediction=prediction, analysis=Analysis()))


def gateway() -> list[Metric]:
    plane = Solo(make_everything())
    plane.refresh()
    ports = tuple(CertificateStatus(port, 1e9, True, 0, 0) for port in ("data", "admin"))
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), 0, ports)
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(lambda: gather(plane.archive, state), "1.2.3"))
    return list(parse_openmetrics(expose(registry, OPENMETRICS)[1].decode()))


def controller() -> list[Metric]:
    metrics = Metrics("1.2.3")
    metrics.known(make_everything().routes)
    return list(parse_openmetrics(metrics.render(OPENMETRICS)[1].decode()))


TOLD = {"gateway": gateway(), "controller": controller()}


def name_of(metric: Metric) -> str:
    """As queries have it."""
    return metric.name + ("_total" if metric.type == "counter" else "")


def told() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for source, metrics in TOLD.items():
        for one in metrics:
            labels = frozenset(name for each in one.samples for name in each.labels) - {"le"}
            before = found.get(name_of(one))
            sources = frozenset({source}) | (before.sources if before else frozenset())
            found[name_of(one)] = Row(one.type, one.unit, labels, sources)
    return found


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table behind a line."""
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> frozenset[str]:
    return frozenset(word.strip() for word in cell.split(",") if word.strip())


def written() -> dict[str, Row]:
    return {
        name.strip("`"): Row(type_, unit, words(labels), words(sources))
        for name, type_, unit, labels, sources, _ in rows("# All metrics")[1:]
    }


def test_the_page_says_of_each_metric_what_is_told_and_of_no_other() -> None:
    assert written() == told()


def test_each_metric_stands_there_once_and_with_a_meaning() -> None:
    table = rows("# All metrics")[1:]

    assert len({row[0] for row in table}) == len(table)
    assert all(row[-1] for row in table)


def test_the_page_has_the_bounds_of_every_histogram() -> None:
    bounds = {
        one.name: {
            each.labels["le"] for each in one.samples if each.labels.get("le", "+Inf") != "+Inf"
        }
        for metrics in TOLD.values()
        for one in metrics
        if one.type == "histogram"
    }
    table = {name.strip("`"): cell.split() for name, cell in rows("## Bounds")[1:]}

    assert {name: set(found) for name, found in table.items()} == bounds
    assert all(sorted(found, key=float) == found for found in table.values())


@pytest.mark.parametrize(
    ("label", "values"),
    [
        ("`assignment`", Assignment),
        ("`reason` of errors, fallbacks and retries", Reason),
        ("`reason` of refusals", REFUSED),
        ("`reason` of missing predictions", Missing),
        ("`sink`", Sink),
        ("`reason` of dropped lines", Loss),
        ("`port`", ("data", "admin")),
        ("`result`", ("success", "failure")),
    ],
)
def test_the_page_names_the_values_of_closed_sets(label: str, values: Iterable[str]) -> None:
    cells = dict(row for row in rows("## Labels")[1:] if len(row) == 2)

    assert set(re.findall(r"`(\w+)`", cells[label])) == {str(value) for value in values}


def test_every_metric_has_the_prefix_and_a_sentence_of_help() -> None:
    for metrics in TOLD.values():
        for one in metrics:
            assert one.name.startswith("canary_")
            assert re.fullmatch(r"[A-Z0-9].*\.", one.documentation), one.name
            assert one.samples, one.name  # else nobody would know its labels


def test_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}

    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors
