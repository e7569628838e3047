"""Two hundred clients and every fault at once, against a gateway in a process of its own.

``python -m tests.chaos --minutes 15`` is the same for longer.
"""

from __future__ import annotations

import asyncio

import pytest

from tests import chaos

CLIENTS = 200
TURNS = 8  # of each client


@pytest.fixture(scope="module")
def result() -> chaos.Result:
    return asyncio.run(chaos.run(clients=CLIENTS, seed=1, turns=TURNS))


def test_nobody_gets_a_wrong_a_broken_or_no_answer(result: chaos.Result) -> None:
    assert result.tally.wrong == {}, result.tally.examples


def test_a_healthy_version_answers_whatever_its_neighbours_do(result: chaos.Result) -> None:
    assert result.tally.statuses["/healthy"].keys() == {200}


def test_whatever_a_candidate_does_its_clients_are_answered(result: chaos.Result) -> None:
    assert result.tally.statuses["/canary"].keys() == {200}


def test_afterwards_everything_is_back(result: chaos.Result) -> None:
    assert result.served_after >= CLIENTS
    assert result.in_flight == 0
    assert result.after[0] <= result.before[0] * 1.2  # descriptors
    assert result.after[1] <= result.before[1] * 1.2  # KiB of memory


def test_the_mix_had_everything_in_it(result: chaos.Result) -> None:
    seen = result.tally.statuses["/faulty"]

    assert {200, 500, 502, 503, 504} <= seen.keys()
    assert result.tally.left > 50
    assert result.tally.cut_streams > 0
