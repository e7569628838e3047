"""Whom a split may count: each user once, its arm as good as drawn, whatever was before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Route, Sticky
from gateway.routing.compiled import CompiledRoute
from gateway.routing.run import NOTHING_SPENT, Run, follow
from gateway.routing.split import BUCKETS, SLOTS, lanes_of, place_of
from tests.builders import make_cookie, make_route, make_sticky

NOBODY: Mapping[bytes, bytes] = {}
BY_HEADER = make_sticky()
Weights = Mapping[str, int]


def route(weights: Weights, stable: str = "v1", sticky: Sticky | None = BY_HEADER) -> Route:
    """Weights are basis points."""
    urls = {name: ("http://a:1", weight / 100) for name, weight in weights.items()}
    return make_route({stable: "http://a:1", **urls}, sticky=sticky)


def ramp(*steps: Route) -> list[Run]:
    """Where the route stands after each of these files."""
    runs: list[Run] = []
    for serial, step in enumerate(steps, 1):
        lanes = lanes_of([version.weight for version in step.candidates])
        runs.append(follow(runs[-1] if runs else None, step, lanes, serial))
    return runs


# Three candidates with weights that change from file to file; 0 stops one.
weights_of_three = st.tuples(*[st.sampled_from([0, 0, 1, 500, 1000, 2500, 3300])] * 3).map(
    lambda given: dict(zip(("v2", "v3", "v4"), given, strict=True))
)
stories = st.lists(weights_of_three, min_size=1, max_size=8)


# --- when a run ends


@pytest.mark.parametrize(
    ("story", "numbers"),
    [
        ([{"v2": 100}, {"v2": 500}, {"v2": 5000}], [1, 1, 1]),
        ([{"v2": 100}, {"v2": 0}], [1, 1]),
        ([{"v2": 100}, {}], [1, 1]),
        ([{"v2": 100}, {"v2": 0}, {"v2": 100}], [1, 1, 3]),
        ([{"v2": 100}, {}, {"v2": 100}], [1, 1, 3]),
        ([{"v2": 500}, {"v2": 100}], [1, 2]),
        ([{"v2": 0}, {"v2": 100}], [1, 1]),
        ([{"v2": 100, "v3": 100}, {"v2": 500, "v3": 500}], [1, 1]),
        ([{"v2": 100, "v3": 100}, {"v2": 0, "v3": 500}, {"v2": 100, "v3": 900}], [1, 1, 3]),
    ],
)
def test_a_run_goes_on_while_candidates_only_gain_or_stop(
    story: list[Weights], numbers: list[int]
) -> None:
    assert [run.number for run in ramp(*map(route, story))] == numbers


@pytest.mark.parametrize(
    ("story", "numbers"),
    [
        ([{"v2": 500}, {"v3": 500}], [1, 2]),  # where v2 was
        ([{"v2": 500}, {"v3": 1000}], [1, 2]),
        ([{"v2": 500}, {"v2": 0, "v3": 500}], [1, 1]),  # from the top: nobody was there
        ([{"v2": 500, "v3": 500}, {"v2": 500, "v4": 500}], [1, 2]),
        ([{"v2": 500, "v3": 500}, {"v2": 500, "v3": 900}], [1, 2]),  # none would be v2's
        ([{"v2": 500}, {"v2": 500, "v3": 100}], [1, 2]),
        ([{"v2": 500}, {"v2": 600, "v3": 100}], [1, 1]),
    ],
)
def test_a_candidate_that_would_have_no_draws_begins_a_run(
    story: list[Weights], numbers: list[int]
) -> None:
    """Its buckets are spent, by another one or by its own earlier split: without a run in which
    they are not it would never be judged, however bad it is.
    """
    runs = ramp(*map(route, story))

    assert [run.number for run in runs] == numbers
    new = runs[-1].weights.keys() - runs[0].weights.keys()
    assert all(runs[-1].buckets[name] == runs[-1].weights[name] for name in new)


@pytest.mark.parametrize(
    "other",
    [
        route({"v2": 100}, stable="v0"),
        route({"v2": 100}, sticky=make_sticky(salt="pepper")),
        route({"v2": 100}, sticky=make_sticky("x-tenant")),
        route({"v2": 100}, sticky=make_cookie("x-user-id")),
        route({"v2": 100}, sticky=None),
    ],
)
def test_other_users_or_another_stable_are_another_run(other: Route) -> None:
    before, after = ramp(route({"v2": 100}), other)

    assert (before.number, after.number) == (1, 2)
    assert (after.split, after.spent) == (2, NOTHING_SPENT)


def test_what_does_not_touch_the_split_leaves_it_as_it_was() -> None:
    one = route({"v2": 100})
    before, after = ramp(one, replace(one, timeout=9.0, fallback=False))

    assert after is before


def at(addresses: Mapping[str, Sequence[str]], sticky: Sticky | None = BY_HEADER) -> Route:
    """Both candidates have a tenth."""
    urls = {"v2": "http://b:1", "v3": "http://c:1", **addresses}
    stable = urls.pop("v1", "http://a:1")
    candidates = {name: (url, 10) for name, url in urls.items()}
    return make_route({"v1": stable, **candidates}, sticky=sticky)


ONE, BOTH = {"v2": ["http://b:1"]}, {"v2": ["http://b:1", "http://b:2"]}


@pytest.mark.parametrize(
    ("story", "numbers"),
    [
        ([ONE, BOTH], [1, 2]),
        ([ONE, {"v2": "http://b:2"}], [1, 2]),
        ([BOTH, ONE], [1, 1]),
        ([BOTH, ONE, BOTH], [1, 1, 3]),  # what had left may be another model when it is back
        ([BOTH, {"v2": BOTH["v2"][::-1]}], [1, 1]),
        ([{"v1": "http://a:1"}, {"v1": ["http://a:1", "http://a:2"]}], [1, 1]),
    ],
)
def test_a_candidate_with_a_new_address_begins_a_run_where_users_stick(
    story: list[Mapping[str, Sequence[str]]], numbers: list[int]
) -> None:
    runs = ramp(*map(at, story))

    assert [run.number for run in runs] == numbers
    assert all(run.spent == NOTHING_SPENT for run in runs)


def test_where_nobody_sticks_a_new_address_of_one_candidate_does_not_touch_the_others() -> None:
    before, after = ramp(at(ONE, sticky=None), at(BOTH, sticky=None))

    assert (after.number, after.split) == (before.number, before.split)


def test_a_candidate_without_a_weight_may_get_any_address() -> None:
    def step(url: str) -> Route:
        return make_route(
            {"v1": "http://a:1", "v2": ("http://b:1", 10), "v3": url}, sticky=BY_HEADER
        )

    before, after = ramp(step("http://c:1"), step("http://c:2"))

    assert after is before


@given(stories)
def test_numbers_of_runs_and_splits_only_grow(story: list[Weights]) -> None:
    runs = ramp(*map(route, story))

    for before, after in pairwise(runs):
        assert before.number <= after.number <= after.split
        assert before.split <= after.split


@given(stories)
def test_every_candidate_has_draws_whatever_the_story(story: list[Weights]) -> None:
    for run in ramp(*map(route, story)):
        assert all(run.buckets[name] for name in run.weights)


# --- what is spent


@given(stories)
def test_spent_is_what_was_a_candidates_in_an_earlier_split_of_the_run(
    story: list[Weights],
) -> None:
    runs = ramp(*map(route, story))
    for at, run in enumerate(runs):
        earlier = [one for one in runs[:at] if one.number == run.number and one.split != run.split]
        expected = [any(one.lanes[bucket] for one in earlier) for bucket in range(BUCKETS)]

        assert [bool(flag) for flag in run.spent] == expected


@given(stories)
def test_buckets_are_those_of_a_version_that_are_not_spent(story: list[Weights]) -> None:
    steps = list(map(route, story))
    for step, run in zip(steps, ramp(*steps), strict=True):
        names = [step.stable, *(version.name for version in step.candidates)]
        left = Counter(
            names[lane] for lane, gone in zip(run.lanes, run.spent, strict=True) if not gone
        )

        assert {name: n for name, n in run.buckets.items() if n} == left
        assert run.buckets.keys() == set(names)


@given(stories)
def test_where_nobody_sticks_every_bucket_is_a_draw(story: list[Weights]) -> None:
    steps = [route(weights, sticky=None) for weights in story]
    for step, run in zip(steps, ramp(*steps), strict=True):
        assert run.spent == NOTHING_SPENT
        assert all(run.buckets[name] == step.weight(name) for name in run.buckets)


def test_where_nobody_sticks_a_smaller_share_is_no_end() -> None:
    runs = ramp(*(route(weights, sticky=None) for weights in ({"v2": 500}, {"v2": 100})))

    assert [run.number for run in runs] == [1, 1]


# --- the draw


@given(stories)
def test_given_that_a_user_was_stables_its_bucket_is_any_of_those_not_spent(
    story: list[Weights],
) -> None:
    """All there is to know of such a user: for every bucket, what it was given in each split. Those
    that a split counts, and nothing distinguishes but the bucket, all lie in buckets that were
    stable's all along, and all such buckets are counted.
    """
    runs = ramp(*map(route, story))
    for at, run in enumerate(runs):
        earlier = [one for one in runs[:at] if one.number == run.number and one.split != run.split]
        pasts = Counter(
            tuple(one.lanes[bucket] for one in earlier)
            for bucket in range(BUCKETS)
            if not run.spent[bucket]
        )

        assert pasts.keys() <= {(0,) * len(earlier)}  # one past, whichever the bucket
        assert pasts.total() == sum(run.buckets.values())


def evidence_of(steps: Sequence[Route], users: int) -> list[list[tuple[int, str]]]:
    """Per file, the users that count and what they were given; each comes twice."""
    found: list[list[tuple[int, str]]] = []
    marks: dict[int, bytearray] = {}
    for step, run in zip(steps, ramp(*steps), strict=True):
        compiled = CompiledRoute(step, 0)
        compiled.mark(marks.setdefault(run.split, bytearray(SLOTS)), run.spent)
        found.append([])
        for user in [*range(users), *range(users)]:
            decision = compiled.assign(NOBODY, b"user-%d" % user, lambda: 0.0)
            if decision.counts_as_evidence:
                found[-1].append((user, decision.version))
    return found


@given(stories)
def test_nobody_counts_twice_in_a_split_nor_after_having_been_a_candidates(
    story: list[Weights],
) -> None:
    steps = list(map(route, story))
    runs = ramp(*steps)
    found = evidence_of(steps, 60)
    by_split: dict[int, list[tuple[int, str]]] = {}
    for run, counted in zip(runs, found, strict=True):
        by_split.setdefault(run.split, []).extend(counted)
    for counted in by_split.values():
        users = [user for user, _ in counted]
        assert len(set(users)) == len(users)
    had: dict[int, set[int]] = {}  # users of candidates, by run
    splits = {run.split: run.number for run in runs}
    for split, counted in by_split.items():
        before = had.setdefault(splits[split], set())
        assert not before & {user for user, _ in counted}
        before |= {user for user, version in counted if version != "v1"}


@pytest.mark.parametrize("percent", [5, 20, 50])
def test_the_share_of_new_users_is_that_of_the_buckets_left(percent: int) -> None:
    """Users by the thousand through a ramp: of those counted, the candidate has as many as the
    served buckets say, up to six sigmas.
    """
    steps = [route({"v2": 100}), route({"v2": percent * 100})]
    _, run = ramp(*steps)
    _, counted = evidence_of(steps, 20_000)
    share = run.buckets["v2"] / (run.buckets["v2"] + run.buckets["v1"])
    number = sum(version == "v2" for _, version in counted)

    assert run.buckets["v2"] == percent * 100 - 100
    assert abs(number - share * len(counted)) < 6 * (len(counted) * share * (1 - share)) ** 0.5


@given(stories)
def test_without_a_key_the_chances_are_those_of_users(story: list[Weights]) -> None:
    """A draw for each bucket: the evidence is what the served buckets say."""
    steps = list(map(route, story))
    step, run = steps[-1], ramp(*steps)[-1]
    compiled = CompiledRoute(step, 0)
    compiled.mark(bytearray(SLOTS), run.spent)
    counted: Counter[str] = Counter()
    for bucket in range(BUCKETS):
        decision = compiled.assign(NOBODY, None, lambda at=bucket: (at + 0.5) / BUCKETS)
        assert (
            decision.version == [step.stable, *(c.name for c in step.candidates)][run.lanes[bucket]]
        )
        counted[decision.version] += decision.counts_as_evidence

    assert counted == Counter(run.buckets)


def test_a_slot_says_nothing_of_a_bucket() -> None:
    """Chi-square of 16 parts of the slots by 16 parts of the buckets, 225 degrees of freedom: the
    limit is met by one table of independent numbers in ten million.
    """
    users = 64_000
    table: Counter[tuple[int, int]] = Counter()
    for user in range(users):
        bucket, slot = place_of(b"iris", b"user-%d" % user)
        assert 0 <= slot < SLOTS
        table[bucket * 16 // BUCKETS, slot * 16 // SLOTS] += 1
    expected = users / 256
    chi = sum((table[i, j] - expected) ** 2 / expected for i in range(16) for j in range(16))

    assert chi < 355


def test_where_slots_are_few_the_share_is_the_same() -> None:
    """A split that has seen many users loses evidence, of both versions alike."""
    step = route({"v2": 2000})
    compiled = CompiledRoute(step, 0)
    marks = bytearray(b"\1" * SLOTS)
    marks[: SLOTS // 16] = bytes(SLOTS // 16)
    compiled.mark(marks, NOTHING_SPENT)
    counted = [
        decision.version
        for user in range(100_000)
        if (decision := compiled.assign(NOBODY, b"user-%d" % user, lambda: 0)).counts_as_evidence
    ]

    share = counted.count("v2") / len(counted)
    assert len(counted) < 100_000 / 15
    assert abs(share - 0.2) < 6 * (0.2 * 0.8 / len(counted)) ** 0.5
