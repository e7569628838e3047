"""Who is cut for taking answers slowly, by numbers alone."""

from __future__ import annotations

from random import Random

import pytest

from gateway.workers.backlog import LIMIT, STALL_TIMEOUT, TOTAL_TIMEOUT, Backlog

MEBIBYTE = 1024 * 1024


class Taker:
    """A client with so many bytes before it."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.given_up = False

    def behind(self) -> int:
        return self.left

    def give_up(self) -> None:
        assert not self.given_up
        self.given_up = True


def test_the_limit_is_144_mebibytes() -> None:
    assert Backlog().limit == LIMIT == 144 * MEBIBYTE


def test_a_client_that_takes_nothing_is_cut() -> None:
    backlog, taker = Backlog(), Taker(100)
    backlog.add(taker, 0.0)
    backlog.sweep(STALL_TIMEOUT)
    assert not taker.given_up

    backlog.sweep(STALL_TIMEOUT + 1)

    assert taker.given_up
    assert len(backlog) == 0


def test_a_client_that_takes_something_each_time_is_cut_when_its_whole_time_is_over() -> None:
    backlog, taker = Backlog(), Taker(10_000)
    backlog.add(taker, 0.0)
    for second in range(1, int(TOTAL_TIMEOUT) + 1):
        taker.left -= 1
        backlog.sweep(second)
        assert not taker.given_up
    backlog.sweep(TOTAL_TIMEOUT + 1)

    assert taker.given_up


def test_a_client_that_has_caught_up_is_forgotten() -> None:
    backlog, taker = Backlog(limit=1000), Taker(900)
    backlog.add(taker, 0.0)
    backlog.discard(taker)
    backlog.discard(taker)
    other = Taker(900)
    backlog.add(other, 1.0)
    backlog.sweep(20.0)

    assert not taker.given_up
    assert not other.given_up
    assert len(backlog) == 1


def test_beyond_the_limit_the_largest_and_slowest_go_first() -> None:
    backlog = Backlog(limit=1000)
    small, large, recent = Taker(100), Taker(600), Taker(300)
    backlog.add(small, 0.0)
    backlog.add(large, 0.0)
    backlog.add(recent, 10.0)
    assert not large.given_up

    backlog.add(Taker(300), 20.0)

    assert [one.given_up for one in (small, large, recent)] == [False, True, False]


def test_an_answer_is_held_whole_until_the_last_of_it_is_taken() -> None:
    backlog = Backlog(limit=1000)
    first, second = Taker(900), Taker(900)
    backlog.add(first, 0.0)
    first.left = 50
    backlog.add(second, 1.0)

    assert first.given_up
    assert not second.given_up


def test_looking_for_room_gives_nobody_more_time() -> None:
    backlog = Backlog(limit=1000)
    idle = Taker(50)
    backlog.add(idle, 0.0)
    backlog.add(Taker(2000), STALL_TIMEOUT - 1)
    backlog.sweep(STALL_TIMEOUT + 1)

    assert idle.given_up


def test_one_that_is_blocked_again_begins_anew() -> None:
    backlog, taker = Backlog(), Taker(100)
    backlog.add(taker, 0.0)
    backlog.add(taker, STALL_TIMEOUT)
    backlog.sweep(STALL_TIMEOUT + 1)

    assert not taker.given_up
    assert len(backlog) == 1


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_sum_is_kept_and_never_over_the_limit(seed: int) -> None:
    rng = Random(seed)
    backlog = Backlog(limit=5000)
    here: list[Taker] = []
    for step in range(2000):
        now = step * 0.5
        if rng.random() < 0.5:
            here.append(Taker(rng.randrange(1, 2000)))
            backlog.add(here[-1], now)
        elif here:
            one = rng.choice(here)
            one.left = rng.randrange(one.left + 1)
            if one.left == 0:
                backlog.discard(one)
        backlog.sweep(now)
        here = [one for one in here if one.left and not one.given_up]

        assert len(backlog) == len(here)
        assert sum(one.left for one in here) <= backlog._total <= 5000


def test_who_is_cut_takes_memory_until_it_is_gone() -> None:
    backlog, told = Backlog(limit=1000), []
    backlog.on_gone = lambda: told.append(backlog.going)
    first, second = Taker(800), Taker(900)
    backlog.add(first, 0.0)
    backlog.add(second, 1.0)
    backlog.add(Taker(1000), 2.0)
    assert first.given_up
    assert second.given_up
    assert backlog.going == 1700

    backlog.discard(first)
    assert (backlog.going, told) == (900, [])
    backlog.discard(second)
    backlog.discard(second)

    assert (backlog.going, told) == (0, [0])
