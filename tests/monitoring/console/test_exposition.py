"""What a gateway's text means to the console, against the reader of prometheus_client."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Counting
from prometheus_client.exposition import generate_latest

from gateway.counting.grid import DURATION_BOUNDS, SCORE_BOUNDS
from monitoring.console.exposition import Reader, Reading, added

NAMES = st.text(max_size=8)


def told(versions: list[tuple[str, str]]) -> tuple[str, CollectorRegistry]:
    """A gateway that has answered something of each version."""
    registry = CollectorRegistry()
    of = ["route", "version", "role"]
    requests = Counting("canary_requests", "", [*of, "code", "assignment"], registry=registry)
    errors = Counting("canary_request_errors", "", [*of, "reason"], registry=registry)
    waits = Histogram(
        "canary_request_duration_seconds", "", of, registry=registry, buckets=DURATION_BOUNDS
    )
    scores = Histogram("canary_prediction_score", "", of, registry=registry, buckets=SCORE_BOUNDS)
    labels = Counting("canary_predictions", "", [*of, "label"], registry=registry)
    weight = Gauge("canary_route_weight_ratio", "", ["route", "version"], registry=registry)
    fallbacks = Counting("canary_fallbacks", "", ["route", "assigned", "reason"], registry=registry)
    info = Gauge("canary_config_info", "", ["hash"], registry=registry)
    info.labels("abc").set(1)
    for number, (route, version) in enumerate(versions, 1):
        key = (route, version, "candidate")
        requests.labels(*key, "200", "sticky").inc(10 * number)
        requests.labels(*key, "200", "forced").inc(number)
        errors.labels(*key, "timeout").inc(number)
        fallbacks.labels(route, version, "timeout").inc(2)
        waits.labels(*key).observe(0.003)
        waits.labels(*key).observe(99)
        scores.labels(*key).observe(0.93)
        labels.labels(*key, 'a "b"\n\\').inc(4)
        weight.labels(route, version).set(0.25)
    return generate_latest(registry).decode(), registry


@given(st.lists(st.tuples(NAMES, NAMES), max_size=3, unique=True))
def test_names_that_hold_anything_are_read_as_they_were_meant(
    versions: list[tuple[str, str]],
) -> None:
    text, registry = told(versions)

    reading = Reader().read(text)

    assert set(reading.versions) == set(versions)
    for route, version in versions:
        totals = reading.versions[route, version]
        labels = {"route": route, "version": version, "role": "candidate"}
        sticky = registry.get_sample_value(
            "canary_requests_total", {**labels, "code": "200", "assignment": "sticky"}
        )
        assert sticky is not None
        assert totals.answered == sticky * 1.1
        assert totals.drawn == sticky + 2
        assert totals.asked == totals.answered + 2
        assert totals.labels == {'a "b"\n\\': 4}
        assert totals.weight == 0.25


def test_counts_up_to_a_bound_become_counts_between_two() -> None:
    text, _ = told([("iris", "v2")])

    totals = Reader().read(text).versions["iris", "v2"]

    assert Counter(totals.durations) == {0: 15, 1: 2}
    assert totals.durations[2] == totals.durations[-1] == 1
    assert totals.scores.index(1) == SCORE_BOUNDS.index(0.95)
    assert totals.reasons == {"timeout": 1}


def test_a_text_that_is_read_again_says_the_same() -> None:
    text, _ = told([("iris", "v1"), ("iris", "v2")])
    reader = Reader()

    assert reader.read(text) == reader.read(text)


def test_several_gateways_are_added_up() -> None:
    one = Reader().read(told([("iris", "v1"), ("iris", "v2")])[0])
    other = Reader().read(told([("iris", "v1")])[0])

    both = added([one, other])

    assert both.versions["iris", "v1"].answered == 2 * other.versions["iris", "v1"].answered
    assert both.versions["iris", "v1"].durations[2] == 2
    assert both.versions["iris", "v1"].weight == 0.25
    assert both.versions["iris", "v2"] == one.versions["iris", "v2"]
    assert both.generations == ("abc", "abc")


def test_a_refused_file_is_known_of_whichever_gateway_refused_it() -> None:
    refused = Reader().read("canary_config_last_reload_successful 0.0\n")

    assert added([Reading(), refused]).refused
    assert not added([Reading()]).refused
