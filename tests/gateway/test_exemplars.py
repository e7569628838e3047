"""Which requests are named beside the buckets, for how long, and how they are told."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.counting.exemplars import Exemplar, Exemplars
from gateway.counting.grid import DURATION_BOUNDS
from gateway.metrics.collector import GatewayMetrics
from gateway.model import RoutingConfig
from gateway.routing.table import compile_table
from tests.builders import make_config, make_decision, make_report

CONFIG = make_config()
STABLE = ("iris", "v1", "stable")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def make_exemplars(config: RoutingConfig = CONFIG) -> Exemplars:
    """At the times 1, 2, 3."""
    ticks = count(1)
    exemplars = Exemplars(lambda: float(next(ticks)))
    exemplars.keep(compile_table(config).places)
    return exemplars


def noted(exemplars: Exemplars, key: tuple[str, ...] = STABLE) -> list[Exemplar]:
    return [one for one in exemplars.rows[key] if one is not None]


def render(exemplars: Exemplars, accept: str = OPENMETRICS) -> str:
    report = make_report(CONFIG)
    report = replace(report, state=replace(report.state, exemplars=exemplars.rows))
    registry = CollectorRegistry()
    registry.register(GatewayMetrics(lambda: report, "0"))
    encode, _ = choose_encoder(accept)
    return encode(registry).decode()


def test_the_last_one_of_each_bucket_is_named() -> None:
    exemplars = make_exemplars()
    for seconds, trace in ((0.0101, "a"), (0.0102, "b"), (9999.0, "c")):
        exemplars.note(make_decision(), seconds, trace)

    assert noted(exemplars) == [Exemplar("b", 0.0102, 2.0), Exemplar("c", 9999.0, 3.0)]
    assert exemplars.rows[STABLE][-1] == Exemplar("c", 9999.0, 3.0)


@pytest.mark.parametrize("bound", DURATION_BOUNDS)
def test_it_stands_at_the_bucket_that_counts_it(bound: float) -> None:
    exemplars = make_exemplars()
    exemplars.note(make_decision(), bound, "a")

    assert exemplars.rows[STABLE][DURATION_BOUNDS.index(bound)] is not None


def test_however_many_there_are_they_take_no_more_room() -> None:
    exemplars = make_exemplars()
    size = {key: len(row) for key, row in exemplars.rows.items()}
    for number in range(1000):
        exemplars.note(make_decision(), number / 100, f"{number}")

    assert {key: len(row) for key, row in exemplars.rows.items()} == size
    assert set(size.values()) == {len(DURATION_BOUNDS) + 1}


def test_a_version_that_is_gone_takes_its_own_with_it() -> None:
    exemplars = make_exemplars()
    old = make_decision("v2")
    exemplars.note(make_decision(), 0.01, "a")
    exemplars.note(old, 0.01, "b")
    exemplars.keep(compile_table(make_config({"v1": "http://127.0.0.1:1"})).places)
    exemplars.note(old, 0.01, "c")  # was under way meanwhile

    assert list(exemplars.rows) == [STABLE]
    assert [one.trace for one in noted(exemplars)] == ["a"]


def test_openmetrics_tells_of_them() -> None:
    exemplars = make_exemplars()
    exemplars.note(make_decision("v2"), 0.0101, "0af7651916cd43dd8448eb211c80319c")
    families = text_string_to_metric_families(render(exemplars))
    told = [
        (sample.labels, sample.exemplar)
        for family in families
        for sample in family.samples
        if sample.exemplar
    ]

    ((labels, exemplar),) = told
    assert (labels["route"], labels["version"], labels["role"]) == ("iris", "v2", "candidate")
    assert exemplar.labels == {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
    assert sum(len(name + value) for name, value in exemplar.labels.items()) <= 128
    assert (exemplar.value, float(exemplar.timestamp)) == (0.0101, 1.0)
    assert exemplar.value <= float(labels["le"])


def test_the_older_format_has_no_place_for_them() -> None:
    exemplars = make_exemplars()
    exemplars.note(make_decision(), 0.01, "0af7651916cd43dd8448eb211c80319c")

    assert "0af765" not in render(exemplars, "text/plain")
