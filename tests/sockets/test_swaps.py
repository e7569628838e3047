"""Another file while requests are under way: the next request obeys it, and none is lost."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

import pytest

from gateway.model import Limits, Match
from gateway.workers.pool import dial
from tests.builders import make_config, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Gateway,
    Talk,
    Worker,
    answering,
    echo,
    eventually,
    hanging,
    refusing,
    request,
    resetting,
    url_of,
)


def split(stable: Worker, candidate: Worker, percent: float, generation: str, **rules: object):
    versions = {"v1": stable.url, "v2": (candidate.url, percent)}
    return make_config(versions, generation=generation, **rules)


class Gate:
    """A dial that opens no connection until it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, factory, endpoint):
        await self.open.wait()
        return await dial(factory, endpoint)


class Held:
    """A worker's behaviour that answers when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, talk: Talk) -> None:
        assert self.go_on.wait(10)
        echo(talk)


def test_weight_0_means_not_one_more_request(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(split(v1, v2, 100, "one"))
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.client()) for _ in range(5)]
        before = {client.ask()["x-model-version"] for client in clients}
        asked = len(v2.requests)
        gateway.swap(split(v1, v2, 0, "two"))
        after = {client.ask()["x-model-version"] for client in clients for _ in range(5)}

    assert (before, after) == ({"v2"}, {"v1"})
    assert len(v2.requests) == asked


def test_requests_that_wait_for_a_connection_obey_the_new_file(serve: Serve, hire: Hire) -> None:
    v1, v2, gate = hire(name="v1"), hire(name="v2"), Gate()
    gateway = serve(split(v1, v2, 100, "one"), dial=gate)
    with ExitStack() as stack:
        clients = [stack.enter_context(gateway.client()) for _ in range(5)]
        for client in clients:
            client.send(request())
        eventually(lambda: gateway.in_flight == 5)
        gateway.swap(split(v1, v2, 0, "two"))
        gateway.run(gate.open.set)
        answers = [client.answer() for client in clients]

    assert {answer["x-model-version"] for answer in answers} == {"v1"}
    assert {answer["x-assignment"] for answer in answers} == {"weighted"}
    assert v2.requests == []
    assert gateway.evidence("v1").assigned == 5
    assert gateway.evidence("v2").assigned == 0


def test_a_request_that_waits_for_a_removed_version_obeys_the_new_file(
    serve: Serve, hire: Hire
) -> None:
    v1, v2, gate = hire(name="v1"), hire(), Gate()
    gateway = serve(split(v1, v2, 100, "one"), dial=gate)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.in_flight == 1)
        gateway.swap(make_config({"v1": v1.url}, generation="two"))
        gateway.run(gate.open.set)

        assert client.answer().json()["worker"] == "v1"
    assert v2.requests == []


def test_a_request_whose_route_was_removed_while_it_waited_is_a_404(
    serve: Serve, hire: Hire
) -> None:
    worker, gate = hire(), Gate()
    gateway = serve(make_config({"v1": worker.url}), dial=gate)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.in_flight == 1)
        gateway.swap(make_config({"v1": worker.url}, generation="two", match=Match("/elsewhere")))
        gateway.run(gate.open.set)

        assert client.answer().status == 404
        assert client.ask(target="/elsewhere").status == 200


def test_a_request_under_way_ends_as_it_began(serve: Serve, hire: Hire) -> None:
    held = Held()
    v1, v2 = hire(name="v1"), hire(held, name="v2")
    gateway = serve(split(v1, v2, 100, "one"))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: v2.requests)
        gateway.swap(split(v1, v2, 0, "two"))
        held.go_on.set()
        answer = client.answer()

    assert answer["x-model-version"] == "v2"
    assert gateway.evidence("v2").assigned == 0
    assert gateway.evidence("v2", -2).assigned == 1


def test_a_candidate_that_fails_after_the_swap_gives_way_as_the_new_file_says(
    serve: Serve, hire: Hire
) -> None:
    """Its old stable may be gone by then, or have weight 0."""
    breaking = threading.Event()

    def break_later(talk: Talk) -> bool:
        assert breaking.wait(10)
        return resetting(talk)

    v1, v2, v3 = hire(name="v1"), hire(break_later, name="v2"), hire(name="v3")
    gateway = serve(split(v1, v2, 100, "one", override="x-v"))
    gateway.ask(fields=[("X-V", "v1")])  # a connection that could be used at once
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: v2.requests)
        gateway.swap(make_config({"v3": v3.url, "v1": v1.url, "v2": v2.url}, generation="two"))
        breaking.set()
        answer = client.answer()

    assert answer.json()["worker"] == "v3"
    assert len(v1.requests) == 1
    assert gateway.evidence("v2", -2).bad == 1
    assert gateway.evidence("v2").bad == 0


def test_a_retry_after_the_swap_obeys_the_new_file(serve: Serve, hire: Hire) -> None:
    refused = asyncio.Event()

    async def refuse_later(factory, endpoint):
        if endpoint.port == port:
            await refused.wait()
            raise ConnectionRefusedError
        return await dial(factory, endpoint)

    v1, v2 = hire(name="v1"), hire(name="v2")
    with refusing() as nobody:
        port = nobody.getsockname()[1]
        versions = {"v1": v1.url, "v2": ([url_of(nobody), url_of(nobody)], 100)}
        gateway = serve(make_config(versions), dial=refuse_later)
        with gateway.client() as client:
            client.send(request())
            eventually(lambda: gateway.in_flight == 1)
            gateway.swap(split(v1, v2, 0, "two"))
            gateway.run(refused.set)

            assert client.answer().json()["worker"] == "v1"


def test_connections_outlive_a_swap_that_does_not_concern_them(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire()
    gateway = serve(split(v1, v2, 100, "one"))
    for number in range(5):
        gateway.ask()
        gateway.swap(split(v1, v2, 100, f"file {number}", timeout=3.0 + number))
    gateway.ask()

    assert v2.connections == 1


def test_idle_connections_of_a_removed_version_are_closed(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire()
    gateway = serve(split(v1, v2, 100, "one"))
    gateway.ask()
    assert v2.open == 1

    gateway.swap(make_config({"v1": v1.url}, generation="two"))

    eventually(lambda: v2.open == 0)


def test_a_connection_that_was_busy_when_its_version_was_removed_is_closed_after_its_answer(
    serve: Serve, hire: Hire
) -> None:
    held = Held()
    v1, v2 = hire(), hire(held, name="v2")
    gateway = serve(split(v1, v2, 100, "one"))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: v2.requests)
        gateway.swap(make_config({"v1": v1.url}, generation="two"))
        held.go_on.set()

        assert client.answer().json()["worker"] == "v2"
    eventually(lambda: v2.open == 0)


def test_a_version_that_moves_is_asked_at_its_new_address(serve: Serve, hire: Hire) -> None:
    old, new = hire(name="old"), hire(name="new")
    gateway = serve(make_config({"v1": old.url}))
    gateway.ask()
    gateway.swap(make_config({"v1": new.url}, generation="two"))

    assert gateway.ask().json()["worker"] == "new"
    eventually(lambda: old.open == 0)


def test_counts_go_on_and_evidence_begins_anew(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire()
    gateway = serve(split(v1, v2, 100, "one"))
    gateway.ask()
    gateway.swap(split(v1, v2, 100, "two", timeout=4.0))
    gateway.ask()

    assert gateway.answers("v2") == {"weighted 200": 2}
    assert gateway.evidence("v2").assigned == 1
    assert gateway.evidence("v2", -2).assigned == 1


def test_a_new_limit_holds_for_the_next_request(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(make_config({"v1": worker.url}))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
        gateway.swap(make_config({"v1": worker.url}, generation="two", limits=Limits(in_flight=1)))

        assert gateway.ask().status == 503


@pytest.mark.parametrize("ramp", [(1, 5, 20, 50, 100), (100, 50, 20, 5, 1, 0)])
def test_a_ramp_moves_users_one_way_only(ramp: tuple[float, ...], serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(answering()), hire(answering())
    gateway = serve(split(v1, v2, ramp[0], "start", sticky=make_sticky()))
    homes: dict[int, list[str]] = {user: [] for user in range(60)}
    with gateway.client() as client:
        for percent in ramp:
            gateway.swap(split(v1, v2, percent, f"{percent} %", sticky=make_sticky()))
            for user, home in homes.items():
                home.append(client.ask(fields=[("X-User-Id", f"u{user}")])["x-model-version"])

    for home in homes.values():
        assert home == sorted(home, reverse=ramp[0] > ramp[-1])
    assert {home[0] for home in homes.values()} | {home[-1] for home in homes.values()} == {
        "v1",
        "v2",
    }


def test_swaps_under_load_lose_nothing_and_mix_nothing(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(split(v1, v2, 50, "start"))
    wrong: list[str] = []
    asked = threading.Semaphore(0)

    def load() -> None:
        with gateway.client() as client:
            for number in range(150):
                answer = client.ask(body=str(number).encode())
                told = answer.json()
                if answer.status != 200 or told["body"] != str(number):
                    wrong.append(str(answer))
                if told["worker"] != answer["x-model-version"]:
                    wrong.append(str(answer))
                asked.release()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(60):
        for _ in range(10):
            assert asked.acquire(timeout=10)
        gateway.swap(split(v1, v2, (0, 100, 50)[number % 3], f"file {number}"))
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(v1.requests) + len(v2.requests) == 600


# --- the way out


def drain(gateway: Gateway, limit: float) -> threading.Thread:
    """Begin to drain, in the background."""
    thread = threading.Thread(target=lambda: gateway.wait(gateway.listener.drain(limit)))
    thread.start()
    eventually(lambda: gateway.live.draining)
    return thread


def test_draining_answers_what_is_under_way_and_closes(serve: Serve, hire: Hire) -> None:
    held = Held()
    worker = hire(held)
    gateway = serve(make_config({"v1": worker.url}))
    with gateway.client() as busy, gateway.client() as idle:
        assert idle is not None
        busy.send(request(body=b"under way"))
        eventually(lambda: worker.requests)
        draining = drain(gateway, 10)

        assert idle.ended()
        with pytest.raises(ConnectionRefusedError):
            gateway.client()

        held.go_on.set()
        answer = busy.answer()

        assert answer.json()["body"] == "under way"
        assert answer["connection"] == "close"
        assert busy.ended()
    draining.join(10)

    assert not draining.is_alive()
    assert gateway.connections == 0


def test_draining_waits_for_a_request_that_is_still_being_sent(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    with gateway.client() as client:
        whole = request(body=b"slowly")
        client.send(whole[:-1])
        eventually(gateway.reading)
        draining = drain(gateway, 10)
        client.send(whole[-1:])
        answer = client.answer()

        assert answer.json()["body"] == "slowly"
        assert answer["connection"] == "close"
        assert client.ended()
    draining.join(10)


def test_draining_ends_with_its_limit(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(make_config({"v1": worker.url}, timeout=100))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
        draining = drain(gateway, 0.2)

        assert client.ended()
    draining.join(10)
    eventually(lambda: worker.abandoned == 1)

    assert not draining.is_alive()


def test_draining_does_not_wait_for_those_who_were_told_to_stop(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    with gateway.client() as client:
        client.send(request(body=b"", fields=[("Content-Length", "99999999")]))
        assert client.answer().status == 413
        assert gateway.connections == 1
        draining = drain(gateway, 10)
        draining.join(5)

        assert not draining.is_alive()
