"""What follows a failed attempt: every combination of the facts, against the promises."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from gateway.answers.recovery import Move, next_move
from gateway.errors import Reason

FLAGS = ("sent", "began", "stale", "retried", "repeatable", "fallback", "in_time")
SENDS = {Move.RETRY_FRESH, Move.RETRY_ELSEWHERE, Move.GIVE_WAY}
RETRIES = {Move.RETRY_FRESH, Move.RETRY_ELSEWHERE}

FINE: dict[str, Any] = {
    "sent": True,
    "began": False,
    "stale": False,
    "retried": False,
    "endpoints": 1,
    "repeatable": True,
    "fallback": False,
    "in_time": True,
}


def combinations() -> Iterator[tuple[Reason, dict[str, Any], Move]]:
    """Every combination there is, with the move that follows."""
    for reason, endpoints in product(Reason, (1, 2, 3)):
        for values in product((False, True), repeat=len(FLAGS)):
            facts = dict(zip(FLAGS, values, strict=True)) | {"endpoints": endpoints}
            yield reason, facts, next_move(reason, **facts)


ALL = tuple(combinations())


def move(reason: Reason, **facts: Any) -> Move:
    return next_move(reason, **FINE | facts)


def those(**wanted: Any) -> list[tuple[Reason, dict[str, Any], Move]]:
    return [one for one in ALL if all(one[1].get(name) == value for name, value in wanted.items())]


def test_all_combinations_were_looked_at() -> None:
    assert len(ALL) == len(Reason) * 3 * 2 ** len(FLAGS)
    assert {result for _, _, result in ALL} == set(Move)


def test_what_was_sent_and_may_not_be_repeated_is_never_sent_again() -> None:
    assert {result for _, _, result in those(sent=True, repeatable=False)} == {Move.FAIL}


def test_nothing_is_sent_after_the_deadline() -> None:
    assert {result for _, _, result in those(in_time=False)} == {Move.FAIL}


def test_a_version_is_tried_twice_at_most() -> None:
    assert not {result for _, _, result in those(retried=True)} & RETRIES


def test_nobody_gives_way_where_there_is_no_fallback() -> None:
    assert Move.GIVE_WAY not in {result for _, _, result in those(fallback=False)}


def test_with_a_fallback_in_time_nothing_repeatable_fails() -> None:
    results = {result for _, _, result in those(fallback=True, in_time=True, repeatable=True)}

    assert Move.FAIL not in results


def test_an_answer_that_had_begun_is_not_asked_for_again_at_the_same_version() -> None:
    assert not {result for _, _, result in those(began=True)} & RETRIES


def test_another_endpoint_needs_another_endpoint() -> None:
    assert Move.RETRY_ELSEWHERE not in {result for _, _, result in those(endpoints=1)}


def test_only_a_reset_of_a_used_connection_is_taken_for_a_stale_one() -> None:
    fresh = [(reason, facts) for reason, facts, result in ALL if result is Move.RETRY_FRESH]

    assert {reason for reason, _ in fresh} == {Reason.RESET}
    assert all(facts["stale"] for _, facts in fresh)


def test_only_refused_or_reset_requests_are_retried() -> None:
    assert {reason for reason, _, result in ALL if result in RETRIES} == {
        Reason.RESET,
        Reason.CONNECT,
    }


@pytest.mark.parametrize("endpoints", [1, 2])
def test_a_stale_connection_is_replaced(endpoints: int) -> None:
    assert move(Reason.RESET, stale=True, endpoints=endpoints) is Move.RETRY_FRESH
    assert move(Reason.RESET, stale=True, endpoints=endpoints, fallback=True) is Move.RETRY_FRESH


def test_a_refusing_endpoint_is_avoided_also_for_what_may_not_be_repeated() -> None:
    facts = {"sent": False, "endpoints": 2, "repeatable": False}

    assert move(Reason.CONNECT, **facts) is Move.RETRY_ELSEWHERE


@pytest.mark.parametrize("reason", [Reason.CONNECT, Reason.SHED])
def test_what_was_never_sent_may_go_to_stable_also_when_it_may_not_be_repeated(
    reason: Reason,
) -> None:
    assert move(reason, sent=False, repeatable=False, fallback=True) is Move.GIVE_WAY


@pytest.mark.parametrize("reason", list(Reason))
def test_a_candidate_gives_way_whatever_went_wrong(reason: Reason) -> None:
    assert move(reason, began=True, fallback=True) is Move.GIVE_WAY


@pytest.mark.parametrize("reason", list(Reason))
def test_stable_alone_fails_honestly(reason: Reason) -> None:
    assert move(reason) is Move.FAIL
