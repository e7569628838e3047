"""Endpoints that are asked whether they are ready: who gets requests, and what a check is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.status import status_json
from gateway.counting.report import ReloadStatus, Report, State, gather
from gateway.metrics.collector import GatewayMetrics
from gateway.model import Endpoint, RoutingConfig, Tls
from gateway.routing.table import compile_table
from gateway.workers import dial as dialling
from gateway.workers.check import EVERY, Check
from gateway.workers.dial import dial
from gateway.workers.ejection import FAILURES, FIRST_PAUSE
from gateway.workers.readiness import SILENCES
from gateway.workers.upstream import UpstreamConnection
from tests import certificates
from tests.builders import make_config, with_readiness
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Behaviour,
    Clock,
    Gateway,
    Talk,
    Worker,
    answering,
    closing,
    echo,
    eventually,
    hanging,
    refusing,
    resetting,
    saying,
    url_of,
)

PATH = "/ready"


class Still(Clock):
    """Time that passes only where a test says so."""

    def __call__(self) -> float:
        return self.ahead


@pytest.fixture
def serve(serve: Serve) -> Serve:
    """A gateway in such a time."""
    return lambda *config, **more: serve(*config, **{"clock": Still()} | more)


class Model:
    """A worker's behaviour: ``says`` to checks, ``does`` to requests."""

    def __init__(self, says: Behaviour | int = 200, does: Behaviour = echo) -> None:
        self.says = says
        self.does = does

    def __call__(self, talk: Talk) -> bool | None:
        if talk.request.target != PATH:
            return self.does(talk)
        return (answering(self.says) if isinstance(self.says, int) else self.says)(talk)


def several(*workers: Worker | str, **rules: object) -> RoutingConfig:
    """A route whose one version has these endpoints."""
    urls = [getattr(each, "url", each) for each in workers]
    return with_readiness(make_config({"v1": urls}, **rules), PATH)


def asked(worker: Worker) -> int:
    """Requests of clients that have reached a worker."""
    return sum(request.target != PATH for request in tuple(worker.requests))


def checked(worker: Worker) -> int:
    """Checks that have reached a worker."""
    return sum(request.target == PATH for request in tuple(worker.requests))


def checks(gateway: Gateway) -> tuple[Check, ...]:
    return gateway.live._checks


def begin(gateway: Gateway) -> None:
    """Let the time of the next check of every endpoint come, once those before it have ended."""

    def begun() -> bool:
        if any(one.under_way or one._due is None for one in checks(gateway)):
            return False
        gateway.skip(EVERY)
        gateway.live.sweep(gateway.clock())
        return True

    eventually(lambda: gateway.run(begun))


def check(gateway: Gateway, times: int = 1) -> None:
    """Let every endpoint be asked once more, and wait until all have answered."""
    for _ in range(times):
        begin(gateway)
        eventually(lambda: not any(one.under_way for one in checks(gateway)))


def give_up(gateway: Gateway, times: int = 1) -> None:
    """Let the first endpoint, which does not answer, be asked so often and the answer be late."""

    def given_up() -> bool:
        first, *others = checks(gateway)
        if first._due is None or any(one.under_way for one in others):
            return False
        late = first._connection is not None
        if late or not first.under_way:
            gateway.skip(EVERY)
            gateway.live.sweep(gateway.clock())
        return late

    for _ in range(times):
        eventually(lambda: gateway.run(given_up))


def report_of(gateway: Gateway) -> Report:
    def look() -> Report:
        gateway.plane.refresh()
        state = State("routing.yaml", ReloadStatus(), False, gateway.plane.processes(), 0)
        return gather(gateway.plane.archive, state)

    return gateway.run(look)


def ready(gateway: Gateway, version: str = "v1") -> list[bool | None]:
    """Which endpoints of a version are told to be ready, in their order."""
    report = report_of(gateway)
    told = status_json(report)["routes"]["iris"]["versions"][version]["endpoints"]
    metrics = {one.name: one for one in GatewayMetrics(lambda: report, "0").collect()}
    samples = metrics["canary_upstream_up"].samples
    up = [one.value == 1 for one in samples if one.labels["version"] == version]
    assert [one["ready"] for one in told if one["ready"] is not None] == up
    return [one["ready"] for one in told]


def workers_of(gateway: Gateway, number: int) -> set[str]:
    """Who answers so many requests, one after the other."""
    return {gateway.ask().json()["worker"] for _ in range(number)}


# --- who gets requests


def test_who_is_up_again_but_not_ready_gets_no_request_until_it_says_so(
    serve: Serve, hire: Hire, tmp_path: Path
) -> None:
    path = str(tmp_path / "worker.sock")
    good = hire(Model(), name="good")
    gateway = serve(several(f"unix:{path}", good))
    check(gateway)
    assert workers_of(gateway, 3 * FAILURES) == {"good"}  # the other is down: refused, and retried
    assert ready(gateway) == [False, True]

    loading = Model(says=503)
    again = hire(loading, name="again", path=path)
    check(gateway, times=round(3 * FIRST_PAUSE))
    assert workers_of(gateway, 10) == {"good"}
    assert (asked(again), ready(gateway)) == (0, [False, True])

    loading.says = 200
    check(gateway)
    assert workers_of(gateway, 4) == {"good", "again"}
    assert ready(gateway) == [True, True]


def test_who_was_left_out_is_tried_only_when_it_is_ready(serve: Serve, hire: Hire) -> None:
    model = Model(does=resetting)
    bad, good = hire(model, name="bad"), hire(Model(), name="good")
    gateway = serve(several(bad, good))
    check(gateway)
    while asked(bad) < FAILURES:
        gateway.ask()
    model.says, model.does = hanging, echo
    give_up(gateway)  # one silence is enough for who is left out
    assert ready(gateway) == [False, True]

    model.says = 503
    check(gateway, times=round(2 * FIRST_PAUSE))
    assert workers_of(gateway, 6) == {"good"}
    assert asked(bad) == FAILURES

    model.says = 200
    check(gateway)
    assert gateway.ask().json()["worker"] == "bad"  # one request tries it
    assert workers_of(gateway, 3) == {"good"}
    check(gateway)
    assert workers_of(gateway, 4) == {"good", "bad"}


def test_who_says_it_is_not_ready_gets_no_request_though_it_answers(
    serve: Serve, hire: Hire
) -> None:
    leaving = Model()
    first, second = hire(leaving, name="first"), hire(Model(), name="second")
    gateway = serve(several(first, second))
    check(gateway)
    assert workers_of(gateway, 4) == {"first", "second"}
    leaving.says = 503
    check(gateway)
    before = asked(first)

    assert workers_of(gateway, 10) == {"second"}
    assert asked(first) == before
    assert ready(gateway) == [False, True]
    assert report_of(gateway).ejected(*place_and_first(gateway)) == 0


def place_and_first(gateway: Gateway) -> tuple[Any, Endpoint]:
    """The first version's place, and its first endpoint."""
    place = gateway.live.serving.table.places[0]
    return place, place.route.version(place.version).endpoints[0]


def test_where_nobody_is_ready_all_are_asked_as_if_nobody_had_been(
    serve: Serve, hire: Hire
) -> None:
    """A path that does not exist must not take a version out."""
    workers = [hire(Model(says=404), name=name) for name in ("first", "second")]
    gateway = serve(several(*workers))
    check(gateway, times=3)

    assert ready(gateway) == [False, False]
    assert workers_of(gateway, 4) == {"first", "second"}


def test_where_nobody_is_ready_who_fails_is_left_out_and_comes_back_all_the_same(
    serve: Serve, hire: Hire
) -> None:
    model = Model(says=404, does=resetting)
    bad, other = hire(model, name="bad"), hire(Model(says=404), name="other")
    gateway = serve(several(bad, other))
    check(gateway)
    for _ in range(2 * FAILURES):
        assert gateway.ask().status == 200
    assert asked(bad) == FAILURES
    model.does = echo
    check(gateway, times=round(FIRST_PAUSE))

    assert workers_of(gateway, 2) == {"bad", "other"}


def test_the_only_endpoint_is_asked_ready_or_not(serve: Serve, hire: Hire) -> None:
    worker = hire(Model(says=503))
    gateway = serve(with_readiness(make_config({"v1": worker.url}), PATH))
    check(gateway, times=2)

    assert ready(gateway) == [False]
    assert [gateway.ask().status for _ in range(3)] == [200] * 3


def test_who_is_not_ready_is_better_than_none(serve: Serve, hire: Hire) -> None:
    """The last resort of a request that the only one that is ready has not answered."""
    sick = Model(does=resetting)
    first, second = hire(sick, name="first"), hire(Model(says=503), name="second")
    gateway = serve(several(first, second))
    check(gateway)

    assert workers_of(gateway, 3) == {"second"}
    assert asked(first) == 3


def test_of_a_candidate_that_is_not_ready_stable_answers_what_it_cannot(
    serve: Serve, hire: Hire
) -> None:
    stable = hire(Model(), name="stable")
    with refusing() as nobody:
        gateway = serve(
            with_readiness(make_config({"v1": stable.url, "v2": (url_of(nobody), 50)}), PATH),
            draw=lambda: 0.0,
        )
        check(gateway, times=2)

        assert ready(gateway, "v2") == [False]
        assert workers_of(gateway, 4) == {"stable"}
        assert gateway.errors("v2") == {"connect": 4}
        assert gateway.live.serving.table.config.routes[0].weight("v2") == 5000


def test_an_endpoint_may_be_asked_by_the_health_of_the_open_inference_protocol(
    serve: Serve, hire: Hire
) -> None:
    def loading(talk: Talk) -> None:
        talk.reply(400 if talk.request.target == "/v2/health/ready" else 200)

    first, second = hire(loading, name="first"), hire(name="second")
    urls = [first.url, second.url]
    gateway = serve(with_readiness(make_config({"v1": urls}), "/v2/health/ready"))
    check(gateway)

    assert ready(gateway) == [False, True]
    assert workers_of(gateway, 4) == {"second"}
    # Clients that ask at the same path are answered as by any other request.
    assert gateway.ask("GET", "/v2/health/ready", body=None).json()["worker"] == "second"


def test_one_who_is_busy_may_be_silent_now_and_then(serve: Serve, hire: Hire) -> None:
    busy = Model()
    first, second = hire(busy, name="first"), hire(Model(), name="second")
    gateway = serve(several(first, second))
    check(gateway)
    busy.says = hanging
    give_up(gateway, SILENCES - 1)
    assert ready(gateway) == [True, True]

    give_up(gateway)

    assert ready(gateway) == [False, True]
    assert workers_of(gateway, 4) == {"second"}


# --- what an answer says

SAID: dict[str, tuple[Behaviour, bool]] = {
    "200": (answering(200), True),
    "204": (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), True),
    "299": (answering(299), True),
    "200 until the end": (saying(b"HTTP/1.0 200 OK\r\n\r\nready", "close"), True),
    "200 as a stream": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
        True,
    ),
    "103 and 200": (
        saying(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        True,
    ),
    "302": (answering(302, fields=[("Location", PATH)]), False),
    "404": (answering(404), False),
    "500": (answering(500), False),
    "503 as a stream": (
        saying(b"HTTP/1.1 503 No\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
        False,
    ),
    "nonsense": (saying(b"ready\r\n\r\n"), False),
    "half an answer": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nrea", "close"), False),
    "nothing": (closing, False),
    "a reset": (resetting, False),
}


@pytest.mark.parametrize("said", SAID)
def test_only_a_whole_2xx_is_ready(said: str, serve: Serve, hire: Hire) -> None:
    behaviour, is_ready = SAID[said]
    worker = hire(Model(behaviour))
    gateway = serve(several(worker))
    check(gateway)

    assert ready(gateway) == [is_ready]
    eventually(lambda: worker.open == 0)


def test_who_is_not_asked_is_told_of_without_it(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))

    assert ready(gateway) == [None]


def test_a_check_is_a_plain_get_to_the_endpoint(serve: Serve, hire: Hire) -> None:
    worker = hire(Model())
    gateway = serve(several(worker))
    check(gateway)
    request = worker.requests[0]

    assert (request.method, request.target, request.body) == ("GET", PATH, b"")
    assert dict(request.fields) == {
        "Host": worker.url.removeprefix("http://"),
        "User-Agent": "canary-gateway-readiness",
        "Accept": "*/*",
        "Connection": "close",
    }


def test_a_worker_with_a_certificate_is_verified_before_it_is_asked(
    serve: Serve, hire: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "_contexts", {})
    monkeypatch.setattr(dialling, "_said", {})
    ours = hire(Model(), context=certificates.serving(certificates.issued()))
    strange = hire(Model(), context=certificates.serving(certificates.issued(by="strangers")))
    ca = certificates.write_authority(tmp_path)
    gateway = serve(trusting(several(ours, strange), ca))
    check(gateway)

    assert ready(gateway) == [True, False]
    assert strange.requests == []


def trusting(config: RoutingConfig, ca: str) -> RoutingConfig:
    """The same file, whose workers are verified by this authority."""
    (route,) = config.routes
    (version,) = route.versions
    endpoints = tuple(replace(each, tls=Tls(ca)) for each in version.endpoints)
    trusted = replace(version, endpoints=endpoints)
    return replace(config, routes=(replace(route, versions=(trusted,)),))


# --- what a check is not


def test_checks_are_neither_traffic_nor_evidence(serve: Serve, hire: Hire) -> None:
    first, second = hire(Model()), hire(Model(says=503))
    gateway = serve(several(first, second))
    begin(gateway)
    assert gateway.in_flight == 0
    check(gateway, times=5)

    counts = gateway.counts("v1")
    assert (counts.assigned, counts.bad, sum(counts.worked.buckets)) == (0, 0, 0)
    assert (gateway.answers("v1"), gateway.errors("v1"), gateway.retries("v1")) == ({}, {}, {})
    assert gateway.refusals() == 0


def test_each_check_has_a_connection_of_its_own_which_is_closed(serve: Serve, hire: Hire) -> None:
    worker = hire(Model())
    gateway = serve(several(worker))
    check(gateway, times=5)

    eventually(lambda: worker.open == 0 and worker.connections == checked(worker))
    assert checked(worker) >= 5


def test_a_check_that_hangs_is_given_up_and_its_connection_closed(serve: Serve, hire: Hire) -> None:
    worker = hire(Model(says=hanging))
    gateway = serve(several(worker))
    for number in range(1, 5):
        eventually(lambda: checked(worker) == number)  # noqa: B023
        assert worker.connections == number  # one at a time
        give_up(gateway)
        eventually(lambda: worker.abandoned == number)  # noqa: B023
        gateway.run(lambda: gateway.live.sweep(gateway.clock()))

    assert ready(gateway) == [False]
    assert gateway.ask().status == 200


class Stuck:
    """A network that answers nobody until it is told to go on; a name server, for example."""

    def __init__(self) -> None:
        self.dials = 0
        self.go_on = asyncio.Event()

    async def __call__(
        self, factory: Callable[[], UpstreamConnection], endpoint: Endpoint
    ) -> UpstreamConnection:
        self.dials += 1
        await self.go_on.wait()
        return await dial(factory, endpoint)


def test_checks_that_cannot_connect_do_not_pile_up(serve: Serve, hire: Hire) -> None:
    network = Stuck()
    worker = hire(Model())
    gateway = serve(several(worker), dial=network)
    eventually(lambda: network.dials == 1)
    for _ in range(5):
        gateway.skip(EVERY)
        gateway.run(lambda: gateway.live.sweep(gateway.clock()))
    assert network.dials == 1
    assert ready(gateway) == [False]

    gateway.run(network.go_on.set)

    eventually(lambda: ready(gateway) == [True])  # late is better than never


# --- when checks end


def test_checks_end_with_the_version(serve: Serve, hire: Hire) -> None:
    gone, hung, stays = hire(Model()), hire(Model(says=hanging)), hire(Model())
    gateway = serve(
        with_readiness(make_config({"v1": stays.url, "v2": gone.url, "v3": hung.url}), PATH)
    )
    begin(gateway)
    eventually(lambda: checked(gone) and checked(hung) and checked(stays))
    gateway.swap(with_readiness(make_config({"v1": stays.url}, generation="two"), PATH))

    eventually(lambda: gone.open == 0)
    eventually(lambda: hung.open == 0)  # the one under way, too
    before = checked(gone), checked(hung), checked(stays)
    check(gateway, times=4)
    assert (checked(gone), checked(hung)) == before[:2]
    assert checked(stays) >= before[2] + 4


def test_what_is_known_of_an_endpoint_outlives_a_new_file(serve: Serve, hire: Hire) -> None:
    workers = hire(Model(says=503), name="first"), hire(Model(), name="second")
    gateway = serve(several(*workers))
    check(gateway)
    gateway.swap(several(*workers, generation="two"))

    assert ready(gateway) == [False, True]
    assert workers_of(gateway, 4) == {"second"}


def test_another_path_is_asked_anew_and_none_no_more(serve: Serve, hire: Hire) -> None:
    workers = hire(Model(says=503), name="first"), hire(Model(), name="second")
    gateway = serve(several(*workers))
    check(gateway)
    urls = [worker.url for worker in workers]
    table = compile_table(with_readiness(make_config({"v1": urls}, generation="two"), "/other"))

    def swap() -> list[bool]:
        gateway.plane.put(table)
        return [one.readiness.ready for one in gateway.live.serving.pools[0].members]

    assert gateway.run(swap) == [False, False]
    check(gateway)
    assert ready(gateway) == [True, True]
    assert workers[0].requests[-1].target == "/other"

    gateway.swap(make_config({"v1": urls}, generation="three"))

    assert ready(gateway) == [None, None]
    assert checks(gateway) == ()
    assert workers_of(gateway, 4) == {"first", "second"}


def test_without_the_key_who_was_held_gets_requests_again(serve: Serve, hire: Hire) -> None:
    workers = hire(Model(says=503), name="first"), hire(Model(), name="second")
    gateway = serve(several(*workers))
    check(gateway)
    assert workers_of(gateway, 4) == {"second"}

    gateway.swap(make_config({"v1": [worker.url for worker in workers]}, generation="two"))

    assert workers_of(gateway, 4) == {"first", "second"}


def test_a_gateway_that_ends_leaves_no_check_behind(hire: Hire) -> None:
    worker = hire(Model(says=hanging))
    gateway = Gateway(several(worker))
    eventually(lambda: checked(worker))
    gateway.close()

    eventually(lambda: worker.open == 0)
    assert gateway.problems == []
