"""Numbers between two samples, against the definitions of Prometheus."""

from __future__ import annotations

import json
import subprocess
from bisect import bisect_left
from itertools import accumulate
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting.grid import DURATION_BOUNDS
from monitoring.readings.exposition import labels_of, read
from monitoring.readings.live import (
    DURATIONS,
    ERRORS,
    FALLBACKS,
    NAMES,
    PREDICTIONS,
    REQUESTS,
    Buckets,
    Window,
    increase,
    is_beyond,
    quantile,
    shares,
    traffic_of,
)

ENDS = (*DURATION_BOUNDS, inf)
counts = st.lists(st.integers(0, 50), min_size=len(ENDS), max_size=len(ENDS))


def buckets_of(numbers: list[int]) -> Buckets:
    return list(zip(ENDS, (float(one) for one in accumulate(numbers)), strict=True))


def naive(q: float, numbers: list[int]) -> float | None:
    """Every value written out, evenly spread over its bucket, and the one at the rank looked up."""
    values: list[float] = []
    for place, number in enumerate(numbers):
        start, end = (ENDS[place - 1] if place else 0.0), ENDS[place]
        end = start if end == inf else end
        values += [start + (end - start) * (i + 1) / number for i in range(number)]
    if not values:
        return None
    rank = q * len(values)
    at = next(i for i in range(len(values)) if i + 1 >= rank)
    # Between two values of one bucket it is in proportion.
    place = bisect_left([*accumulate(numbers)], at + 1)
    end = ENDS[place]
    if end == inf:
        return ENDS[-2]
    start = ENDS[place - 1] if place else 0.0
    return values[at] - (at + 1 - rank) * (end - start) / numbers[place]


@given(counts, st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_percentile_is_that_of_values_spread_evenly_over_their_buckets(
    numbers: list[int], q: float
) -> None:
    found, expected = quantile(q, buckets_of(numbers)), naive(q, numbers)

    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_prometheus_itself_says_the_same(tmp_path: Path) -> None:
    """`histogram_quantile` of promtool, on the counts of one histogram."""
    numbers = [0, 3, 40, 5, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    buckets = buckets_of(numbers)
    series = [
        {"series": f'h{{le="{"+Inf" if end == inf else end}"}}', "values": f"{number:g}"}
        for end, number in buckets
    ]
    asked = [
        {
            "expr": f"histogram_quantile({q}, h)",
            "eval_time": "0s",
            "exp_samples": [{"labels": "{}", "value": quantile(q, buckets)}],
        }
        for q in (0.25, 0.5, 0.9, 0.95, 0.99)
    ]
    unit = {"tests": [{"interval": "1s", "input_series": series, "promql_expr_test": asked}]}
    (tmp_path / "unit.yml").write_text(json.dumps(unit))  # JSON is YAML

    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "unit.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr + done.stdout


def test_beyond_the_last_bound_it_is_that_bound_and_said_to_be_more() -> None:
    slow = buckets_of([*[0] * 16, 5])

    assert quantile(0.5, slow) == 10.0
    assert is_beyond(0.5, slow)
    assert not is_beyond(0.5, buckets_of([5, *[0] * 16]))


@pytest.mark.parametrize("buckets", [[], [(inf, 3.0)], [(1.0, 3.0), (2.0, 3.0)]])
def test_what_is_no_histogram_has_no_percentile(buckets: Buckets) -> None:
    assert quantile(0.5, buckets) is None


def test_the_text_of_prometheus_is_read_and_labels_may_hold_anything() -> None:
    text = (
        "# HELP canary_predictions_total x\n"
        'canary_predictions_total{route="a b",label="x\\"y\\\\z\\n} 1\u2028\x85"} 4.0\n'
        "canary_other_total 3\n"
        "canary_requests_total nonsense\n"
    )

    (series,) = found = read(text, NAMES)

    assert found[series] == 4.0
    assert labels_of(series) == {"route": "a b", "label": 'x"y\\z\n} 1\u2028\x85'}


def test_a_counter_that_began_anew_has_grown_by_what_it_is() -> None:
    assert increase({"a": 5.0, "b": 5.0, "c": 5.0}, {"a": 7.0, "b": 2.0, "c": 5.0, "d": 1.0}) == {
        "a": 2.0,
        "b": 2.0,
        "d": 1.0,
    }


def series(name: str, version: str, **labels: str) -> str:
    told = {"route": "iris", "version": version, **labels}
    inside = ",".join(f'{key}="{value}"' for key, value in told.items())
    return f"{name}{{{inside}}}"


def test_what_stable_answered_in_its_place_is_the_candidates_as_the_rules_have_it() -> None:
    counters = {
        series(REQUESTS, "v1", assignment="weighted"): 80.0,
        series(REQUESTS, "v1", assignment="fallback"): 6.0,
        series(REQUESTS, "v2", assignment="sticky"): 4.0,
        series(REQUESTS, "v2", assignment="forced"): 10.0,
        f'{FALLBACKS}{{route="iris",assigned="v2",reason="timeout"}}': 6.0,
        series(ERRORS, "v2", reason="timeout"): 6.0,
        series(PREDICTIONS, "v2", label="setosa"): 3.0,
        series(PREDICTIONS, "v2", label="virginica"): 9.0,
    }

    found = traffic_of(counters, 10.0, {})

    candidate, stable = found["iris", "v2"], found["iris", "v1"]
    assert (candidate.asked, candidate.answered, candidate.drawn) == (20.0, 14.0, 10.0)
    assert candidate.error_share == 6 / 20
    assert candidate.rate == 2.0
    assert candidate.mix == {"virginica": 0.75, "setosa": 0.25}
    assert (stable.answered, stable.drawn, stable.error_share) == (86.0, 80.0, 0.0)


def test_without_a_whole_there_are_no_parts() -> None:
    assert shares({"a": 0.0}) == {}
    assert traffic_of({}, 0.0, {("a", "b"): [1.0, inf]})["a", "b"].rate is None


def durations(fast: int, slow: int) -> dict[str, float]:
    """Of a gateway since its start: between 5 and 10 ms, and between 25 and 50 ms."""
    numbers = [0, 0, 0, fast, 0, slow, *[0] * 11]
    totals = accumulate(numbers)
    return {
        series(DURATIONS, "v1", le="+Inf" if end == inf else str(end)): float(number)
        for end, number in zip(ENDS, totals, strict=True)
    }


def test_a_bucket_begins_where_the_one_before_it_ends_even_if_nothing_fell_into_that() -> None:
    window = Window()
    window.sample(0.0, {"a": durations(0, 0)})
    window.sample(1.0, {"a": durations(10, 0)})

    assert quantile(0.5, window.traffic()["iris", "v1"].buckets) == pytest.approx(0.0075)


def test_the_window_knows_nothing_before_the_second_look_and_forgets_what_is_long_ago() -> None:
    window = Window(length=10.0, slice=5.0)
    window.sample(100.0, {"a": durations(1000, 0)})
    assert window.seconds == 0
    assert window.slices() == []

    for second in range(1, 31):
        window.sample(100.0 + second, {"a": durations(1000, second)})

    traffic = window.traffic()["iris", "v1"]
    assert 10 <= window.seconds < 15
    assert traffic.buckets[-1] == (inf, window.seconds)  # one a second, and none of the thousand
    assert {one["iris", "v1"].buckets[-1][1] for one in window.slices()} <= {5.0, *range(5)}


def test_gateways_are_added_up_and_one_that_says_nothing_takes_nothing_away() -> None:
    window = Window()
    window.sample(0.0, {"a": durations(0, 0), "b": durations(500, 0)})
    window.sample(1.0, {"a": durations(5, 0), "b": durations(502, 0)})
    window.sample(2.0, {"a": durations(6, 0)})
    window.sample(3.0, {})
    window.sample(4.0, {"a": durations(7, 0), "b": durations(505, 0), "c": durations(9999, 0)})

    assert window.seconds == 4.0
    assert window.traffic()["iris", "v1"].buckets[-1] == (inf, 12.0)
