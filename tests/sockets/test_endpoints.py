"""Several endpoints of a version, connections that nobody uses, and how often is asked again."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from gateway.admin.status import status_json
from gateway.clients.live import LOOK_EVERY
from gateway.counting.gauges import ejected_name
from gateway.counting.report import ReloadStatus, Report, State, gather
from gateway.metrics.collector import GatewayMetrics
from gateway.model import Limits
from gateway.workers.budget import FLOOR
from gateway.workers.ejection import FAILURES, FIRST_PAUSE, PATIENCE
from gateway.workers.pool import IDLE_LOOKS
from tests.builders import make_config, make_report
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Behaviour,
    Client,
    Ended,
    Gateway,
    Talk,
    Worker,
    answering,
    closing,
    echo,
    eventually,
    hanging,
    refusing,
    request,
    resetting,
    saying,
    url_of,
)


def several(*workers: Worker | str, **rules: object):
    """A route whose one version has these endpoints."""
    return make_config({"v1": [getattr(each, "url", each) for each in workers]}, **rules)


def pass_time(gateway: Gateway, seconds: float) -> None:
    """Let so many seconds pass, with a look at the end of each."""
    for _ in range(round(seconds / LOOK_EVERY)):
        gateway.skip(LOOK_EVERY)
        gateway.run(lambda: gateway.live.sweep(gateway.clock()))


def ejected(gateway: Gateway) -> list[str]:
    """The endpoints that are left out, as the pool has them and as it is told of."""

    def look() -> list[str]:
        gateway.plane.refresh()
        archive = gateway.plane.archive
        place = archive.epochs[-1].table.places[0]
        gauges = archive.under(archive.epochs[-1]).gauges
        endpoints = place.route.version(place.version).endpoints
        told = [one.url for one in endpoints if gauges.get(ejected_name(place, one))]
        assert told == [member.endpoint.url for member in gateway.live.serving.pools[0].ejected]
        return told

    return gateway.run(look)


def workers_of(gateway: Gateway, number: int) -> list[str]:
    """Who answers so many requests, one after the other."""
    return [gateway.ask().json()["worker"] for _ in range(number)]


# --- ejection

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
ERROR = b'data: {"error":"x"}\n\n'
DONE = b"data: [DONE]\n\n"
FAILING: dict[str, Behaviour] = {
    "resets": resetting,
    "closes": closing,
    "says nonsense": saying(b"nonsense\r\n"),
    "says 500": answering(500),
    "says 503 as a stream": saying(
        b"HTTP/1.1 503 Busy\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\nno"
    ),
    "breaks a stream": saying(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\nno",
        "close",
    ),
    "tells an error in an event": saying(EVENTS + b"Content-Length: 21\r\n\r\n" + ERROR),
}


@pytest.mark.parametrize("failing", FAILING)
def test_an_endpoint_that_fails_again_and_again_is_left_out(
    failing: str, serve: Serve, hire: Hire
) -> None:
    bad, good = hire(FAILING[failing]), hire(name="good")
    gateway = serve(several(bad, good))
    for _ in range(2 * FAILURES):
        with gateway.client() as client:
            client.send(request())
            with suppress(Ended):
                client.answer()

    assert ejected(gateway) == [bad.url]
    assert workers_of(gateway, 10) == ["good"] * 10
    assert len(bad.requests) == FAILURES


def ask_and_leave(gateway: Gateway) -> None:
    """As clients of chats do: they leave with the last event, and with an error."""
    with gateway.client() as client:
        client.send(request())
        client.head()
        client.until(b"\n\n")
    eventually(lambda: gateway.in_flight == 0)


def streaming(event: bytes) -> Behaviour:
    """A stream with this event, which does not end."""

    def behave(talk: Talk) -> bool:
        talk.send(EVENTS + b"\r\n" + event)
        return hanging(talk)

    return behave


def test_clients_that_leave_after_an_error_have_seen_a_failure_of_the_endpoint(
    serve: Serve, hire: Hire
) -> None:
    bad, good = hire(streaming(ERROR)), hire(streaming(DONE))
    gateway = serve(several(bad, good))
    for _ in range(2 * FAILURES):
        ask_and_leave(gateway)

    assert ejected(gateway) == [bad.url]


def test_clients_that_leave_after_the_last_event_have_seen_a_good_answer(
    serve: Serve, hire: Hire
) -> None:
    """So an endpoint that recovers is in service again, though nobody waits for the very end."""
    bad, good = hire(resetting), hire(streaming(DONE))
    gateway = serve(several(bad, good))
    for _ in range(2 * FAILURES):
        ask_and_leave(gateway)
    assert ejected(gateway) == [bad.url]

    bad.behaviour = streaming(DONE)
    pass_time(gateway, FIRST_PAUSE + LOOK_EVERY)
    ask_and_leave(gateway)
    pass_time(gateway, 2 * LOOK_EVERY)
    assert ejected(gateway) == []


@pytest.mark.parametrize("how", ["the client leaves", "the worker breaks off", "the deadline"])
def test_a_5xx_that_is_a_stream_is_one_failure_however_it_ends(
    how: str, serve: Serve, hire: Hire
) -> None:
    """Else there would never be more good answers than failures, and each one more in a row."""
    failure = EVENTS.replace(b"200 OK", b"500 No") + b"Content-Length: 99\r\n\r\n" + DONE

    def behave(talk: Talk) -> bool | None:
        if len(odd.requests) % 2 == 0:
            return echo(talk)
        talk.send(failure)
        return closing(talk) if how == "the worker breaks off" else hanging(talk)

    odd, good = hire(hanging), hire(name="good")
    odd.behaviour = behave
    gateway = serve(several(odd, good, timeout=100))
    for _ in range(4 * FAILURES):
        with gateway.client() as client, suppress(Ended):
            client.send(request())
            if client.head()[0].startswith("HTTP/1.1 500"):
                if how == "the client leaves":
                    client.reset()
                elif how == "the deadline":
                    gateway.skip(101)
                else:
                    client.answer()
        eventually(lambda: gateway.in_flight == 0)

    assert ejected(gateway) == []
    assert len(odd.requests) == 2 * FAILURES


def test_a_failure_that_a_client_leaves_is_not_in_a_row_with_those_before_a_good_answer(
    serve: Serve, hire: Hire
) -> None:
    odd = hire(resetting)
    gateway = serve(several(odd, hire(streaming(DONE))))
    for number, behaviour in (
        (FAILURES - 1, resetting),
        (FAILURES, streaming(DONE)),
        (FAILURES + 1, streaming(ERROR)),
    ):
        odd.behaviour = behaviour
        while len(odd.requests) < number:
            ask_and_leave(gateway)

    assert ejected(gateway) == []


def test_an_endpoint_that_hangs_is_left_out(serve: Serve, hire: Hire) -> None:
    bad, good = hire(hanging), hire(name="good")
    gateway = serve(several(bad, good, timeout=100))
    for number in range(1, FAILURES + 1):
        with gateway.client() as first, gateway.client() as second:
            first.send(request())
            second.send(request())
            eventually(lambda: len(bad.requests) == number)  # noqa: B023
            eventually(lambda: gateway.in_flight == 1)
            gateway.skip(100)
            assert sorted([first.answer().status, second.answer().status]) == [200, 504]

    assert ejected(gateway) == [bad.url]
    assert workers_of(gateway, 10) == ["good"] * 10


def test_an_endpoint_nobody_listens_on_is_left_out(serve: Serve, hire: Hire) -> None:
    with refusing() as nobody:
        gateway = serve(several(url_of(nobody), hire(name="good")))
        assert workers_of(gateway, 4 * FAILURES) == ["good"] * 4 * FAILURES

        assert ejected(gateway) == [url_of(nobody)]
        assert gateway.retries("v1") == {"connect": FAILURES}


def test_an_endpoint_that_fails_now_and_then_stays(serve: Serve, hire: Hire) -> None:
    seen: list[Talk] = []

    def sometimes(talk: Talk) -> bool | None:
        seen.append(talk)
        return (echo if len(seen) % FAILURES == 0 else resetting)(talk)

    gateway = serve(several(hire(sometimes), hire()))
    for _ in range(6 * FAILURES):
        assert gateway.ask().status == 200

    assert ejected(gateway) == []


@pytest.mark.parametrize("closes", [True, False])
def test_good_answers_count_also_if_each_ends_its_connection(
    closes: bool, serve: Serve, hire: Hire
) -> None:
    """Else every failure would be one more in a row."""
    turn: list[int] = []

    def behave(talk: Talk) -> bool | None:
        turn.append(1)
        if len(turn) % 2:
            return resetting(talk)
        return saying(b"HTTP/1.0 200 OK\r\n\r\nok", "close")(talk) if closes else echo(talk)

    gateway = serve(several(hire(behave), hire()))
    for _ in range(8 * FAILURES):
        assert gateway.ask().status == 200

    assert ejected(gateway) == []


def test_when_all_fail_one_is_still_asked(serve: Serve, hire: Hire) -> None:
    workers = [hire(resetting), hire(resetting)]
    gateway = serve(several(*workers))
    statuses = [gateway.ask().status for _ in range(4 * FAILURES)]

    assert set(statuses) == {502}
    assert len(ejected(gateway)) == 1

    for worker in workers:
        worker.behaviour = echo
    assert gateway.ask().status == 200
    pass_time(gateway, FIRST_PAUSE)  # it was asked all the time, and is not left out longer for it
    assert gateway.ask().status == 200
    pass_time(gateway, LOOK_EVERY)

    assert ejected(gateway) == []


def test_the_only_endpoint_of_a_version_is_never_left_out(serve: Serve, hire: Hire) -> None:
    worker = hire(resetting)
    gateway = serve(make_config({"v1": worker.url}))
    for _ in range(3 * FAILURES):
        assert gateway.ask().status == 502
    worker.behaviour = echo

    assert gateway.ask().status == 200


def make_ejected(serve: Serve, hire: Hire, **rules: object) -> tuple[Gateway, Worker, Worker]:
    """A gateway that leaves the first of two workers out."""
    bad, good = hire(resetting, name="bad"), hire(name="good")
    gateway = serve(several(bad, good, **rules))
    while not ejected(gateway):
        gateway.ask()
    return gateway, bad, good


def test_it_comes_back_when_it_answers_again(serve: Serve, hire: Hire) -> None:
    gateway, bad, _ = make_ejected(serve, hire)
    bad.behaviour = echo
    assert set(workers_of(gateway, 6)) == {"good"}

    pass_time(gateway, FIRST_PAUSE)

    assert workers_of(gateway, 3) == ["bad", "good", "good"]  # one request tries it
    assert ejected(gateway) == [bad.url]

    pass_time(gateway, LOOK_EVERY)

    assert ejected(gateway) == []
    assert sorted(workers_of(gateway, 6)) == ["bad"] * 3 + ["good"] * 3


def test_the_request_that_tries_it_is_answered_though_it_fails(serve: Serve, hire: Hire) -> None:
    gateway, bad, _ = make_ejected(serve, hire)
    asked = len(bad.requests)
    pass_time(gateway, FIRST_PAUSE)

    assert workers_of(gateway, 6) == ["good"] * 6
    assert len(bad.requests) == asked + 1

    pass_time(gateway, 2 * FIRST_PAUSE - 1)
    assert workers_of(gateway, 6) == ["good"] * 6
    assert len(bad.requests) == asked + 1

    pass_time(gateway, 1)
    assert workers_of(gateway, 6) == ["good"] * 6
    assert len(bad.requests) == asked + 2


def test_a_client_that_leaves_while_it_is_tried_says_nothing_of_it(
    serve: Serve, hire: Hire
) -> None:
    gateway, bad, _ = make_ejected(serve, hire, timeout=1000)
    asked = len(bad.requests)
    bad.behaviour = hanging
    pass_time(gateway, FIRST_PAUSE)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: len(bad.requests) == asked + 1)
        client.reset()
    eventually(lambda: gateway.in_flight == 0)
    bad.behaviour = echo
    pass_time(gateway, 2 * LOOK_EVERY)
    assert ejected(gateway) == [bad.url]
    assert workers_of(gateway, 3) == ["good"] * 3

    pass_time(gateway, PATIENCE)

    assert workers_of(gateway, 1) == ["bad"]


def test_clients_that_leave_do_not_make_failures_look_like_answers(
    serve: Serve, hire: Hire
) -> None:
    def behave(talk: Talk) -> bool | None:
        return (resetting if len(bad.requests) % 2 else hanging)(talk)

    bad, good = hire(hanging), hire(name="good")
    bad.behaviour = behave
    gateway = serve(several(bad, good, timeout=1000))
    for number in range(2 * FAILURES - 1):
        with gateway.client() as client:
            while len(bad.requests) == number:
                asked = number + len(good.requests)
                client.send(request())
                eventually(lambda: len(bad.requests) + len(good.requests) > asked)  # noqa: B023
                if len(bad.requests) == number or number % 2 == 0:
                    assert client.answer().status == 200
            client.reset()
        eventually(lambda: gateway.in_flight == 0)

    assert ejected(gateway) == [bad.url]


def test_what_was_ejected_stays_so_under_a_new_file(serve: Serve, hire: Hire) -> None:
    gateway, bad, good = make_ejected(serve, hire)
    gateway.swap(several(bad, good, generation="two"))

    assert ejected(gateway) == [bad.url]


def test_what_is_left_out_is_told(serve: Serve, hire: Hire) -> None:
    gateway, bad, good = make_ejected(serve, hire)

    def look() -> Report:
        gateway.plane.refresh()
        return gather(gateway.plane.archive, State("routing.yaml", ReloadStatus(), False, (), 0))

    report = gateway.run(look)
    version = status_json(report)["routes"]["iris"]["versions"]["v1"]
    metrics = {one.name: one for one in GatewayMetrics(lambda: report, "0").collect()}
    samples = metrics["canary_circuit_open"].samples
    told = {sample.labels["endpoint"]: sample.value for sample in samples}

    assert version["endpoints"] == [
        {"url": bad.url, "in_flight": 0, "ejected": True, "ready": None},
        {"url": good.url, "in_flight": 0, "ejected": False, "ready": None},
    ]
    assert told == {bad.url: 1, good.url: 0}


def test_of_a_version_with_one_endpoint_nothing_is_told(serve: Serve, hire: Hire) -> None:
    report = make_report(make_config({"v1": hire().url}))
    metrics = {one.name: one for one in GatewayMetrics(lambda: report, "0").collect()}

    assert metrics["canary_circuit_open"].samples == []


# --- idle connections


def test_a_connection_nobody_uses_is_closed_on_our_side(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(make_config({"v1": worker.url}))
    gateway.ask()
    pass_time(gateway, (IDLE_LOOKS - 1) * LOOK_EVERY)
    assert worker.open == 1

    pass_time(gateway, LOOK_EVERY)

    eventually(lambda: worker.open == 0)
    assert gateway.ask().status == 200
    assert worker.connections == 2


def test_a_connection_in_use_is_kept(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(make_config({"v1": worker.url}))
    for _ in range(4 * IDLE_LOOKS):
        assert gateway.ask().status == 200
        pass_time(gateway, LOOK_EVERY)

    assert worker.connections == 1


def test_what_a_crowd_needed_goes_when_the_crowd_has_gone(serve: Serve, hire: Hire) -> None:
    gate = threading.Event()

    def behave(talk: Talk) -> None:
        gate.wait(20)
        echo(talk)

    worker = hire(behave)
    gateway = serve(make_config({"v1": worker.url}))
    clients = [gateway.client() for _ in range(20)]
    for client in clients:
        client.send(request())
    eventually(lambda: len(worker.requests) == 20)
    gate.set()
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert worker.open == 20

    for _ in range(IDLE_LOOKS):
        gateway.ask()
        pass_time(gateway, LOOK_EVERY)

    eventually(lambda: worker.open == 1)
    assert gateway.ask().status == 200
    assert worker.connections == 20


def test_a_long_request_is_not_an_idle_connection(serve: Serve, hire: Hire) -> None:
    gate = threading.Event()

    def behave(talk: Talk) -> None:
        gate.wait(20)
        echo(talk)

    worker = hire(behave)
    gateway = serve(make_config({"v1": worker.url}, timeout=1000))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
        pass_time(gateway, 3 * IDLE_LOOKS * LOOK_EVERY)
        gate.set()

        assert client.answer().status == 200


# --- the budget of retries


class Breaking:
    """Answers the first request of each connection; of the second ones, resets ``number`` at once,
    and keeps what is sent again waiting.
    """

    def __init__(self, number: int) -> None:
        self.broken = threading.Barrier(number)
        self.go_on = threading.Event()
        self.again = 0
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self.breaks = False

    def __call__(self, talk: Talk) -> bool | None:
        if self.breaks and talk.number in self._seen:
            self.broken.wait(20)
            return resetting(talk)
        self._seen.add(talk.number)
        if self.breaks:
            with self._lock:
                self.again += 1
            self.go_on.wait(20)
        return echo(talk)


def used_connections(gateway: Gateway, number: int, worker: Worker) -> list[Client]:
    """So many clients, and as many connections to the worker that have answered before."""
    gate = threading.Event()
    behaviour = worker.behaviour

    def together(talk: Talk) -> bool | None:
        gate.wait(20)
        return behaviour(talk)

    worker.behaviour = together
    clients = [gateway.client() for _ in range(number)]
    for client in clients:
        client.send(request())
    eventually(lambda: len(worker.requests) == number)
    gate.set()
    for client in clients:
        assert client.answer().status == 200
    worker.behaviour = behaviour
    return clients


def test_beyond_the_budget_a_failure_is_told_at_once(serve: Serve, hire: Hire) -> None:
    number = 30
    breaking = Breaking(number)
    worker = hire(breaking)
    gateway = serve(make_config({"v1": worker.url}, timeout=60))
    clients = used_connections(gateway, number, worker)
    breaking.breaks = True
    for client in clients:
        client.send(request())
    eventually(lambda: gateway.errors("v1") == {"reset": number - FLOOR})
    assert gateway.in_flight == FLOOR
    breaking.go_on.set()
    statuses = [client.answer().status for client in clients]
    for client in clients:
        client.close()

    assert sorted(statuses) == [200] * FLOOR + [502] * (number - FLOOR)
    assert breaking.again == FLOOR
    assert gateway.retries("v1") == {"reset": FLOOR}
    assert gateway.counts("v1").retries_refused == {"reset": number - FLOOR}


def test_a_candidate_beyond_its_budget_is_replaced_by_stable(serve: Serve, hire: Hire) -> None:
    number = 30
    breaking = Breaking(number)
    stable, worker = hire(name="stable"), hire(breaking)
    gateway = serve(make_config({"v1": stable.url, "v2": (worker.url, 100)}, timeout=60))
    clients = used_connections(gateway, number, worker)
    breaking.breaks = True
    for client in clients:
        client.send(request())
    eventually(lambda: gateway.answers("v1") == {"fallback 200": number - FLOOR})
    breaking.go_on.set()
    names = [client.answer().json()["worker"] for client in clients]
    for client in clients:
        client.close()

    assert sorted(names) == ["stable"] * (number - FLOOR) + ["worker"] * FLOOR


def test_every_request_of_a_dead_candidate_is_answered_by_stable(serve: Serve, hire: Hire) -> None:
    """Fallback is no retry, and has no budget."""
    gate = threading.Event()

    def together(talk: Talk) -> None:
        gate.wait(20)
        echo(talk)

    stable, number = hire(together), 60
    versions = {"v1": stable.url, "v2": (hire(resetting).url, 100)}
    gateway = serve(make_config(versions, timeout=60, limits=Limits(in_flight=number)))
    clients = [gateway.client() for _ in range(number)]
    for client in clients:
        client.send(request())
    eventually(lambda: len(stable.requests) == number)
    gate.set()
    statuses = [client.answer().status for client in clients]
    for client in clients:
        client.close()

    assert statuses == [200] * number


def test_what_was_never_sent_needs_no_budget(serve: Serve, hire: Hire) -> None:
    gate = threading.Event()

    def together(talk: Talk) -> None:
        gate.wait(20)
        echo(talk)

    number = 4 * FLOOR
    with refusing() as nobody:
        good = hire(together)
        gateway = serve(several(url_of(nobody), good, timeout=60))
        clients = [gateway.client() for _ in range(number)]
        for client in clients:
            client.send(request())
        eventually(lambda: len(good.requests) == number)
        gate.set()
        statuses = [client.answer().status for client in clients]
        for client in clients:
            client.close()

    assert statuses == [200] * number
    assert gateway.counts("v1").retries_refused == {"reset": 0}
