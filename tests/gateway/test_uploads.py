"""Who is turned away for bodies that are not whole, by numbers alone."""

from __future__ import annotations

from gateway.clients.uploads import LIMIT, PIECE, Uploads
from gateway.errors import Refusal

MEBIBYTE = 1024 * 1024


class Sender:
    """Notes how it was turned away."""

    def __init__(self) -> None:
        self.refused: list[Refusal] = []

    def turn_away(self, refusal: Refusal) -> None:
        self.refused.append(refusal)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_limit_is_128_mebibytes() -> None:
    assert Uploads(Clock()).limit == LIMIT == 128 * MEBIBYTE


def test_the_largest_and_slowest_make_room() -> None:
    clock = Clock()
    uploads = Uploads(clock, limit=1000)
    slow, small, quick = Sender(), Sender(), Sender()
    uploads.hold(slow, 400, 0)
    uploads.hold(small, 100, 0)
    clock.now = 5.0
    uploads.hold(quick, 600, 0)

    (refusal,) = slow.refused
    assert (refusal.status, refusal.reason) == (503, "shed")
    assert small.refused == quick.refused == []
    assert len(uploads) == 2


def test_an_eighth_is_free_again_so_that_the_next_one_finds_room() -> None:
    uploads = Uploads(Clock(), limit=800)
    crowd = [Sender() for _ in range(81)]
    for one in crowd:
        uploads.hold(one, 10, 0)

    assert sum(len(one.refused) for one in crowd) == 11


def test_a_body_counts_once_and_not_when_it_is_whole() -> None:
    uploads, one, other = Uploads(Clock(), limit=1000), Sender(), Sender()
    for size in range(0, 1000, 100):
        uploads.hold(one, size, 0)
    uploads.discard(one)
    uploads.discard(one)
    uploads.hold(other, 1000, 0)

    assert one.refused == other.refused == []
    assert len(uploads) == 1


def test_many_small_pieces_count_as_what_they_take() -> None:
    uploads, one = Uploads(Clock(), limit=100 * PIECE), Sender()
    uploads.hold(one, 200, 100)

    assert len(one.refused) == 1
