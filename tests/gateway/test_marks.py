"""The memory in which users are marked: shared by a group, kept for as long as a split is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Sticky
from gateway.routing.marks import Marks, SharedMarks, attach
from gateway.routing.run import Run, follow
from gateway.routing.split import BUCKETS, SLOTS, lanes_of
from tests.builders import make_route, make_sticky


def run_of(serial: int, weight: int = 10, before: Run | None = None, **rules: Any) -> Run:
    route = make_route({"v1": "http://a:1", "v2": ("http://a:1", weight)}, **rules)
    return follow(before, route, lanes_of([weight * 100]), serial)


def sticking(serial: int, weight: int = 10, before: Run | None = None) -> Run:
    sticky: Sticky = make_sticky()
    return run_of(serial, weight, before, sticky=sticky)


@pytest.fixture(params=[Marks, SharedMarks])
def marks(request: pytest.FixtureRequest) -> Iterator[Marks]:
    made = request.param()
    if isinstance(made, SharedMarks):
        with closing(made):
            yield made
    else:
        yield made


def test_only_routes_whose_users_stick_have_slots(marks: Marks) -> None:
    assert marks.allot({"iris": run_of(1), "other": sticking(1)}).keys() == {"other"}


def test_a_split_keeps_its_slots_and_another_one_begins_with_none(marks: Marks) -> None:
    first = sticking(1)
    slots = marks.allot({"iris": first})["iris"]
    slots.cells[7] = 1
    same = marks.allot({"iris": first})["iris"]
    second = sticking(3, 20, first)
    other = marks.allot({"iris": second})["iris"]

    assert same is slots
    assert (len(other.cells), other.seen, slots.seen) == (SLOTS, 0, 1)


def test_of_a_split_that_is_over_the_number_stays(marks: Marks) -> None:
    first = sticking(1)
    second = sticking(2, 20, first)
    slots = marks.allot({"iris": first})["iris"]
    slots.cells[7] = slots.cells[SLOTS - 1] = 1
    marks.allot({"iris": second})
    marks.release({"iris": second})

    assert slots.seen == 2
    with pytest.raises(ValueError, match="another split"):
        _ = slots.cells


def test_members_mark_in_the_same_slots_and_know_what_is_spent() -> None:
    first = sticking(1)
    second = sticking(2, 20, first)
    with closing(SharedMarks()) as marks:
        marks.allot({"a": first})
        slots = marks.allot({"a": second, "b": first})
        regions = [one.region for one in slots.values()]
        [(a, spent_a), (b, spent_b)] = attach(marks.descriptor, regions)
        [(again, _), _] = attach(marks.descriptor, regions)
        a[5] = 1

        assert again[5] == 1
        assert (slots["a"].seen, slots["b"].seen, b[5]) == (1, 0, 0)
        assert (spent_a, spent_b) == (second.spent, first.spent)
        assert (spent_a.count(1), len(spent_a), len(a)) == (1000, BUCKETS, SLOTS)


def test_memory_of_splits_that_are_over_is_used_again_and_is_clean() -> None:
    runs = [sticking(1)]
    with closing(SharedMarks()) as marks:
        for serial in range(2, 40):
            slots = marks.allot({"iris": runs[-1]})["iris"]
            marks.release({"iris": runs[-1]})

            assert slots.seen == 0
            assert slots.region < 2
            assert attach(marks.descriptor, [slots.region])[0][1] == runs[-1].spent
            slots.cells[serial] = 1
            runs.append(sticking(serial, serial, runs[-1]))


def test_many_routes_take_few_descriptors() -> None:
    runs = {f"route-{number}": sticking(1) for number in range(60)}
    with closing(SharedMarks()) as marks:
        before = len(os.listdir("/proc/self/fd"))
        slots = marks.allot(runs)

        assert len(os.listdir("/proc/self/fd")) - before < 10
        assert sorted(one.region for one in slots.values()) == list(range(60))
        attached = attach(marks.descriptor, [one.region for one in slots.values()])
        for number, (cells, _) in enumerate(attached):
            cells[number] = 1
        assert {one.seen for one in slots.values()} == {1}
        assert all(one.cells[number] for number, one in enumerate(slots.values()))


def test_without_sticking_users_there_is_nothing_to_attach() -> None:
    with closing(SharedMarks()) as marks:
        marks.allot({"iris": run_of(1)})

        assert attach(marks.descriptor, []) == []


@given(st.sets(st.integers(0, SLOTS - 1), max_size=50), st.integers(0, SLOTS))
def test_seen_is_the_number_of_marks(some: set[int], all_below: int) -> None:
    slots = Marks().allot({"iris": sticking(1)})["iris"]
    slots.cells[:all_below] = b"\1" * all_below
    for slot in some:
        slots.cells[slot] = 1

    assert slots.seen == all_below + sum(slot >= all_below for slot in some)
