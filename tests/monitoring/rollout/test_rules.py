"""The whole table, cell by cell: every stand, every verdict, everything the file may ask for."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.model import OnFailure, OnSuccess, Rollout
from monitoring.analysis.verdict import Kind
from monitoring.rollout.position import Stand
from monitoring.rollout.rules import TABLE, Action, Rule, choose

EVERY = list(product(Stand, Kind, OnFailure, OnSuccess))
UNKNOWN = (Kind.INCONCLUSIVE, Kind.ERROR)


def chosen(stand: Stand, kind: Kind, failure: OnFailure, success: OnSuccess) -> Action:
    return choose(stand, kind, Rollout("v2", on_failure=failure, on_success=success))


def test_every_stand_and_every_verdict_has_a_rule() -> None:
    assert TABLE.keys() == set(product(Stand, Kind))


def test_the_table_reads_as_it_is_told() -> None:
    moves = {cell: rule for cell, rule in TABLE.items() if rule is not Rule.HOLD}

    assert moves == {
        **{(stand, Kind.FAILED): Rule.ON_FAILURE for stand in Stand},
        (Stand.READY, Kind.SUCCESSFUL): Rule.ADVANCE,
        (Stand.READY_TO_PROMOTE, Kind.SUCCESSFUL): Rule.ON_SUCCESS,
    }


@pytest.mark.parametrize(("stand", "kind", "failure", "success"), EVERY)
def test_every_cell_does_what_its_words_say(
    stand: Stand, kind: Kind, failure: OnFailure, success: OnSuccess
) -> None:
    action = chosen(stand, kind, failure, success)

    if kind is Kind.FAILED:
        expected = {
            OnFailure.ROLLBACK: Action.ROLLBACK,
            OnFailure.ALERT: Action.ALERT,
            OnFailure.PAUSE: Action.ALERT if stand is Stand.PAUSED else Action.PAUSE,
        }[failure]
    elif (stand, kind) == (Stand.READY, Kind.SUCCESSFUL):
        expected = Action.ADVANCE
    elif (stand, kind) == (Stand.READY_TO_PROMOTE, Kind.SUCCESSFUL):
        expected = Action.PROMOTE if success is OnSuccess.PROMOTE else Action.HOLD
    else:
        expected = Action.HOLD
    assert action is expected


@pytest.mark.parametrize(("stand", "kind", "failure", "success"), EVERY)
def test_dont_know_moves_nothing(
    stand: Stand, kind: Kind, failure: OnFailure, success: OnSuccess
) -> None:
    if kind in UNKNOWN:
        assert chosen(stand, kind, failure, success) is Action.HOLD


@pytest.mark.parametrize(("stand", "kind", "failure", "success"), EVERY)
def test_a_person_who_is_waited_for_is_waited_for(
    stand: Stand, kind: Kind, failure: OnFailure, success: OnSuccess
) -> None:
    if stand in (Stand.PAUSED, Stand.WAITING):
        assert chosen(stand, kind, failure, success) not in (Action.ADVANCE, Action.PROMOTE)


def test_without_a_rollout_a_failed_candidate_is_taken_out_and_a_good_one_stays() -> None:
    assert choose(Stand.FIXED, Kind.FAILED, None) is Action.ROLLBACK
    assert choose(Stand.FIXED, Kind.SUCCESSFUL, None) is Action.HOLD
