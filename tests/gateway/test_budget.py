"""How many requests may be under way for the second time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.budget import FLOOR, SHARE, Retry, RetryBudget, most_retries


def test_a_few_may_always_be_sent_once_more() -> None:
    budget = RetryBudget()
    held = [budget.grant(1) for _ in range(FLOOR)]

    assert all(held)
    assert budget.grant(1) is None


def test_of_many_a_fifth_may() -> None:
    budget = RetryBudget()
    held = [budget.grant(1000) for _ in range(200)]

    assert all(held)
    assert budget.grant(1000) is None
    assert budget.grant(1005) is not None


def test_what_has_ended_makes_room() -> None:
    budget = RetryBudget()
    held = [budget.grant(1) for _ in range(FLOOR)]
    assert budget.grant(1) is None

    held.pop()

    assert budget.grant(1) is not None


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=200))
def test_never_more_than_the_share_or_the_floor(steps: list[tuple[int, bool]]) -> None:
    budget, held = RetryBudget(), list[Retry]()
    for running, ends in steps:
        if ends and held:
            held.pop(0)
        retry = budget.grant(running)
        if retry is None:
            assert len(held) >= most_retries(running)
        else:
            held.append(retry)
            assert len(held) <= max(FLOOR, SHARE * running)
