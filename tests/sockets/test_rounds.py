"""Users count again while requests are under way: nobody notices."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from gateway.model import Assignment
from tests.builders import make_config, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Gateway, Talk, eventually, request
from tests.sockets.test_swaps import Held

USER = ("X-User-Id", "alice")


def renew(gateway: Gateway) -> None:
    runs = gateway.plane.archive.epochs[-1].runs
    due = {name: replace(run, repeat=run.repeat + 1) for name, run in runs.items()}
    gateway.wait(gateway.plane.renew(due))


def test_what_fails_in_a_round_that_is_over_gives_way_to_stable_as_ever(
    serve: Serve, hire: Hire
) -> None:
    """It is not assigned anew, as under another file: the candidate is asked once."""
    held = Held()

    def failing(talk: Talk) -> None:
        assert held.go_on.wait(10)
        talk.reply(500)

    v1, v2 = hire(name="v1"), hire(failing, name="v2")
    versions = {"v1": v1.url, "v2": (v2.url, 100)}
    gateway = serve(make_config(versions, sticky=make_sticky(), generation="one"))
    with gateway.client() as client:
        client.send(request(fields=[USER]))
        eventually(lambda: v2.requests)
        renew(gateway)
        renew(gateway)
        held.go_on.set()
        answer = client.answer()

    assert (answer.status, answer["X-Assignment"]) == (200, Assignment.FALLBACK)
    assert (len(v2.requests), len(v1.requests)) == (1, 1)
    gateway.settle()
    assert [gateway.evidence("v2", at).assigned for at in (0, 1, 2)] == [1, 0, 0]
    assert [gateway.evidence("v1", at).stood_in.get(("v2", 200), 0) for at in (0, 1)] == [1, 0]


def test_connections_to_clients_and_workers_outlive_rounds(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    versions = {"v1": v1.url, "v2": (v2.url, 50)}
    gateway = serve(make_config(versions, sticky=make_sticky(), generation="one"))
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.client()) for _ in range(6)]
        for _ in range(5):
            for number, client in enumerate(clients):
                assert client.ask(fields=[("X-User-Id", f"user-{number}")]).status == 200
            renew(gateway)

    assert v1.connections + v2.connections == 2
