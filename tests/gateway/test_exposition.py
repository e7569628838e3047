"""In which form metrics are told, and that each form is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.registry import Collector

from gateway.metrics.exposition import expose, pieces, prefers_openmetrics, unit_of

OPENMETRICS = "application/openmetrics-text"
# What they send: Prometheus 2.42, recorded, and 3.5, by the scrape protocols it has by default.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_CLASSIC = (
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        (PROMETHEUS_3_CLASSIC, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/plain", False),
        ("application/json", False),
        (OPENMETRICS, True),
        (f"{OPENMETRICS}; version=1.0.0", True),
        (f'{OPENMETRICS}; version="1.0.0"; charset=utf-8', True),
        (OPENMETRICS.upper(), True),
        (f"{OPENMETRICS};version=0.0.1", False),
        (f"{OPENMETRICS};version=2.0.0", False),
        (f"{OPENMETRICS};q=0.5, text/plain;q=0.6", False),
        (f"{OPENMETRICS};q=0.6, text/plain;q=0.5", True),
        (f"text/plain, {OPENMETRICS}", True),
        (f"{OPENMETRICS};q=0.5, */*", False),
        (f"{OPENMETRICS};q=0, */*", False),
        (f"{OPENMETRICS};q=0", False),
        (f"{OPENMETRICS};q=nan", False),
        (f"{OPENMETRICS};q=2", False),
        (f"{OPENMETRICS};q=x", False),
        (f"{OPENMETRICS};version=1.0.0;q=0, {OPENMETRICS}", False),
        (",;,=;q", False),
    ],
)
def test_the_field_accept_decides(accept: str, openmetrics: bool) -> None:
    assert prefers_openmetrics(accept) == openmetrics


class Few(Collector):
    def collect(self):
        yield GaugeMetricFamily("canary_shares_ratio", "Shares.", 0.5)
        yield CounterMetricFamily("canary_cpu_seconds", "Seconds.", 1.5)
        yield CounterMetricFamily("canary_requests", "Requests.", 3)
        yield HistogramMetricFamily(
            "canary_wait_seconds", "Waits.", buckets=[("5e-05", 0.0), ("+Inf", 1.0)], sum_value=1.0
        )


@pytest.fixture
def few() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Few())
    return registry


def test_each_form_has_its_content_type(few: CollectorRegistry) -> None:
    assert expose(few, "*/*")[0] == "text/plain; version=0.0.4; charset=utf-8"
    assert expose(few, PROMETHEUS_3)[0] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )


def test_openmetrics_says_the_unit_a_name_ends_with(few: CollectorRegistry) -> None:
    families = parse_openmetrics(expose(few, OPENMETRICS)[1].decode())

    assert {one.name: one.unit for one in families} == {
        "canary_shares_ratio": "ratio",
        "canary_cpu_seconds": "seconds",
        "canary_requests": "",
        "canary_wait_seconds": "seconds",
    }


def test_the_classic_form_knows_no_units(few: CollectorRegistry) -> None:
    text = expose(few, "")[1].decode()

    assert "UNIT" not in text
    assert "canary_cpu_seconds_total 1.5\n" in text


def test_a_unit_is_the_last_word_of_a_name() -> None:
    assert unit_of("canary_process_cpu_seconds_total") == "seconds"
    assert unit_of("canary_seconds_left") == ""
    assert unit_of("seconds") == "seconds"


class Many(Collector):
    """More samples than are written at once, and metrics with few and none."""

    def collect(self) -> Iterator[Metric]:
        waited = HistogramMetricFamily("waited_seconds", "What was waited.", labels=["route"])
        for number in range(150):
            buckets = [("0.5", 1.0), ("# HELP", 1.0), ("+Inf", 2.0)]
            waited.add_metric([f"r{number}"], buckets=buckets, sum_value=number / 8)
        yield waited
        yield GaugeMetricFamily("one", "One.", value=1.0)
        yield CounterMetricFamily("none", "None.", labels=["route"])


def test_a_little_at_a_time_it_is_the_text_that_the_library_writes_at_once() -> None:
    classic, openmetrics = (list(pieces(Many(), accept)[1]) for accept in ("", OPENMETRICS))

    assert len(classic) > 4
    assert b"".join(classic) == generate_latest(Many())
    whole = generate_openmetrics(Many()).replace(
        b"# TYPE waited_seconds histogram\n",
        b"# TYPE waited_seconds histogram\n# UNIT waited_seconds seconds\n",
    )
    assert b"".join(openmetrics) == whole
