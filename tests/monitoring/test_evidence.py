"""Counts add up, and from the gateways' documents come the windows a verdict may use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.readings.evidence import AGAIN, BadEvidence, Counts, Window, named, row
from monitoring.readings.windows import has_beginning, past_of, windows_of

NUMBERS = st.integers(0, 10**6)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    bad, gone, good = draw(NUMBERS), draw(NUMBERS), draw(NUMBERS)
    words = st.dictionaries(st.sampled_from(["a", "b", "c"]), NUMBERS)
    return Counts(
        assigned=good + bad + gone,
        bad=bad,
        gone=gone,
        latency=row(draw(st.lists(NUMBERS, max_size=5))),
        scores=row(draw(st.lists(NUMBERS, max_size=5))),
        labels=named(draw(words)),
        missing=named(draw(words)),
        asked=(saved := draw(NUMBERS)) + draw(NUMBERS),
        saved=saved,
    )


@given(counts(), counts(), counts())
def test_counts_add_up_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Counts() == a
    assert (a + b) - b == a
    assert a - a == Counts()


@given(counts(), counts())
def test_what_became_smaller_has_no_difference(a: Counts, b: Counts) -> None:
    total = a + b
    if total != a:
        with pytest.raises(BadEvidence, match="began anew"):
            a - total


@pytest.mark.parametrize(("bad", "gone"), [(3, 0), (0, 3), (2, 1), (-1, 0), (0, -1)])
def test_more_bad_answers_than_requests_cannot_be(bad: int, gone: int) -> None:
    with pytest.raises(BadEvidence, match="cannot be"):
        Counts(2, bad=bad, gone=gone)


@pytest.mark.parametrize(("asked", "saved"), [(2, 3), (0, 1), (0, -1), (-1, -1)])
def test_more_saved_than_asked_cannot_be(asked: int, saved: int) -> None:
    with pytest.raises(BadEvidence, match="cannot be"):
        Counts(2, asked=asked, saved=saved)


# --- windows


def generation(
    name: str,
    weight: int,
    *,
    stable: str = "v1",
    candidate: str = "v2",
    bad: int = 1,
    since: float = 0.0,
    at: str | None = None,
) -> dict[str, Any]:
    """One generation of a route with two versions. ``at`` has a letter for each address."""
    versions = {
        stable: {"role": "stable", "weight": 10_000 - weight, "assigned": 90, "bad": 0},
        candidate: {"role": "candidate", "weight": weight, "assigned": 10, "bad": bad},
    }
    if at is not None:
        versions[stable]["addresses"] = ["s"]
        versions[candidate]["addresses"] = sorted(at)
    return {"generation": name, "since": since, "routes": {"iris": versions}}


def document(*generations: dict[str, Any]) -> dict[str, Any]:
    return {"generation": generations[-1]["generation"], "generations": list(generations)}


def names(*documents: dict[str, Any], candidate: str = "v2") -> list[str]:
    windows = windows_of(documents, "iris", candidate)
    return [window.source.partition("/")[2].partition("@")[0] for window in windows]


def test_a_window_is_the_candidate_beside_stable_with_its_share_of_their_draws() -> None:
    windows = windows_of([document(generation("g1", 1000, since=3.5))], "iris", "v2")

    assert windows == (Window("0/g1@3.5", 0.1, Counts(10, bad=1), Counts(90)),)


def test_everything_that_is_counted_is_read() -> None:
    one = generation("g1", 1000)
    one["routes"]["iris"]["v2"] |= {
        "gone": 2,
        "latency": [0, 3, 4, 0],
        "scores": [1, 0, 0],
        "labels": {"setosa": 5, "none": 0},
        "missing": {"absent": 2},
        "asked": 30,
        "saved": 7,
    }

    (window,) = windows_of([document(one)], "iris", "v2")

    row_of_v2 = Counts(10, 1, 2, (0, 3, 4), (1,), (("setosa", 5),), (("absent", 2),), 30, 7)
    assert window.candidate == row_of_v2


def test_a_third_version_does_not_change_the_share_between_two() -> None:
    one = generation("g1", 1000)
    one["routes"]["iris"]["v1"]["weight"] = 4000
    one["routes"]["iris"]["v3"] = {"role": "candidate", "weight": 5000, "assigned": 9, "bad": 9}

    (window,) = windows_of([document(one)], "iris", "v2")

    assert window.share == 0.2


def test_a_run_reaches_back_over_changed_weights_oldest_first() -> None:
    assert names(document(generation("g1", 100), generation("g2", 1000))) == ["g1", "g2"]


def test_windows_of_several_gateways_come_in_the_order_of_time() -> None:
    first = document(generation("g1", 100, since=1), generation("g2", 1000, since=5))
    second = document(generation("g1", 100, since=2), generation("g2", 1000, since=4))

    assert names(first, second) == ["g1", "g1", "g2", "g2"]


def test_a_weight_of_zero_ends_a_run() -> None:
    told = document(generation("g1", 1000, bad=9), generation("g2", 0), generation("g3", 1000))

    assert names(told) == ["g3"]


@pytest.mark.parametrize(
    ("addresses", "run"),
    [
        (["a", "a", "a"], ["g0", "g1", "g2"]),
        (["a", "b"], ["g1"]),
        (["a", "ab", "ab"], ["g1", "g2"]),
        (["ab", "a", "a"], ["g0", "g1", "g2"]),
        (["ab", "a", "ab"], ["g2"]),  # what had left may be another model when it is back
        (["a", "b", "b", "bc", "c"], ["g3", "g4"]),
        ([None, "a"], ["g0", "g1"]),  # an older gateway does not tell
        (["a", None, "b"], ["g0", "g1", "g2"]),
    ],
)
def test_a_new_address_of_the_candidate_begins_a_run(
    addresses: list[str | None], run: list[str]
) -> None:
    told = document(*(generation(f"g{i}", 1000, at=at) for i, at in enumerate(addresses)))

    assert names(told) == run


def test_addresses_that_are_none_are_no_evidence() -> None:
    one = generation("g1", 1000)
    one["routes"]["iris"]["v2"]["addresses"] = 1

    with pytest.raises(BadEvidence, match="another shape"):
        windows_of([document(one)], "iris", "v2")


def test_another_address_of_stable_or_of_another_candidate_ends_no_run() -> None:
    one, two = generation("g1", 1000, at="a"), generation("g2", 1000, at="a")
    two["routes"]["iris"]["v1"]["addresses"] = ["t"]
    for each, addresses in ((one, ["x"]), (two, ["y"])):
        other = {"role": "candidate", "weight": 1000, "assigned": 0, "bad": 0}
        each["routes"]["iris"]["v3"] = other | {"addresses": addresses}

    assert names(document(one, two)) == ["g1", "g2"]
    assert names(document(one, two), candidate="v3") == ["g2"]


def test_what_stable_did_beside_another_model_of_the_candidate_is_the_past() -> None:
    told = [document(generation("g1", 1000, at="a"), generation("g2", 1000, at="b"))]

    assert past_of(told, "iris", "v2") == Counts(90)


def test_where_users_stick_the_past_knows_of_no_draw_of_the_candidates() -> None:
    """Stable's users were the same ones then: bets on them would know how they fare."""
    rows = [
        generation("g1", 0),
        generation("g2", 1000, at="a"),
        generation("g3", 1000, at="b"),
    ]
    for one in rows:
        one["splits"] = {"iris": {"run": 1, "sticky": {"seen": 3, "slots": 8}}}

    assert past_of([document(*rows)], "iris", "v2") == Counts(90)


# --- rounds


def again(name: str, repeat: int, *, since: float, route: str = "iris") -> dict[str, Any]:
    """What a gateway tells of a round of this route."""
    told = generation(name, 1000, since=since)
    sticky = {"seen": 3, "slots": 8}
    split = {"run": 1, "sticky": sticky, "repeat": repeat, "since": since}
    return told | {
        "routes": {route: told["routes"]["iris"]},
        "splits": {route: split},
        "round": True,
    }


def first(name: str, **more: Any) -> dict[str, Any]:
    told = again(name, 0, since=0.0) | {"round": False}
    return told | more


def test_a_round_is_a_window_of_its_own_that_bears_its_name() -> None:
    told = document(first("g1"), again("g1", 1, since=60.0), again("g1", 2, since=75.0))
    windows = windows_of([told], "iris", "v2")

    assert [window.round for window in windows] == ["", "1@60.0", "2@75.0"]
    assert [window.source for window in windows] == [
        "0/g1@0.0",
        f"0/g1@60.0{AGAIN}",
        f"0/g1@75.0{AGAIN}",
    ]


def test_a_file_that_leaves_the_split_alone_goes_on_with_the_round() -> None:
    later = again("g2", 1, since=60.0) | {"since": 70.0, "round": False}
    windows = windows_of([document(first("g1"), again("g1", 1, since=60.0), later)], "iris", "v2")

    assert [window.round for window in windows] == ["", "1@60.0", "1@60.0"]


def test_rounds_of_another_route_neither_end_a_run_nor_are_its_beginning() -> None:
    here = first("g1")
    elsewhere = [again("g1", n, since=n, route="wine") for n in (1, 2)]
    told = [document(here, *elsewhere)]

    assert names(*told) == ["g1"]
    assert past_of(told, "iris", "v2") == Counts()
    assert not has_beginning(told, "iris", "v2")


def test_a_file_without_the_route_ends_a_run_and_is_its_beginning() -> None:
    told = [document(first("g1"), {"generation": "g2", "routes": {}, "splits": {}}, first("g3"))]

    assert names(*told) == ["g3"]
    assert has_beginning(told, "iris", "v2")


def test_what_is_told_before_a_run_is_its_beginning() -> None:
    told = document(generation("g1", 0), first("g2"), again("g2", 1, since=60.0))

    assert has_beginning([None, told], "iris", "v2")
    assert not has_beginning([document(first("g2"), again("g2", 1, since=60.0))], "iris", "v2")
    assert past_of([told], "iris", "v2") == Counts(90)


def test_another_run_of_the_gateway_ends_a_run() -> None:
    told = document(
        *(generation(f"g{i}", 100 * i) | {"splits": {"iris": {"run": i // 2}}} for i in (1, 2, 3))
    )

    assert names(told) == ["g2", "g3"]


def test_where_users_stick_the_buckets_are_the_draws_and_gateways_are_not_added_up() -> None:
    one = generation("g1", 1000)
    one["splits"] = {"iris": {"run": 1, "sticky": {"seen": 3, "slots": 8}}}
    one["routes"]["iris"]["v1"]["buckets"] = 9000
    one["routes"]["iris"]["v2"]["buckets"] = 500

    (window,) = windows_of([document(one)], "iris", "v2")

    assert window.share == pytest.approx(500 / 9500)
    assert window.alone


def test_another_stable_ends_a_run() -> None:
    before = generation("g1", 1000, stable="v0")

    assert names(document(before, generation("g2", 1000))) == ["g2"]


def test_where_one_of_the_two_has_no_share_there_is_nothing_to_compare_with() -> None:
    assert names(document(generation("g1", 10_000))) == []


def test_a_route_or_version_that_is_not_there_has_no_windows() -> None:
    told = [document(generation("g1", 1000))]

    assert windows_of(told, "wine", "v2") == ()
    assert windows_of(told, "iris", "v9") == ()


def test_what_stable_did_before_the_run_is_the_past() -> None:
    told = [
        document(
            generation("g0", 1000, stable="v0"),
            generation("g1", 0),
            generation("g2", 0),
            generation("g3", 1000),
        )
    ]

    assert past_of(told, "iris", "v2") == Counts(180)
    assert past_of(told * 2, "iris", "v2") == Counts(360)


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
        windows_of([broken], "iris", "v2")


@pytest.mark.parametrize("key", ["weight", "assigned", "bad", "gone"])
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e3", "0.5", "-1", '"1"', "true", "null", "9" * 40]
)
def test_what_json_may_say_and_no_count_is_is_an_error(key: str, version: str, number: str) -> None:
    """Python's reader takes NaN and infinities, and a comparison with NaN is never true."""
    broken = document(generation("g1", 1000))
    broken["generations"][0]["routes"]["iris"][version][key] = json.loads(number)

    with pytest.raises(BadEvidence):
        windows_of([broken], "iris", "v2")
