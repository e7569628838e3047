"""Who is read from when large answers take too much memory, by numbers alone."""

from __future__ import annotations

from random import Random

from gateway.workers.backlog import Backlog
from gateway.workers.gathering import LIMIT, Gathering

KIBIBYTE = 1024
PIECE = 256 * KIBIBYTE


class Reader:
    """A connection that gathers an answer."""

    def __init__(self) -> None:
        self.paused = False
        self.size = 0

    def pause(self, paused: bool) -> None:
        assert self.paused is not paused
        self.paused = paused


class Slow:
    """A client with a whole answer before it."""

    def behind(self) -> int:
        return 8 * KIBIBYTE * KIBIBYTE

    def give_up(self) -> None:
        pass


def test_the_limit_is_32_mebibytes() -> None:
    assert Gathering(Backlog()).room == LIMIT == 32 * KIBIBYTE * KIBIBYTE


def test_beyond_the_limit_only_the_oldest_goes_on() -> None:
    gathering, first, second = Gathering(Backlog(), limit=1000), Reader(), Reader()
    gathering.grow("v1", first, 900)
    gathering.grow("v1", second, 300)
    gathering.grow("v1", first, 2000)

    assert second.paused
    assert not first.paused

    gathering.discard("v1", first)
    assert not second.paused


def test_an_endpoint_that_has_stopped_holds_up_nobody_else() -> None:
    gathering, stopped, healthy = Gathering(Backlog(), limit=1000), Reader(), Reader()
    gathering.grow("v2", stopped, 5000)
    gathering.grow("v1", healthy, 300)
    gathering.grow("v1", healthy, 600)

    assert not healthy.paused


def test_nobody_goes_on_in_the_place_of_a_client_that_is_cut_but_not_gone() -> None:
    backlog, slow, reader = Backlog(limit=1), Slow(), Reader()
    gathering = Gathering(backlog, limit=1000)
    backlog.add(slow, 0.0)
    gathering.grow("v1", reader, 300)
    assert reader.paused

    backlog.discard(slow)
    assert not reader.paused


def test_who_goes_on_is_counted_before_it_has_read() -> None:
    gathering = Gathering(Backlog(), limit=4 * PIECE)
    large, others = Reader(), [Reader() for _ in range(20)]
    gathering.grow("v1", large, 4 * PIECE)
    for one in others:
        gathering.grow("v1", one, 10)
    assert all(one.paused for one in others)

    gathering.discard("v1", large)
    assert sum(not one.paused for one in others) == 3
    assert 0 <= gathering.room < PIECE


def test_every_answer_becomes_whole_and_little_more_than_the_limit_is_held() -> None:
    draw = Random(3)
    gathering = Gathering(Backlog(), limit=10 * PIECE)
    wanted = {Reader(): draw.randrange(1, 30) * PIECE for _ in range(60)}
    owners = {one: draw.randrange(3) for one in wanted}
    most = 0
    for one in wanted:  # each is read from once before it can be told to wait
        one.size = PIECE
        gathering.grow(owners[one], one, one.size)
    begun = sum(one.size for one in wanted)
    while wanted:
        going_on = [one for one in wanted if not one.paused]
        assert going_on
        one = draw.choice(going_on)
        one.size += PIECE
        if one.size >= wanted[one]:
            del wanted[one]
            gathering.discard(owners[one], one)
        else:
            gathering.grow(owners[one], one, one.size)
        most = max(most, sum(one.size for one in wanted))

    assert most <= max(begun, gathering.limit) + 3 * 30 * PIECE
    assert gathering.room == gathering.limit
