"""How long to wait before what ended is started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.processes import companion, group
from gateway.processes.backoff import Backoff

USED = pytest.mark.parametrize("backoff", [group.SUCCESSION, companion.SUCCESSION])


def pauses(backoff: Backoff, number: int) -> list[float]:
    """Of one that dies at once each time."""
    found = [backoff.after(0.1, 0.0)]
    while len(found) < number:
        found.append(backoff.after(0.1, found[-1]))
    return found


@USED
def test_who_lived_long_is_replaced_at_once_and_who_dies_young_ever_later(backoff: Backoff) -> None:
    found = pauses(backoff, 10)

    assert backoff.after(backoff.steady, backoff.longest) == 0
    assert found[:3] == [backoff.first, 2 * backoff.first, 4 * backoff.first]
    assert found[-1] == backoff.longest


def test_a_companion_is_waited_for_a_second_first_and_a_minute_at_most() -> None:
    assert pauses(companion.SUCCESSION, 8) == [1, 2, 4, 8, 16, 32, 60, 60]


@USED
@given(lived=st.floats(0, 1e6), part=st.floats(0, 1))
def test_a_pause_is_never_endless(backoff: Backoff, lived: float, part: float) -> None:
    assert 0 <= backoff.after(lived, part * backoff.longest) <= backoff.longest
