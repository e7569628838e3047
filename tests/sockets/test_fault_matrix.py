"""Every fault of a worker against every way a route can be written: always one whole answer, the
right one or an honest error, and everything is as before when the worker has come to its senses.
"""

from __future__ import annotations

import pytest

from gateway.model import RoutingConfig
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.faults import FAULTS, ODD, SLOW, check_error
from tests.sockets.peers import Client, Gateway, Worker, echo, eventually, hanging, request

SHORT = 0.3  # seconds: the deadline where one is to pass
ASKED = 3  # requests, one after the other on one connection


def alone(bad: Worker, good: Worker, **rules: object) -> RoutingConfig:
    return make_config({"v1": bad.url}, **rules)


def candidate(bad: Worker, good: Worker, **rules: object) -> RoutingConfig:
    return make_config({"v1": good.url, "v2": (bad.url, 100)}, **rules)


def endpoints(bad: Worker, good: Worker, **rules: object) -> RoutingConfig:
    return make_config({"v1": [bad.url, good.url]}, **rules)


SHAPES = {"alone": alone, "candidate": candidate, "endpoints": endpoints}
shapes = pytest.mark.parametrize("shape", SHAPES)
both = pytest.mark.parametrize("idempotent", [True, False])


def ask(client: Client, number: int) -> str | None:
    """Ask for a token; the reason if there was no answer. A wrong answer fails."""
    token = f"token-{number}"
    answer = client.ask(body=token.encode())
    if answer.status == 200:
        assert answer.json()["body"] == token
        assert answer.json()["worker"] == "good"
        return None
    reason = answer.json()["reason"]
    check_error(answer, answer.status, reason)
    return str(reason)


def echoed(client: Client, number: int) -> bool:
    """Whether the answer is the right one; on a machine that stands still even a good worker can
    miss a short deadline.
    """
    answer = client.ask(body=b"%d" % number)
    assert answer.status == 504 or answer.json()["body"] == str(number)
    return answer.status != 504


def check_all_is_well(gateway: Gateway, client: Client, *workers: Worker) -> None:
    """Nothing is left of the fault, on the client's connection or any to a worker."""
    for worker in workers:
        worker.behaviour = echo
    eventually(lambda: gateway.in_flight == 0)
    for number in range(4):
        eventually(lambda number=number: echoed(client, number))
    for pool in gateway.live.serving.pools:
        for member in pool.members:
            assert all(connection.usable for connection in member._idle)
            assert not member._waiting


@both
@shapes
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_the_right_answer_or_an_honest_error(
    fault: str, shape: str, idempotent: bool, serve: Serve, hire: Hire
) -> None:
    behaviour, reason, _ = FAULTS[fault]
    bad, good = hire(behaviour), hire(name="good")
    gateway = serve(SHAPES[shape](bad, good, idempotent=idempotent))
    with gateway.client() as client:
        reasons = [ask(client, number) for number in range(ASKED)]

        assert set(reasons) <= {None, reason}
        if shape == "alone" or (shape == "candidate" and not idempotent):
            assert reasons == [reason] * ASKED
        elif shape == "candidate":
            assert reasons == [None] * ASKED
        if not idempotent:
            assert len(bad.requests) + len(good.requests) == ASKED
        check_all_is_well(gateway, client, bad, good)


@shapes
@pytest.mark.parametrize("fault", SLOW)
def test_what_is_too_slow_ends_with_the_deadline(
    fault: str, shape: str, serve: Serve, hire: Hire
) -> None:
    bad, good = hire(SLOW[fault]), hire(name="good")
    gateway = serve(SHAPES[shape](bad, good, timeout=SHORT, idempotent=shape == "candidate"))
    with gateway.client() as client:
        reasons = [ask(client, number) for number in range(2)]

        assert set(reasons) <= {None, "timeout"}
        if shape == "alone":
            assert reasons == ["timeout"] * 2
        check_all_is_well(gateway, client, bad, good)


@shapes
@pytest.mark.parametrize("oddity", ODD)
def test_what_is_odd_but_an_answer_is_passed_on_as_it_is(
    oddity: str, shape: str, serve: Serve, hire: Hire
) -> None:
    behaviour, status, body = ODD[oddity]
    bad, good = hire(behaviour), hire(name="good")
    gateway = serve(SHAPES[shape](bad, good))
    with gateway.client() as client:
        answers = [client.ask(body=b"token") for _ in range(ASKED)]
        odd = [(answer.status, answer.body) for answer in answers if "said" not in answer.start]

        assert {answer.status for answer in answers} <= {200, status}
        assert odd.count((status, body)) == len(bad.requests) >= 1
        check_all_is_well(gateway, client, bad, good)


@shapes
@pytest.mark.parametrize("fault", ["closes", "two lengths", "endless head"])
def test_an_error_to_head_is_a_whole_answer_too(
    fault: str, shape: str, serve: Serve, hire: Hire
) -> None:
    bad, good = hire(FAULTS[fault][0]), hire(name="good")
    gateway = serve(SHAPES[shape](bad, good))
    with gateway.client() as client:
        for _ in range(ASKED):
            assert client.ask("HEAD", body=None).status in (200, 502)
        check_all_is_well(gateway, client, bad, good)


def test_a_body_on_an_answer_to_head_reaches_nobody(serve: Serve, hire: Hire) -> None:
    worker = hire(ODD["surplus bytes"][0])
    gateway = serve(alone(worker, worker))
    with gateway.client() as client:
        answers = [client.ask("HEAD", body=None) for _ in range(ASKED)]

        assert [(answer.status, answer["content-length"]) for answer in answers] == [
            (200, "2")
        ] * ASKED
        check_all_is_well(gateway, client, worker)


def test_a_client_that_leaves_in_the_middle_of_any_fault_leaves_nothing(
    serve: Serve, hire: Hire
) -> None:
    faults = [*[fault for fault, _, _ in FAULTS.values()], *SLOW.values(), hanging]
    bad, good = hire(first=faults), hire(name="good")
    gateway = serve(candidate(bad, good, timeout=SHORT))
    for _ in faults:
        with gateway.client() as client:
            client.send(request())
            client.reset()
    with gateway.client() as client:
        eventually(lambda: len(bad.requests) + len(good.requests) > 0)
        check_all_is_well(gateway, client, bad, good)
