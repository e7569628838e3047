"""From the gateway's document to the windows a verdict may use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitoring.evidence import BadEvidence, Tally, Window, windows_of


def generation(
    name: str, weight: int, *, stable: str = "v1", candidate: str = "v2", bad: int = 1
) -> dict[str, Any]:
    """One generation of a route with two versions."""
    versions = {
        stable: {"role": "stable", "weight": 10_000 - weight, "assigned": 90, "bad": 0},
        candidate: {"role": "candidate", "weight": weight, "assigned": 10, "bad": bad},
    }
    return {"generation": name, "routes": {"iris": versions}}


def document(*generations: dict[str, Any]) -> dict[str, Any]:
    return {"generation": generations[-1]["generation"], "generations": list(generations)}


def test_a_window_is_the_candidate_beside_stable_with_its_share_of_their_draws() -> None:
    windows = windows_of(document(generation("g1", 1000)), "iris", "v2")

    assert windows == (Window("g1", 0.1, Tally(10, 1), Tally(90, 0)),)


def test_a_third_version_does_not_change_the_share_between_two() -> None:
    one = generation("g1", 1000)
    one["routes"]["iris"]["v1"]["weight"] = 4000
    one["routes"]["iris"]["v3"] = {"role": "candidate", "weight": 5000, "assigned": 9, "bad": 9}

    (window,) = windows_of(document(one), "iris", "v2")

    assert window.share == 0.2


def test_a_run_reaches_back_over_changed_weights_oldest_first() -> None:
    windows = windows_of(document(generation("g1", 100), generation("g2", 1000)), "iris", "v2")

    assert [window.generation for window in windows] == ["g1", "g2"]


def test_a_weight_of_zero_ends_a_run() -> None:
    windows = windows_of(
        document(generation("g1", 1000, bad=9), generation("g2", 0), generation("g3", 1000)),
        "iris",
        "v2",
    )

    assert [window.generation for window in windows] == ["g3"]


def test_another_stable_ends_a_run() -> None:
    before = generation("g1", 1000, stable="v0")

    windows = windows_of(document(before, generation("g2", 1000)), "iris", "v2")

    assert [window.generation for window in windows] == ["g2"]


def test_where_stable_has_no_share_there_is_nothing_to_compare_with() -> None:
    assert windows_of(document(generation("g1", 10_000)), "iris", "v2") == ()


def test_a_route_or_version_that_is_not_there_has_no_windows() -> None:
    assert windows_of(document(generation("g1", 1000)), "wine", "v2") == ()
    assert windows_of(document(generation("g1", 1000)), "iris", "v9") == ()


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"generations": [{"generation": "g1"}]},
        {"generations": None},
        document(generation("g1", 1000, bad=11)),
        document(generation("g1", 1000, bad=-1)),
    ],
)
def test_counts_that_cannot_be_are_an_error_and_no_evidence(broken: dict[str, Any]) -> None:
    with pytest.raises(BadEvidence):
        windows_of(broken, "iris", "v2")


@pytest.mark.parametrize("key", ["weight", "assigned", "bad"])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e3", "0.5", "-1", '"1"', "true", "null", "9" * 40]
)
def test_what_json_may_say_and_no_count_is_is_an_error(key: str, version: str, number: str) -> None:
    """Python's reader takes NaN and infinities, and a comparison with NaN is never true."""
    broken = document(generation("g1", 1000))
    broken["generations"][0]["routes"]["iris"][version][key] = json.loads(number)

    with pytest.raises(BadEvidence):
        windows_of(broken, "iris", "v2")
