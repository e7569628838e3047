"""When users that stick count again: on schedule, whatever comes of their requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Route
from gateway.routing.rounds import USUAL, Rounds, Schedule
from gateway.routing.run import Run, follow
from gateway.routing.split import lanes_of
from tests.builders import make_route, make_sticky


def run_of(before: Run | None = None, serial: int = 1, weight: float = 10, **rules: object) -> Run:
    rules = {"sticky": make_sticky()} | rules
    route: Route = make_route({"v1": "http://a:1", "v2": ("http://b:1", weight)}, **rules)
    return follow(before, route, lanes_of([one.weight for one in route.candidates]), serial)


def test_the_first_round_is_a_minute_and_each_ends_a_quarter_later() -> None:
    ends = [60.0, 75.0, 93.75, 117.1875, 146.484375]

    assert [USUAL.round_at(end - 0.001) for end in ends] == [0, 1, 2, 3, 4]
    assert [USUAL.round_at(end) for end in ends] == [1, 2, 3, 4, 5]


def test_no_round_is_longer_than_an_hour() -> None:
    begins = [0]
    for second in range(3 * 86_400):
        if USUAL.round_at(second) == len(begins):
            begins.append(second)
    lengths = [after - before for before, after in pairwise(begins)]

    assert max(lengths) == 3600
    assert lengths[-1] == 3600
    assert len([begin for begin in begins if begin < 86_400]) in range(40, 50)


@given(st.floats(0, 1e7), st.floats(0, 1e5), st.floats(1, 100), st.floats(1.01, 3))
def test_rounds_only_go_on(at: float, later: float, first: float, growth: float) -> None:
    schedule = Schedule(first, growth, 60 * first)

    assert 0 <= schedule.round_at(at) <= schedule.round_at(at + later)


def test_a_split_is_renewed_when_its_round_is_over_and_begins_when_it_is_first_seen() -> None:
    rounds, run = Rounds(USUAL), run_of()

    assert rounds.due({"iris": run}, 1000.0) == {}
    assert rounds.due({"iris": run}, 1059.9) == {}
    (due,) = rounds.due({"iris": run}, 1060.0).values()
    assert (due.split, due.repeat, due.spent) == (run.split, 1, run.spent)
    assert rounds.due({"iris": due}, 1060.0) == {}


def test_who_looks_late_misses_rounds_and_does_not_make_up_for_them() -> None:
    rounds, run = Rounds(USUAL), run_of()
    rounds.due({"iris": run}, 0.0)
    due = rounds.due({"iris": run}, 100.0)

    assert due["iris"].repeat == 3
    assert rounds.due(due, 101.0) == {}


def test_another_split_begins_with_its_first_round_and_another_file_goes_on() -> None:
    rounds, run = Rounds(USUAL), run_of()
    rounds.due({"iris": run}, 0.0)
    run = rounds.due({"iris": run}, 60.0)["iris"]
    same, step = run_of(run, 2, timeout=9.0), run_of(run, 3, weight=20)

    assert (same.repeat, step.repeat) == (1, 0)
    assert rounds.due({"iris": same}, 74.9) == {}
    assert rounds.due({"iris": same}, 75.0)["iris"].repeat == 2
    assert rounds.due({"iris": step}, 76.0) == {}
    assert rounds.due({"iris": step}, 136.0)["iris"].repeat == 1


@pytest.mark.parametrize("rules", [{"sticky": None}, {"weight": 0}])
def test_where_nobody_sticks_or_nobody_is_compared_nothing_is_renewed(rules: dict) -> None:  # type: ignore[type-arg]
    rounds, run = Rounds(USUAL), run_of(**rules)
    rounds.due({"iris": run}, 0.0)

    assert rounds.due({"iris": run}, 1e6) == {}
