"""Who gets how much, from the file to the decision: exact where it can be, else within chance.

Draws are made from seeds, so each test says the same each time. ``split`` has the lanes themselves
(test_split.py); here the way through a compiled route is measured, overrides and stable included.
"""

from __future__ import annotations

from collections import Counter
from math import erfc, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import parse
from gateway.routing.compiled import CompiledRoute
from gateway.routing.table import compile_table

NOBODY = {b"host": b"models.example"}
DRAWS = 100_000
LEAST_P = 1e-4

TEXT = """\
routes:
  iris:
    stable: v1
    sticky: {{header: X-User-Id}}
    versions:
      v1: {{url: "http://127.0.0.1:1"}}
      v2: {{url: "http://127.0.0.1:2", weight: {0}}}
      v3: {{url: "http://127.0.0.1:3", weight: {1}}}
"""


def route_of(second: object, third: object = 0) -> CompiledRoute:
    return compile_table(parse(TEXT.format(second, third).encode())).routes[0]


def drawn(route: CompiledRoute, seed: int) -> Counter[str]:
    draw = Random(seed).random
    return Counter(route.assign(NOBODY, None, draw).version for _ in range(DRAWS))


def kept(route: CompiledRoute, users: int = DRAWS) -> list[str]:
    return [route.assign(NOBODY, b"user-%d" % i, never).version for i in range(users)]


def never() -> float:
    raise AssertionError("a sticky key needs no draw")


def p_value(seen: int, share: float, draws: int = DRAWS) -> float:
    """Of Pearson's chi-square test of one share and the rest: one degree of freedom."""
    expected = draws * share
    statistic = (seen - expected) ** 2 / expected + (expected - seen) ** 2 / (draws - expected)
    return erfc(sqrt(statistic / 2))


@pytest.mark.parametrize("percent", [10, 1, 50])
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_thousand_draws_are_split_as_chance_would(percent: float, seed: int) -> None:
    seen = drawn(route_of(percent), seed)

    assert seen.total() == DRAWS
    assert p_value(seen["v2"], percent / 100) > LEAST_P


@pytest.mark.parametrize("percent", [10, 1, 50])
def test_a_hundred_thousand_users_are_split_as_chance_would(percent: float) -> None:
    assert p_value(kept(route_of(percent)).count("v2"), percent / 100) > LEAST_P


def test_three_shares_are_split_as_chance_would() -> None:
    seen = drawn(route_of(12.5, 0.5), 5)

    for version, share in (("v1", 0.87), ("v2", 0.125), ("v3", 0.005)):
        assert p_value(seen[version], share) > LEAST_P


def test_the_test_notices_a_share_that_is_off_by_a_tenth() -> None:
    for percent, wrong in ((10, 11), (50, 55), (1, 1.5)):
        assert p_value(drawn(route_of(wrong), 1)["v2"], percent / 100) < LEAST_P


@pytest.mark.parametrize(("second", "expected"), [(0, {"v1"}), (100, {"v2"})])
def test_nothing_and_everything_are_exact(second: int, expected: set[str]) -> None:
    route = route_of(second)

    assert set(drawn(route, 1)) == set(kept(route)) == expected


@given(
    st.tuples(st.integers(0, 5000), st.integers(0, 5000)),
    st.tuples(st.integers(0, 5000), st.integers(0, 5000)),
    st.sets(st.binary(min_size=1, max_size=40), max_size=200),
)
def test_whoever_is_moved_is_moved_because_the_file_says_so(
    before: tuple[int, int], after: tuple[int, int], keys: set[bytes]
) -> None:
    """A candidate that grows loses nobody, and one that shrinks gets nobody; and what the former
    weights said is restored with them.
    """
    old, new, again = (
        route_of(*[f"{w / 100:.2f}" for w in pair]) for pair in (before, after, before)
    )
    for key in keys:
        was = old.assign(NOBODY, key, never).version
        now = new.assign(NOBODY, key, never).version

        assert again.assign(NOBODY, key, never).version == was
        for version, weights in (("v2", (before[0], after[0])), ("v3", (before[1], after[1]))):
            if was == version != now:
                assert weights[1] < weights[0]
            if now == version != was:
                assert weights[1] > weights[0]


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=8, unique=True))
def test_each_user_comes_and_goes_at_one_weight(weights: list[int]) -> None:
    """Along a ramp a user has one threshold: below it stable answers, from it on the candidate."""
    weights.sort()
    homes = [kept(route_of(f"{weight / 100:.2f}"), 200) for weight in weights]
    for user in zip(*homes, strict=True):
        assert list(user) == sorted(user)
