"""Buckets and lanes: who belongs where, and who is moved when a weight changes."""

from __future__ import annotations

import json
import subprocess
import sys
from math import exp, lgamma, log
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64

from gateway.routing.split import BUCKETS, STABLE, bucket_of, lanes_of

VECTORS = json.loads((Path(__file__).parent / "split_vectors.json").read_text())
KEYS = tuple(b"user-%d" % i for i in range(100_000))


@st.composite
def weights(draw: st.DrawFn, least: int = 1, most: int = 12) -> tuple[int, ...]:
    """Basis points of some candidates that leave stable what is left, often nothing."""
    count = draw(st.integers(least, most))
    cuts = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=count, max_size=count)))
    sizes = [after - before for before, after in zip([0, *cuts], cuts, strict=False)]
    return tuple(draw(st.permutations(sizes)))


@st.composite
def one_change(draw: st.DrawFn, most: int = 2) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Weights, the same with one candidate's weight changed, and which one it is."""
    before = draw(weights(most=most))
    which = draw(st.integers(0, len(before) - 1))
    room = BUCKETS - sum(before) + before[which]
    after = (*before[:which], draw(st.integers(0, room)), *before[which + 1 :])
    return before, after, which


def moves(before: bytes, after: bytes) -> set[tuple[int, int]]:
    """From which lane to which other one buckets went."""
    return {(old, new) for old, new in zip(before, after, strict=True) if old != new}


def band(draws: int, share: float, confidence: float = 0.999) -> tuple[int, int]:
    """The central band of a binomial count, exactly."""
    tail = (1 - confidence) / 2
    low, high, below = 0, draws, 0.0
    for hits in range(draws + 1):
        ways = lgamma(draws + 1) - lgamma(hits + 1) - lgamma(draws - hits + 1)
        below += exp(ways + hits * log(share) + (draws - hits) * log(1 - share))
        if below <= tail:
            low = hits + 1
        if below >= 1 - tail:
            high = hits
            break
    return low, high


def reference_xxh64(data: bytes) -> int:
    """XXH64 with seed 0 as its specification writes it; nobody's library."""
    primes = (
        *(0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9),
        *(0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5),
    )
    p1, p2, p3, p4, p5 = primes
    mask = (1 << 64) - 1

    def left(value: int, by: int) -> int:
        return (value << by | value >> (64 - by)) & mask

    def lane(accumulator: int, word: int) -> int:
        return left((accumulator + word * p2) & mask, 31) * p1 & mask

    rest = data
    if len(data) >= 32:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while len(rest) >= 32:
            words = [int.from_bytes(rest[i : i + 8], "little") for i in (0, 8, 16, 24)]
            lanes = [lane(a, word) for a, word in zip(lanes, words, strict=True)]
            rest = rest[32:]
        total = sum(left(a, by) for a, by in zip(lanes, (1, 7, 12, 18), strict=True)) & mask
        for a in lanes:
            total = ((total ^ lane(0, a)) * p1 + p4) & mask
    else:
        total = p5
    total = (total + len(data)) & mask
    while len(rest) >= 8:
        total = (left(total ^ lane(0, int.from_bytes(rest[:8], "little")), 27) * p1 + p4) & mask
        rest = rest[8:]
    if len(rest) >= 4:
        word = int.from_bytes(rest[:4], "little")
        total = (left(total ^ (word * p1 & mask), 23) * p2 + p3) & mask
        rest = rest[4:]
    for byte in rest:
        total = left(total ^ (byte * p5 & mask), 11) * p1 & mask
    total = (total ^ total >> 33) * p2 & mask
    total = (total ^ total >> 29) * p3 & mask
    return total ^ total >> 32


# --- buckets


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: f"{vector['salt']}:{vector['key']:.12}"
)
def test_the_published_vectors_hold(vector: dict[str, str | int]) -> None:
    salt, key = str(vector["salt"]).encode(), str(vector["key"]).encode()

    assert bucket_of(salt, key) == vector["bucket"]
    assert xxh64(salt + b":" + key).intdigest() % 10_000 == vector["bucket"]
    assert reference_xxh64(salt + b":" + key) % 10_000 == vector["bucket"]


def test_the_vectors_cover_what_other_implementations_get_wrong() -> None:
    keys = [vector["key"] for vector in VECTORS]

    assert "" in keys
    assert any(not key.isascii() for key in keys)
    assert max(len(key.encode()) for key in keys) >= 1000
    assert {len(f"{vector['salt']}:{vector['key']}".encode()) for vector in VECTORS} >= {31, 32, 33}


def test_the_same_key_has_the_same_bucket_in_another_process() -> None:
    program = (
        "import sys; from gateway.routing.split import bucket_of, lanes_of\n"
        "print([bucket_of(b'iris', b'user-%d' % i) for i in range(1000)])\n"
        "print(lanes_of((1234, 777, 5)).hex())"
    )
    buckets, lanes = subprocess.check_output(
        [sys.executable, "-c", program], text=True, env={"PYTHONHASHSEED": "77"}
    ).splitlines()

    assert buckets == str([bucket_of(b"iris", key) for key in KEYS[:1000]])
    assert lanes == lanes_of((1234, 777, 5)).hex()


def test_a_new_salt_shuffles_the_keys_anew() -> None:
    candidates = {
        salt: {key for key in KEYS[:20_000] if bucket_of(salt, key) < BUCKETS // 10}
        for salt in (b"iris", b"iris-2")
    }
    both = len(candidates[b"iris"] & candidates[b"iris-2"])
    low, high = band(20_000, 0.01)

    assert low <= both <= high


# --- lanes


@given(weights())
def test_every_lane_has_exactly_its_weight(sizes: tuple[int, ...]) -> None:
    lanes = lanes_of(sizes)

    assert len(lanes) == BUCKETS
    assert [lanes.count(rank + 1) for rank in range(len(sizes))] == list(sizes)
    assert lanes.count(STABLE) == BUCKETS - sum(sizes)


def test_as_many_candidates_as_there_can_be_have_their_weights() -> None:
    lanes = lanes_of([39] * 254)

    assert {lanes.count(rank + 1) for rank in range(254)} == {39}


def test_without_candidates_all_is_stable() -> None:
    assert lanes_of([]) == bytes(BUCKETS)


@given(one_change(most=2))
def test_one_or_two_candidates_take_only_from_stable_and_give_only_back(
    change: tuple[tuple[int, ...], tuple[int, ...], int],
) -> None:
    before, after, which = change
    seen = moves(lanes_of(before), lanes_of(after))

    if after[which] > before[which]:
        assert seen == {(STABLE, which + 1)}
    elif after[which] < before[which]:
        assert seen == {(which + 1, STABLE)}
    else:
        assert seen == set()


@given(weights(least=2, most=2), weights(least=2, most=2))
def test_two_candidates_never_exchange_users_whatever_both_become(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    # Both change at once: the only way to do without is to go through stable.
    between = tuple(min(pair) for pair in zip(before, after, strict=True))
    seen = moves(lanes_of(before), lanes_of(between)) | moves(lanes_of(between), lanes_of(after))

    assert seen <= {(STABLE, 1), (STABLE, 2), (1, STABLE), (2, STABLE)}


@given(
    st.integers(0, 5000),
    st.integers(0, 5000).flatmap(
        lambda second: st.tuples(st.just(second), st.integers(0, 5000 - second))
    ),
    st.integers(0, 2),
    st.data(),
)
def test_three_move_nobody_elses_users_while_all_fit_their_homes(
    first: int, others: tuple[int, int], which: int, data: st.DataObject
) -> None:
    """The first has one half to grow in; the other two share the second half from its ends."""
    before = [first, *others]
    room = 5000 if which == 0 else 5000 - before[3 - which]
    after = list(before)
    after[which] = data.draw(st.integers(0, room))
    seen = moves(lanes_of(before), lanes_of(after))

    assert seen <= {(STABLE, which + 1), (which + 1, STABLE)}
    assert len(seen) <= 1


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_each_of_several_candidates_may_grow_to_its_share_of_the_homes(count: int) -> None:
    # With n candidates every home has at least 10000 / n' buckets, n' the next power of two.
    room = BUCKETS // {3: 4, 4: 4, 5: 8, 8: 8}[count]
    sizes = [0] * count
    lanes = lanes_of(sizes)
    for rank in Random(7).choices(range(count), k=60):
        sizes[rank] = Random(rank).randint(0, room)
        changed = lanes_of(sizes)

        assert moves(lanes, changed) <= {(STABLE, rank + 1), (rank + 1, STABLE)}
        lanes = changed


@given(weights(most=2))
def test_a_new_last_candidate_moves_nobody_as_long_as_it_has_no_weight(
    sizes: tuple[int, ...],
) -> None:
    assert lanes_of((*sizes, 0)) == lanes_of(sizes)


@given(weights(most=11))
def test_nor_does_it_among_many_that_fit_their_homes(sizes: tuple[int, ...]) -> None:
    fitting = [weight // 16 for weight in sizes]

    assert lanes_of((*fitting, 0)) == lanes_of(fitting)


@given(one_change(most=12))
def test_whatever_does_not_fit_still_has_its_exact_weight_and_the_same_lanes_each_time(
    change: tuple[tuple[int, ...], tuple[int, ...], int],
) -> None:
    before, after, _ = change

    assert lanes_of(after).count(STABLE) == BUCKETS - sum(after)
    assert lanes_of(before) == lanes_of(list(before))


# --- users


def test_a_ramp_moves_not_one_user_back() -> None:
    buckets = [bucket_of(b"iris", key) for key in KEYS]
    before: set[int] = set()
    for percent in (1, 5, 20, 50, 100):
        lanes = lanes_of((percent * 100,))
        now = {user for user, bucket in enumerate(buckets) if lanes[bucket]}

        assert before <= now
        before = now

    assert len(before) == len(KEYS)


def test_a_rollback_gives_every_user_back_its_former_version() -> None:
    before, during, after = lanes_of((500, 0)), lanes_of((500, 4000)), lanes_of((500, 0))

    assert before == after
    assert moves(before, during) == {(STABLE, 2)}


@pytest.mark.parametrize("percent", [0.01, 1, 10, 50])
def test_shares_of_sticky_users_are_within_chance(percent: float) -> None:
    lanes = lanes_of((round(percent * 100),))
    seen = sum(lanes[bucket_of(b"iris", key)] for key in KEYS)
    low, high = band(len(KEYS), percent / 100)

    assert low <= seen <= high


@pytest.mark.parametrize("percent", [0.01, 1, 10, 50])
def test_shares_of_draws_are_within_chance(percent: float) -> None:
    lanes, draw = lanes_of((round(percent * 100),)), Random(20261121).random
    seen = sum(lanes[int(draw() * BUCKETS)] for _ in range(100_000))
    low, high = band(100_000, percent / 100)

    assert low <= seen <= high


def test_nothing_and_everything_are_exact() -> None:
    draw = Random(1).random
    buckets = [bucket_of(b"iris", key) for key in KEYS]
    buckets += [int(draw() * BUCKETS) for _ in range(100_000)]

    nobody, everybody = lanes_of((0,)), lanes_of((BUCKETS,))

    assert not any(nobody[bucket] for bucket in buckets)
    assert all(everybody[bucket] for bucket in buckets)
