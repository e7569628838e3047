"""Shares over the wire: what the workers were asked, what the clients were told, and who stays."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.builders import make_config, make_sticky
from tests.gateway.test_shares import LEAST_P, p_value
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Gateway, Worker, answering, request

ASKED = 4000
AHEAD = 10


def ask(gateway: Gateway, number: int = ASKED) -> Counter[str]:
    """Who answered; some are sent ahead, to be done sooner."""
    told: Counter[str] = Counter()
    with gateway.client() as client:
        for _ in range(number // AHEAD):
            client.send(request() * AHEAD)
            for _ in range(AHEAD):
                told[client.answer()["x-model-version"]] += 1
    return told


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_workers_are_asked_their_share(percent: float, serve: Serve, hire: Hire) -> None:
    workers = {"v1": hire(answering()), "v2": hire(answering())}
    gateway = served(serve, workers, percent)
    told = ask(gateway)

    assert {name: len(worker.requests) for name, worker in workers.items()} == told
    assert told.total() == ASKED
    assert p_value(told["v2"], percent / 100, ASKED) > LEAST_P


@pytest.mark.parametrize(("percent", "only"), [(0, "v1"), (100, "v2")])
def test_nothing_and_everything_are_exact(
    percent: float, only: str, serve: Serve, hire: Hire
) -> None:
    workers = {"v1": hire(answering()), "v2": hire(answering())}

    assert ask(served(serve, workers, percent), 1000) == {only: 1000}


def served(serve: Serve, workers: dict[str, Worker], percent: float) -> Gateway:
    versions = {"v1": workers["v1"].url, "v2": (workers["v2"].url, percent)}
    return serve(make_config(versions), draw=Random(20261121).random)


def test_every_gateway_gives_a_user_the_same_version(serve: Serve, hire: Hire) -> None:
    """Two replicas, or one before and after a restart: nothing but the file and the key decides."""
    v1, v2 = hire(answering()), hire(answering())
    homes = []
    for generation in ("one", "two"):
        versions = {"v1": v1.url, "v2": (v2.url, 30)}
        gateway = serve(make_config(versions, sticky=make_sticky(), generation=generation))
        with gateway.client() as client:
            homes.append(
                [
                    client.ask(fields=[("X-User-Id", f"u{user % 200}")])["x-model-version"]
                    for user in range(400)
                ]
            )

    assert homes[0] == homes[1]
    assert homes[0][:200] == homes[0][200:]
    assert set(homes[0]) == {"v1", "v2"}
