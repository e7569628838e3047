"""What nobody saw was not watched."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitoring.rollout.watch import MOST_PER_LOOK, Watch
from tests.builders import make_route

ONE = Watch("v1", 1000, ("http://127.0.0.1:8102",))


def test_it_begins_with_what_the_file_says() -> None:
    assert Watch.begun(make_route(), "v2") == ONE


def test_time_between_looks_adds_up_at_one_weight() -> None:
    watch = ONE.after(ONE, 1.0).after(ONE, 1.5)

    assert watch.seconds == 2.5
    assert watch.after(replace(ONE, weight=2000), 1.0) == replace(ONE, weight=2000)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_a_look_adds_no_more_than_a_look_can_see_and_takes_nothing_away(
    gaps: list[float],
) -> None:
    watch = ONE
    for gap in gaps:
        before, watch = watch.seconds, watch.after(ONE, gap)

        assert before <= watch.seconds <= before + MOST_PER_LOOK


def test_another_stable_or_a_new_address_is_another_trial() -> None:
    two = replace(ONE, addresses=("http://a:1", "http://b:1"))

    assert ONE.is_same_trial(replace(ONE, weight=5000))
    assert two.is_same_trial(replace(two, addresses=("http://b:1",)))
    assert not two.is_same_trial(replace(two, addresses=("http://b:1", "http://c:1")))
    assert not ONE.is_same_trial(replace(ONE, stable="v0"))


def test_it_is_written_down_and_read_back() -> None:
    watch = replace(ONE, seconds=12.5)

    assert Watch.loaded(json.loads(json.dumps(watch.dumped()))) == watch
