"""What plots show: points at whole steps, of which only the new ones follow."""

from __future__ import annotations

import pytest

from monitoring.console.series import Series
from monitoring.console.traces import RANGES, news, traces
from tests.monitoring.console.test_series import reading


def watched(seconds: int, per_second: int = 4) -> Series:
    series = Series()
    for second in range(seconds):
        series.take(10_000 + second, {"a": reading(per_second * second, {"setosa": second})})
    return series


@pytest.mark.parametrize("name", RANGES)
def test_points_lie_at_whole_steps_up_to_now(name: str) -> None:
    shown = RANGES[name]
    series = watched(700)

    found = traces(series, "iris", ["v2"], shown)

    assert len(found["times"]) == shown.seconds // shown.every
    assert all(one % shown.every == 0 for one in found["times"])
    assert series.end + 1 - shown.every < found["times"][-1] <= series.end + 1
    assert {len(one) for one in found["versions"]["v2"].values() if isinstance(one, list)} == {
        len(found["times"])
    }


def test_a_rate_is_per_second_at_every_resolution() -> None:
    series = watched(700)

    rates = [
        traces(series, "iris", ["v2"], one)["versions"]["v2"]["rate"] for one in RANGES.values()
    ]

    assert [one[-1] for one in rates] == [4.0] * len(RANGES)
    assert rates[3][0] is None  # nobody looked a day ago


def test_where_nobody_asked_there_is_a_rate_and_no_share_of_failures() -> None:
    series = watched(100, per_second=0)

    found = traces(series, "iris", ["v2"], RANGES["10m"])["versions"]["v2"]

    assert found["rate"][-1] == 0
    assert found["errors"][-1] is None
    assert found["p95"][-1] is None


def test_what_is_new_follows_what_was_shown() -> None:
    series = watched(300)
    before = traces(series, "iris", ["v2"], RANGES["10m"]) | SAME
    for second in range(300, 312):
        series.take(10_000 + second, {"a": reading(4 * second, {"setosa": second})})
    now = traces(series, "iris", ["v2"], RANGES["10m"]) | SAME

    fresh = news(before, now)

    assert fresh is not None
    assert fresh["times"] == now["times"][-len(fresh["times"]) :]
    assert before["times"][-1] + RANGES["10m"].every == fresh["times"][0]
    assert fresh["versions"]["v2"]["labels"]["setosa"] == [100.0] * len(fresh["times"])


@pytest.mark.parametrize("changed", ["tones", "marks"])
def test_another_version_or_mark_is_drawn_anew(changed: str) -> None:
    now = traces(watched(300), "iris", ["v2"], RANGES["10m"]) | SAME

    assert news({**now, changed: "other"}, now) is None
    assert news({}, now) is None
    assert news({**now, "times": [1]}, now) is None


SAME = {"tones": {"v2": "candidate"}, "marks": [], "seconds": 600}
