"""Which of the 10,000 buckets belongs to which version, and which bucket a key falls into.

Rules that shape this file:

1. A bucket is ``xxh64(salt + ":" + key) % 10000`` for a sticky key and a uniform draw otherwise.
Both
   use the same lanes, so a share is the same whichever way a request is assigned.
2. The lanes are a function of the weights alone: no state, so every process, every replica and
every
   restart agrees.
3. Growing a candidate only takes buckets from stable; shrinking only gives them back. With one or
two
   candidates no change of one ever moves a user of the other: the first grows from the bottom of
   the bucket space, the second from the top, and they cannot meet before the weights add up to 100
   %.
4. With three or more this cannot hold for *every* set of weights without memory: lanes that may
each
   grow to 100 % and never meet would have to grow in pairwise opposite directions, and there are
   only two. So each further candidate has a home of its own (middle, quarters, eighths ...);
   nobody is moved while all fit their homes, and what does not fit takes free buckets beyond.

Adjoining ranges (``x < w1, x < w1 + w2``), as nginx's split_clients lays them, move other
candidates' users whenever an earlier weight changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from xxhash import xxh64_intdigest

BUCKETS: Final = 10_000
STABLE: Final = 0  # the lane number of stable; candidate number i (from 0) has lane i + 1
SLOTS: Final = 2**20  # of a split, in which the users it has seen are marked


def bucket_of(salt: bytes, key: bytes) -> int:
    """The bucket, 0 to 9,999, of a sticky key. Vectors are published in the tests."""
    return xxh64_intdigest(salt + b":" + key) % BUCKETS


def place_of(salt: bytes, key: bytes) -> tuple[int, int]:
    """The bucket of a sticky key, and the slot in which it is marked as seen.

    Both are parts of one hash of 64 bits, remainder and quotient, and so independent of one another
    (up to 2**-30). Keys that share a slot are taken for one, and only the first of them is a draw:
    that loses evidence, and cannot bend it, since whether a key is left out says nothing of its
    bucket.
    """
    digest = xxh64_intdigest(salt + b":" + key)
    return digest % BUCKETS, digest // BUCKETS % SLOTS


def lanes_of(weights: Sequence[int]) -> bytes:
    """The lane number of each of the 10,000 buckets.

    ``weights`` are the candidates' basis points in the order of the file (sum at most 10,000; at
    most 254 candidates); lane 0 is stable's, lane ``i + 1`` that of candidate ``i``.
    """
    lanes = bytearray(BUCKETS)
    homes = [_home(rank) for rank in range(len(weights))]
    borders = sorted({0, BUCKETS, *(start for start, _ in homes)})
    overflow: list[int] = []
    for rank, (weight, (start, upwards)) in enumerate(zip(weights, homes, strict=True)):
        low, high = _gap(borders, start, upwards)
        free = lanes.count(STABLE, low, high)
        size = min(weight, free)
        # The opposite end of a home may already be taken by the neighbour that grows towards us, so
        # the free part is one run that begins at our own start.
        first = start if upwards else start - size
        lanes[first : first + size] = bytes([rank + 1]) * size
        overflow.append(weight - size)
    for rank, rest in enumerate(overflow):
        _spill(lanes, rank + 1, rest, *homes[rank])
    return bytes(lanes)


def _home(rank: int) -> tuple[int, bool]:
    """Where a candidate's lane starts and whether it grows upwards: 0 up, 10000 down, then from the
    middle, the quarters, the eighths ... (van der Corput's sequence) up and down in turn. A home
    does not depend on how many candidates there are, so a new last version moves nobody.
    """
    upwards = rank % 2 == 0
    pair = rank // 2
    if pair == 0:
        return (0 if upwards else BUCKETS), upwards
    position, denominator = 0, 1
    while pair:
        denominator *= 2
        position = position * 2 + pair % 2
        pair //= 2
    return BUCKETS * position // denominator, upwards


def _gap(borders: list[int], start: int, upwards: bool) -> tuple[int, int]:
    """The buckets between a home's start and the next border in its direction."""
    index = borders.index(start)
    if upwards:
        return start, borders[index + 1]
    return borders[index - 1], start


def _spill(lanes: bytearray, lane: int, rest: int, start: int, upwards: bool) -> None:
    """Take ``rest`` more free buckets, onwards in the lane's direction and then around."""
    position = start
    while rest:
        position = lanes.find(STABLE, position) if upwards else lanes.rfind(STABLE, 0, position)
        if position < 0:
            position = 0 if upwards else BUCKETS
            continue
        lanes[position] = lane
        rest -= 1
