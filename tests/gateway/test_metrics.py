"""What Prometheus is told: all that is known from the first scrape, and nothing that is over."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.counting.grid import BEGINNING_BOUNDS, DURATION_BOUNDS, OVERHEAD_BOUNDS, SCORE_BOUNDS
from gateway.counting.report import Process, ReloadStatus, Report, State, gather
from gateway.errors import REFUSED, Reason
from gateway.machine.usage import Usage
from gateway.metrics.collector import GatewayMetrics
from gateway.model import Assignment, Prediction, RoutingConfig
from gateway.processes.plane import Solo
from gateway.protocols import Protocol
from gateway.routing.table import compile_table
from tests.builders import (
    make_config,
    make_decision,
    make_outcome,
    make_prediction,
    make_route,
    make_sticky,
    make_value,
    with_readiness,
)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
VALUE_BOUNDS = (0.5, 10.0, 1e6)
SEVERAL = ("http://127.0.0.1:1", "http://127.0.0.1:2")
V1 = {"version": "v1", "role": "stable"}
ROLES = {"v1": "stable", "v2": "candidate"}


def make_full(labels: tuple[str, ...] = ("a", "b"), **rules: Any) -> RoutingConfig:
    """A route that has everything there is to tell of, and one that has nothing."""
    usual: dict[str, Any] = {
        "sticky": make_sticky(),
        "override": "x-model-version",
        "prediction": make_prediction("/p", "/s", labels, "/v", VALUE_BOUNDS),
    }
    plain = make_route({"m": "http://127.0.0.1:4"}, name="plain")
    versions = {"v1": SEVERAL, "v2": ("http://127.0.0.1:3", 10)}
    return with_readiness(make_config(versions, plain, **usual | rules))


class Served:
    """A data plane without sockets, and what its admin port tells."""

    def __init__(self, config: RoutingConfig) -> None:
        self.plane = Solo(config)
        self.processes: tuple[Process, ...] | None = None
        self.usage: dict[int, Usage] = {}
        self.registry = CollectorRegistry()
        self.registry.register(GatewayMetrics(self.report, "1.2.3", self.usage.get))

    def report(self) -> Report:
        self.plane.refresh()
        told = self.plane.processes() if self.processes is None else self.processes
        return gather(self.plane.archive, State("routing.yaml", ReloadStatus(), False, told, 0))

    def series(self) -> Series:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.registry.collect()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """KeyError if there is no such series."""
        return self.series()[name, frozenset(labels.items())]

    def record(self, version: str, **facts: Any) -> None:
        """One outcome of the first route."""
        serving = self.plane.live.serving
        decision = make_decision(version, Assignment.WEIGHTED, serving.table.config)
        serving.counts[decision.index].record(make_outcome(decision, **facts))


def named(series: Iterable[tuple[str, frozenset[tuple[str, str]]]], word: str) -> list[str]:
    """The series in one of whose labels a word stands."""
    return [name for name, labels in series if word in dict(labels).values()]


# --- from the first scrape


def expected_at_zero() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Written out anew, from what is promised."""
    found: list[tuple[str, dict[str, str]]] = []

    def histogram(name: str, bounds: Iterable[float], **labels: str) -> None:
        for bound in (*map(str, bounds), "+Inf"):
            found.append((f"{name}_bucket", labels | {"le": bound}))
        found.extend((f"{name}{end}", labels) for end in ("_sum", "_count"))

    for route, version, role in (
        ("iris", "v1", "stable"),
        ("iris", "v2", "candidate"),
        ("plain", "m", "stable"),
    ):
        key = {"route": route, "version": version, "role": role}
        ways = ["weighted", *(["sticky", "forced"] if route == "iris" else [])]
        ways += ["fallback"] if version == "v1" else []
        for way, code in product(ways, ("200", "500", "502", "503", "504")):
            found.append(("canary_requests_total", key | {"assignment": way, "code": code}))
        for reason in ("connect", "reset", "timeout", "bad_response", "upstream_5xx", "shed"):
            found.append(("canary_request_errors_total", key | {"reason": reason}))
            if role == "candidate":
                labels = {"route": route, "assigned": version, "reason": reason}
                found.append(("canary_fallbacks_total", labels))
        for reason in ("connect", "reset"):
            found.append(("canary_retries_total", key | {"reason": reason}))
        found.append(("canary_retries_refused_total", key | {"reason": "reset"}))
        found.append(("canary_requests_in_flight", key))
        histogram("canary_request_duration_seconds", DURATION_BOUNDS, **key)
        histogram("canary_upstream_duration_seconds", DURATION_BOUNDS, **key)
        histogram("canary_time_to_first_byte_seconds", BEGINNING_BOUNDS, **key)
        if route == "iris":
            for label in ("a", "b", "__other__"):
                found.append(("canary_predictions_total", key | {"label": label}))
            for reason in ("unreadable", "absent", "too_large"):
                found.append(("canary_prediction_missing_total", key | {"reason": reason}))
            histogram("canary_prediction_score", SCORE_BOUNDS, **key)
            histogram("canary_prediction_value", VALUE_BOUNDS, **key)
    for route in ("iris", "plain"):
        histogram("canary_gateway_overhead_seconds", OVERHEAD_BOUNDS, route=route)
    for version, urls in (("v1", SEVERAL), ("v2", ["http://127.0.0.1:3"])):
        for url in urls:
            labels = {"route": "iris", "version": version, "endpoint": url}
            found.append(("canary_upstream_up", labels))
            if len(urls) > 1:
                found.append(("canary_circuit_open", labels))
    labels = {"route": "plain", "version": "m", "endpoint": "http://127.0.0.1:4"}
    found.append(("canary_upstream_up", labels))
    for reason in REFUSED:
        found.append(("canary_refused_requests_total", {"reason": reason}))
    found += [("canary_config_reloads_total", {"result": one}) for one in ("success", "failure")]
    found.append(("canary_process_restarts_total", {}))
    found.append(("canary_spans_dropped_total", {}))
    for sink, reason in product(("access", "predictions"), ("full", "write", "error")):
        found.append(("canary_log_dropped_total", {"sink": sink, "reason": reason}))
    return {(name, frozenset(labels.items())) for name, labels in found}


def test_every_known_series_is_0_at_the_first_scrape() -> None:
    series = Served(make_full()).series()

    assert {key for key, value in series.items() if value == 0} == expected_at_zero()


@pytest.mark.parametrize("protocol", Protocol)
def test_where_clients_may_name_versions_by_protocol_forced_is_told_from_the_first_scrape(
    protocol: Protocol,
) -> None:
    served = Served(make_full(override=None, prediction=make_prediction(protocol=protocol)))
    ways = {dict(labels).get("assignment") for _, labels in served.series()}

    assert ("forced" in ways) is (protocol in (Protocol.V2, Protocol.SAGEMAKER))


def test_traffic_of_every_known_kind_makes_no_new_series() -> None:
    served = Served(make_full())
    before = set(served.series())
    body = b'{"p": "a", "s": 0.5}'
    for version in ("v1", "v2"):
        for code in (200, 500, 503):
            served.record(version, status=code, body=body)
        for reason in Reason:
            served.record(version, status=reason.status, reason=reason)
        served.record(version, body=b'{"p": "unheard of"}')
    for reason in Reason:
        served.record("v2", status=0, reason=reason)
    for refusal in REFUSED:
        served.plane.live.refused(refusal)

    assert set(served.series()) == before


def test_the_reasons_of_refusals_are_all_that_requests_are_refused_for() -> None:
    """Those of the admin port (``access``) are counted nowhere."""
    folder = Path(__file__).parents[2] / "gateway"
    source = "".join(one.read_text() for one in folder.rglob("*.py") if one.stem != "access")
    found = re.findall(r'Refusal\(\s*(\d{3}),\s*"([a-z_]+)"', source)

    assert {reason for _, reason in found} == set(REFUSED)
    assert all(HTTPStatus(int(status)) for status, _ in found)


# --- what is over


def test_what_left_the_file_is_told_no_more() -> None:
    served = Served(make_full())
    for version in ("v1", "v2"):
        served.record(version, status=404, body=b'{"p": "a", "s": 0.5}')
    before = served.series()
    gone = ("v2", "plain", SEVERAL[1], "http://127.0.0.1:3", "http://127.0.0.1:4", "b")
    assert all(named(before, word) for word in gone)

    versions = {"v1": SEVERAL[0], "v3": ("http://127.0.0.1:5", 5)}
    after = make_config(versions, generation="two", prediction=make_prediction("/p", "/s", ("a",)))
    served.plane.put(compile_table(after))
    series = served.series()

    assert [word for word in gone if named(series, word)] == []
    assert [dict(labels) for name, labels in series if name == "canary_config_info"] == [
        {"hash": "two"}
    ]
    assert named(series, "v3")
    assert not [name for name, _ in series if name in ("canary_circuit_open", "canary_upstream_up")]


def test_what_stays_in_the_file_never_goes_backwards() -> None:
    """The overhead is the route's: it stays when a version goes."""
    served = Served(make_full())
    for version in ("v1", "v2"):
        served.record(version, overhead=0.003)
    before = served.series()
    served.plane.put(compile_table(make_config({"v1": SEVERAL}, generation="two")))
    after = served.series()

    assert served.value("canary_gateway_overhead_seconds_count", route="iris") == 2
    assert served.value("canary_gateway_overhead_seconds_sum", route="iris") == 0.006
    common = before.keys() & after.keys()
    assert all(after[key] >= before[key] for key in common if key[0].endswith(("_total", "_count")))


def test_a_route_that_comes_back_begins_at_0() -> None:
    served = Served(make_full())
    served.record("v1")
    other = make_config(generation="two")
    other = replace(other, routes=tuple(replace(one, name="other") for one in other.routes))
    for number in range(20):  # more than are told of
        served.plane.put(compile_table(replace(other, generation=f"other {number}")))
    served.plane.put(compile_table(make_full()))

    assert served.value("canary_gateway_overhead_seconds_count", route="iris") == 0


@pytest.mark.parametrize(
    ("labels", "told"), [((), {"a", "b", "c", "__other__"}), (("b",), {"b", "__other__"})]
)
def test_labels_that_the_file_declares_are_all_that_is_told(
    labels: tuple[str, ...], told: set[str]
) -> None:
    served = Served(make_full(()))
    for label in "abc":
        served.record("v1", body=b'{"p": "%b"}' % label.encode())
    served.plane.put(compile_table(replace(make_full(labels), generation="two")))
    found = {
        dict(key)["label"] for name, key in served.series() if name == "canary_predictions_total"
    }

    assert found == told


# --- the gateway's own time


def test_other_bounds_are_a_histogram_that_begins_anew_also_if_they_come_back() -> None:
    """And nothing else does: not the requests, nor the values of a route that keeps its bounds."""
    other = make_route({"m": "http://127.0.0.1:4"}, name="kept", prediction=make_value(1, 2))

    def file(generation: str, prediction: Prediction | None) -> RoutingConfig:
        return make_config(
            {"v1": "http://127.0.0.1:1"}, other, generation=generation, prediction=prediction
        )

    def counts() -> dict[str, float]:
        found = served.series()
        return {
            dict(labels)["le"]: value
            for (name, labels), value in found.items()
            if name == "canary_prediction_value_bucket" and dict(labels)["route"] == "iris"
        }

    def put(generation: str, prediction: Prediction | None) -> None:
        served.plane.put(compile_table(file(generation, prediction)))

    served = Served(file("one", make_value(10, 20)))
    under_way = served.plane.live.serving
    decision = make_decision("v1", config=under_way.table.config)
    kept = under_way.table.routes[1].decision("m", Assignment.WEIGHTED)
    under_way.counts[kept.index].record(make_outcome(kept, body=b'{"v": 2}'))
    served.record("v1", body=b'{"v": 15}')
    assert counts() == {"10": 0, "20": 1, "+Inf": 1}

    put("two", make_value(10, 20))
    served.record("v1", body=b'{"v": 15}')
    assert counts() == {"10": 0, "20": 2, "+Inf": 2}

    put("three", make_value(10, 20, 50))
    under_way.counts[decision.index].record(make_outcome(decision, body=b'{"v": 15}'))
    assert counts() == {"10": 0, "20": 0, "50": 0, "+Inf": 0}
    served.record("v1", body=b'{"v": 5}')
    assert counts() == {"10": 1, "20": 1, "50": 1, "+Inf": 1}

    put("four", make_value(10, 20))
    del under_way
    served.record("v1", body=b'{"v": 5}')
    assert counts() == {"10": 1, "20": 1, "+Inf": 1}
    assert served.value("canary_prediction_value_sum", route="iris", **V1) == 5

    put("five", None)
    assert counts() == {}
    put("six", make_value(10))
    assert counts() == {"10": 0, "+Inf": 0}
    key = {"route": "kept", "version": "m", "role": "stable"}
    assert served.value("canary_prediction_value_count", **key) == 1
    requests = {"route": "iris", "code": "200", "assignment": "weighted", **V1}
    assert served.value("canary_requests_total", **requests) == 5


def test_the_overhead_of_all_versions_is_that_of_their_route() -> None:
    served = Served(make_full())
    for version, seconds in (("v1", 0.00005), ("v1", 0.0004), ("v2", 0.0009), ("v2", 7.0)):
        served.record(version, overhead=seconds)
    served.record("v2", status=0, reason=Reason.RESET, overhead=1.0)  # gave way: not finished
    served.record("v1", status=0, gone=True, overhead=0.03)
    counted = {
        bound: served.value("canary_gateway_overhead_seconds_bucket", route="iris", le=bound)
        for bound in ("5e-05", "0.0001", "0.0005", "0.001", "0.05", "+Inf")
    }

    assert counted == {
        "5e-05": 1,
        "0.0001": 1,
        "0.0005": 2,
        "0.001": 3,
        "0.05": 4,
        "+Inf": 5,
    }
    total = 0.00005 + 0.0004 + 0.0009 + 7.0 + 0.03
    found = served.value("canary_gateway_overhead_seconds_sum", route="iris")
    assert found == pytest.approx(total)
    assert served.value("canary_gateway_overhead_seconds_count", route="plain") == 0


def test_the_beginning_of_a_streamed_answer_has_bounds_for_language_models() -> None:
    served = Served(make_full())
    serving = served.plane.live.serving
    for seconds in (0.004, 45.0, 500.0):
        serving.counts[0].began(seconds)
    key = {"route": "iris", "version": "v1", "role": "stable"}
    name = "canary_time_to_first_byte_seconds"

    assert served.value(f"{name}_bucket", le="0.005", **key) == 1
    assert served.value(f"{name}_bucket", le="30.0", **key) == 1
    assert served.value(f"{name}_bucket", le="60.0", **key) == 2
    assert served.value(f"{name}_bucket", le="120.0", **key) == 2
    assert served.value(f"{name}_sum", **key) == 545.004
    assert served.value("canary_request_duration_seconds_count", **key) == 0


# --- weights


def weights(served: Served) -> dict[str, tuple[float, float]]:
    """Configured and effective, by version of the first route."""
    names = ("canary_route_weight_ratio", "canary_route_effective_weight_ratio")
    return {
        version: tuple(served.value(name, route="iris", version=version) for name in names)  # type: ignore[misc]
        for version in ROLES
    }


def process(number: int, generation: str | None) -> Process:
    return Process(number, 100 + number, 0.0, 0, 0, generation)


def test_one_process_splits_as_the_file_says() -> None:
    served = Served(make_full())
    assert weights(served) == {"v1": (0.9, 0.9), "v2": (0.1, 0.1)}

    served.plane.put(compile_table(make_config({"v1": SEVERAL, "v2": (SEVERAL, 40)})))
    assert weights(served) == {"v1": (0.6, 0.6), "v2": (0.4, 0.4)}


def test_health_moves_no_share() -> None:
    """As the gateway asks a version of which nothing works first all the same; what comes of it
    the fallbacks tell.
    """
    served = Served(make_config({"v1": "http://127.0.0.1:9", "v2": (SEVERAL, 40)}))
    pool = served.plane.live.serving.pools[1]
    for _ in range(100):
        for member in pool.members:
            member.failed(0.0, sent=False)
        served.record("v2", status=0, reason=Reason.CONNECT)
    served.record("v1")

    opened = [
        served.value("canary_circuit_open", route="iris", version="v2", endpoint=url)
        for url in SEVERAL
    ]
    assert sorted(opened) == [0, 1]
    assert weights(served) == {"v1": (0.6, 0.6), "v2": (0.4, 0.4)}


def test_processes_that_still_serve_the_file_before_count_with_its_weights() -> None:
    served = Served(make_config(generation="one"))
    versions = {"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", 50)}
    served.plane.put(compile_table(make_config(versions, generation="two")))
    served.processes = tuple(map(process, range(4), ("one", "two", "two", None)))
    assert weights(served) == {
        "v1": (0.5, pytest.approx((0.9 + 0.5 + 0.5) / 3)),
        "v2": (0.5, pytest.approx((0.1 + 0.5 + 0.5) / 3)),
    }


@pytest.mark.parametrize("processes", [(), (process(0, None),)])
def test_without_a_process_that_serves_nobody_is_given_anything(
    processes: tuple[Process, ...],
) -> None:
    served = Served(make_full())
    served.processes = processes

    assert weights(served) == {"v1": (0.9, 0.0), "v2": (0.1, 0.0)}


# --- circuits


def test_a_circuit_is_open_or_not_however_many_processes_say_so() -> None:
    served = Served(make_full())
    ledger = served.plane.live.serving.ledger
    refresh: Callable[[], None] = served.plane.refresh
    served.plane.refresh = lambda: None  # type: ignore[method-assign]
    refresh()
    for number in (0, 1, 2):
        ledger.counts[ledger.gauge("ejected", "iris", "v1", SEVERAL[0])] = number
        labels = {"route": "iris", "version": "v1", "endpoint": SEVERAL[0]}
        assert served.value("canary_circuit_open", **labels) == min(number, 1)


# --- processes


def used(served: Served) -> dict[str, tuple[float, ...]]:
    names = (
        *("canary_process_cpu_seconds_total", "canary_process_resident_memory_bytes"),
        "canary_process_open_fds",
    )
    series = served.series()
    found = sorted({dict(labels)["process"] for name, labels in series if name == names[0]})
    return {
        one: tuple(series[name, frozenset({("process", one)})] for name in names) for one in found
    }


def test_a_process_that_does_everything_is_told_once() -> None:
    served = Served(make_full())
    served.usage[os.getpid()] = Usage(1.5, 4096, 7)

    assert used(served) == {"0": (1.5, 4096, 7)}


def test_processes_are_told_by_number_and_who_keeps_them_as_control() -> None:
    served = Served(make_full())
    served.processes = (process(1, "one"), process(0, "one"), process(2, None))
    served.usage.update({100: Usage(1.0, 10, 1), 101: Usage(2.0, 20, 2)})  # 102 is gone
    served.usage[os.getpid()] = Usage(0.5, 5, 3)

    assert used(served) == {"0": (1.0, 10, 1), "1": (2.0, 20, 2), "control": (0.5, 5, 3)}
