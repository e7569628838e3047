"""What workers do wrong, and what a client sees of it: stable's answer, or one honest error."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.model import Limits, RoutingConfig
from gateway.workers.pool import dial
from tests.builders import make_config, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.faults import FAULTS, OK, SLOW, check_error
from tests.sockets.peers import (
    Behaviour,
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

SHORT = 0.3  # seconds: the deadline where one is to pass


def one(worker: Worker | str, **rules: object) -> RoutingConfig:
    """A route with one version."""
    return make_config({"v1": getattr(worker, "url", worker)}, **rules)


def two(stable: Worker | str, candidate: Worker | str, **rules: object) -> RoutingConfig:
    """A route whose requests all go to the candidate."""
    urls = [getattr(each, "url", each) for each in (stable, candidate)]
    return make_config({"v1": urls[0], "v2": (urls[1], 100)}, **rules)


# --- stable alone: one honest error


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_stable_is_one_whole_error(fault: str, serve: Serve, hire: Hire) -> None:
    behaviour, reason, status = FAULTS[fault]
    worker = hire(first=[behaviour])
    gateway = serve(one(worker))
    with gateway.client() as client:
        answer = client.ask()

        check_error(answer, status, reason)
        assert (answer["x-model-version"], answer["x-assignment"]) == ("v1", "weighted")
        assert gateway.errors("v1") == {reason: 1}
        assert gateway.answers("v1") == {f"weighted {status}": 1}
        assert gateway.evidence("v1").bad == 1

        assert client.ask(body=b"next").json()["body"] == "next"
    assert len(worker.requests) == 2


@pytest.mark.parametrize("fault", SLOW)
def test_the_deadline_is_one_for_the_whole_answer(fault: str, serve: Serve, hire: Hire) -> None:
    worker = hire(first=[SLOW[fault]])
    gateway = serve(one(worker, timeout=SHORT))
    with gateway.client() as client:
        answer = client.ask()

        check_error(answer, 504, "timeout")
        assert gateway.errors("v1") == {"timeout": 1}
        eventually(lambda: worker.open == 0)  # its work has been ended
        assert client.ask(body=b"next").json()["body"] == "next"


def test_a_port_nobody_listens_on_is_a_503_at_once(serve: Serve) -> None:
    with refusing() as nobody:
        gateway = serve(one(url_of(nobody)))
        answer = gateway.ask()

    check_error(answer, 503, "connect")
    assert gateway.errors("v1") == {"connect": 1}


def test_a_socket_file_that_does_not_exist_is_a_503(serve: Serve, tmp_path) -> None:
    answer = serve(one(f"unix:{tmp_path}/nobody.sock")).ask()

    check_error(answer, 503, "connect")
    assert str(tmp_path) not in answer.body.decode()


def test_a_name_that_can_be_no_host_is_a_503_at_once(serve: Serve) -> None:
    """It fails in another way than a name nobody knows: UnicodeError, before anything is asked."""
    check_error(serve(one("http://a..b:80")).ask(), 503, "connect")


def test_a_worker_that_resets_whoever_connects_is_an_error(serve: Serve, hire: Hire) -> None:
    gateway = serve(one(hire(reset_on_accept=True)))
    answer = gateway.ask()

    assert answer.status in (502, 503)
    assert answer.json()["reason"] in ("reset", "connect")


def test_a_connection_that_is_never_opened_ends_with_the_deadline(serve: Serve, hire: Hire) -> None:
    async def never(factory, endpoint):
        await asyncio.Event().wait()

    gateway = serve(one(hire(), timeout=SHORT), dial=never)

    check_error(gateway.ask(), 504, "timeout")
    assert gateway.in_flight == 0


def test_a_dead_route_does_not_gather_attempts_to_connect(serve: Serve, hire: Hire) -> None:
    """Each attempt is a socket, and lasts longer than the request that asked for it."""
    attempts: list[object] = []
    gate = asyncio.Event()

    async def black_hole(factory, endpoint):
        attempts.append(endpoint)
        await gate.wait()
        return await dial(factory, endpoint)

    gateway = serve(one(hire(), timeout=100), dial=black_hole)
    for _ in range(20):
        with gateway.client() as client:
            client.send(request())
            eventually(lambda: gateway.in_flight == 1)
            gateway.skip(100)
            assert client.answer().status == 504

    assert len(attempts) == 1

    clients = [gateway.client() for _ in range(5)]
    for i, client in enumerate(clients):
        client.send(request(body=str(i).encode()))
    eventually(lambda: gateway.in_flight == 5)

    assert len(attempts) == 5

    gateway.run(gate.set)
    bodies = [client.answer().json()["body"] for client in clients]
    for client in clients:
        client.close()

    assert bodies == ["0", "1", "2", "3", "4"]


def test_whoever_waits_is_told_when_the_attempt_it_waits_for_fails(
    serve: Serve, hire: Hire
) -> None:
    failing = asyncio.Event()

    async def refuse(factory, endpoint):
        await failing.wait()
        raise ConnectionRefusedError

    gateway = serve(two(hire(name="v1"), "http://127.0.0.1:9", timeout=100), dial=refuse)
    with gateway.client() as leaving:
        leaving.send(request())
        eventually(lambda: gateway.in_flight == 1)
    eventually(lambda: gateway.in_flight == 0)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: gateway.in_flight == 1)
        gateway.run(failing.set)

        assert client.answer().json()["reason"] == "connect"
    assert gateway.errors("v2") == gateway.errors("v1") == {"connect": 1}


def test_an_error_to_head_has_no_body(serve: Serve) -> None:
    with refusing() as nobody, serve(one(url_of(nobody))).client() as client:
        answer = client.ask("HEAD", body=None)

        assert answer.status == 503
        assert int(answer["content-length"]) > 0
        assert client.ask("HEAD", body=None).status == 503


# --- a candidate: stable answers in its place


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_candidate_is_an_answer_of_stable(
    fault: str, serve: Serve, hire: Hire
) -> None:
    behaviour, reason, _ = FAULTS[fault]
    v1, v2 = hire(name="v1"), hire(behaviour)
    gateway = serve(two(v1, v2))
    answer = gateway.ask(body=b"ask somebody")

    assert answer.status == 200
    assert answer.json()["worker"] == "v1"
    assert answer.json()["body"] == "ask somebody"
    assert (answer["x-model-version"], answer["x-assignment"]) == ("v1", "fallback")
    assert gateway.errors("v2") == {reason: 1}
    assert gateway.errors("v1") == {}
    assert gateway.answers("v1") == {"fallback 200": 1}
    assert gateway.answers("v2") == {}
    assert (gateway.evidence("v2").assigned, gateway.evidence("v2").bad) == (1, 1)
    assert gateway.evidence("v1").assigned == 0
    assert (len(v1.requests), len(v2.requests)) == (1, 1)


@pytest.mark.parametrize("fault", SLOW)
def test_a_candidate_that_takes_too_long_leaves_stable_the_time_to_answer(
    fault: str, serve: Serve, hire: Hire
) -> None:
    v1, v2 = hire(name="v1"), hire(SLOW[fault])
    gateway = serve(two(v1, v2, timeout=100))
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: v2.requests)
        gateway.skip(50)
        answer = client.answer()

    assert answer.json()["worker"] == "v1"
    assert answer["x-assignment"] == "fallback"
    assert gateway.errors("v2") == {"timeout": 1}
    eventually(lambda: v2.open == 0)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a_candidates_own_failure_is_an_answer_of_stable(
    status: int, serve: Serve, hire: Hire
) -> None:
    gateway = serve(two(hire(name="v1"), hire(answering(status))))
    answer = gateway.ask()

    assert answer.json()["worker"] == "v1"
    assert answer["x-assignment"] == "fallback"
    assert gateway.errors("v2") == {"upstream_5xx": 1}
    assert gateway.counts("v2").fallbacks["upstream_5xx"] == 1


@pytest.mark.parametrize("status", [400, 404, 422, 429, 499])
def test_a_candidates_refusal_is_its_answer(status: int, serve: Serve, hire: Hire) -> None:
    gateway = serve(two(hire(), hire(answering(status))))
    answer = gateway.ask()

    assert (answer.status, answer["x-model-version"]) == (status, "v2")
    assert gateway.evidence("v2").bad == 0


def test_a_candidate_nobody_listens_for_is_an_answer_of_stable(serve: Serve, hire: Hire) -> None:
    with refusing() as nobody:
        gateway = serve(two(hire(name="v1"), url_of(nobody)))
        answers = [gateway.ask() for _ in range(5)]

    assert {answer.json()["worker"] for answer in answers} == {"v1"}
    assert gateway.errors("v2") == {"connect": 5}


def test_a_large_failure_of_a_candidate_is_an_answer_of_stable_too(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(two(hire(name="v1"), hire(answering(500, b"x" * 9_000_000))))
    answer = gateway.ask()

    assert answer.json()["worker"] == "v1"
    assert gateway.errors("v2") == {"upstream_5xx": 1}


def test_when_both_fail_the_client_is_told_about_stable(serve: Serve, hire: Hire) -> None:
    gateway = serve(two(hire(answering(503, b"mine")), hire(resetting)))
    answer = gateway.ask()

    assert (answer.status, answer.body) == (503, b"mine")
    assert (answer["x-model-version"], answer["x-assignment"]) == ("v1", "fallback")
    assert gateway.errors("v1") == {"upstream_5xx": 1}
    assert gateway.errors("v2") == {"reset": 1}


def test_the_deadline_is_one_for_both(serve: Serve, hire: Hire) -> None:
    gateway = serve(two(hire(hanging), hire(hanging), timeout=SHORT))
    answer = gateway.ask()

    check_error(answer, 504, "timeout")
    assert answer["x-assignment"] == "fallback"
    assert gateway.errors("v1") == gateway.errors("v2") == {"timeout": 1}


def test_without_fallback_the_candidates_failure_is_told(serve: Serve, hire: Hire) -> None:
    v1 = hire()
    gateway = serve(two(v1, hire(resetting), fallback=False))

    check_error(gateway.ask(), 502, "reset")
    assert v1.requests == []


def test_without_fallback_the_candidates_own_failure_passes(serve: Serve, hire: Hire) -> None:
    v1 = hire()
    answer = serve(two(v1, hire(answering(500, b"mine")), fallback=False)).ask()

    assert (answer.status, answer.body, answer["x-model-version"]) == (500, b"mine", "v2")
    assert v1.requests == []


@pytest.mark.parametrize("fault", [resetting, answering(500)])
def test_a_forced_version_never_gives_way(fault: Behaviour, serve: Serve, hire: Hire) -> None:
    v1 = hire()
    gateway = serve(two(v1, hire(fault), override="x-model-version"))
    answer = gateway.ask(fields=[("X-Model-Version", "v2")])

    assert answer.status in (500, 502)
    assert (answer["x-model-version"], answer["x-assignment"]) == ("v2", "forced")
    assert v1.requests == []
    assert gateway.evidence("v2").assigned == 0


def test_a_sticky_user_of_a_failing_candidate_is_answered_by_stable(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(two(hire(name="v1"), hire(resetting), sticky=make_sticky()))
    answer = gateway.ask(fields=[("X-User-Id", "alice")])

    assert answer["x-assignment"] == "fallback"
    assert gateway.evidence("v2").bad == 1


def test_a_wellbehaved_candidate_answers_itself(serve: Serve, hire: Hire) -> None:
    v1 = hire()
    answer = serve(two(v1, hire(name="v2"))).ask()

    assert answer.json()["worker"] == "v2"
    assert v1.requests == []


# --- what may be asked twice


@pytest.mark.parametrize("fault", [closing, resetting, *[FAULTS[name][0] for name in FAULTS][4:9]])
def test_what_is_not_idempotent_is_never_sent_twice(
    fault: Behaviour, serve: Serve, hire: Hire
) -> None:
    v1, v2 = hire(), hire(fault)
    gateway = serve(two(v1, v2, idempotent=False))
    answer = gateway.ask()

    assert answer.status == 502
    assert answer["x-model-version"] == "v2"
    assert (len(v1.requests), len(v2.requests)) == (0, 1)


def test_what_is_not_idempotent_and_too_slow_is_never_sent_twice(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire(hanging)
    gateway = serve(two(v1, v2, idempotent=False, timeout=SHORT))

    check_error(gateway.ask(), 504, "timeout")
    assert (len(v1.requests), len(v2.requests)) == (0, 1)


def test_a_failure_of_what_is_not_idempotent_is_the_candidates_own(
    serve: Serve, hire: Hire
) -> None:
    v1 = hire()
    answer = serve(two(v1, hire(answering(500, b"mine")), idempotent=False)).ask()

    assert (answer.status, answer.body) == (500, b"mine")
    assert v1.requests == []


def test_what_was_never_sent_goes_to_stable_whether_idempotent_or_not(
    serve: Serve, hire: Hire
) -> None:
    with refusing() as nobody:
        gateway = serve(two(hire(name="v1"), url_of(nobody), idempotent=False))

        assert gateway.ask().json()["worker"] == "v1"


# --- connections that were idle too long


def test_a_worker_that_closed_an_idle_connection_costs_nobody_an_answer(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    gateway = serve(one(worker))
    for _ in range(10):
        assert gateway.ask().status == 200
        worker.drop_idle()

    assert gateway.errors("v1") == {}


def closing_idle(worker: Worker, kind: str) -> Behaviour:
    """Answer the first request of each connection, and end it at the sight of the second one."""
    seen: set[int] = set()

    def behave(talk: Talk) -> bool | None:
        if talk.number in seen:
            return (closing if kind == "close" else resetting)(talk)
        seen.add(talk.number)
        return echo(talk)

    return behave


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_connection_closed_in_the_very_moment_of_sending_is_replaced(
    kind: str, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    worker.behaviour = closing_idle(worker, kind)
    gateway = serve(one(worker))
    bodies = [gateway.ask(body=str(i).encode()).json()["body"] for i in range(10)]

    assert bodies == [str(i) for i in range(10)]
    assert gateway.errors("v1") == {}
    assert gateway.retries("v1") == {"reset": 9} or gateway.retries("v1")["reset"] >= 5


def test_such_a_request_is_not_sent_again_unless_it_may_be(serve: Serve, hire: Hire) -> None:
    worker = hire()
    worker.behaviour = closing_idle(worker, "reset")
    gateway = serve(one(worker, idempotent=False))
    statuses = [gateway.ask().status for _ in range(2)]

    assert statuses == [200, 502]
    assert len(worker.requests) == 2


def test_a_worker_that_always_resets_is_asked_twice_at_most(serve: Serve, hire: Hire) -> None:
    worker = hire(resetting, first=[echo])
    gateway = serve(one(worker))
    statuses = [gateway.ask().status for _ in range(2)]

    assert statuses == [200, 502]
    assert len(worker.requests) == 3


def test_a_used_connection_that_broke_in_its_answer_is_no_stale_one(
    serve: Serve, hire: Hire
) -> None:
    worker = hire(saying(OK + b"Content-Length: 9\r\n\r\nhalf", "reset"), first=[echo])
    gateway = serve(one(worker))
    statuses = [gateway.ask().status for _ in range(2)]

    assert statuses == [200, 502]
    assert gateway.retries("v1") == {}


# --- bytes nobody asked for


def whole(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(
    "surplus",
    [
        b"x",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfal",
        b"HTTP/1.1 2",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked", "bodiless"])
def test_surplus_bytes_of_a_worker_reach_nobody(
    surplus: bytes, framing: str, serve: Serve, hire: Hire
) -> None:
    said = {
        "length": whole(b"right"),
        "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nright\r\n0\r\n\r\n",
        "bodiless": b"HTTP/1.1 204 No Content\r\n\r\n",
    }[framing]
    worker = hire(first=[saying(said + surplus)])
    gateway = serve(one(worker))
    first = gateway.ask()
    rest = [gateway.ask(body=str(i).encode()).json()["body"] for i in range(3)]

    assert first.body == (b"" if framing == "bodiless" else b"right")
    assert rest == ["0", "1", "2"]
    if surplus != b"\r\n":
        assert worker.connections == 2


def test_surplus_bytes_that_come_later_close_the_idle_connection(serve: Serve, hire: Hire) -> None:
    later = threading.Event()

    def behave(talk: Talk) -> None:
        talk.send(whole(b"right"))
        later.wait(10)
        talk.send(whole(b"false"))

    worker = hire(first=[behave])
    gateway = serve(one(worker))

    assert gateway.ask().body == b"right"

    later.set()
    eventually(lambda: worker.open == 0)

    assert gateway.ask(body=b"next").json()["body"] == "next"
    assert worker.connections == 2


def test_a_closed_idle_connection_is_never_given_out(serve: Serve, hire: Hire) -> None:
    """Between the closing and the loop's word of it a request may come."""
    worker = hire()
    gateway = serve(one(worker, idempotent=False))
    gateway.ask()

    def close_and_ask() -> None:
        (connection,) = gateway.live.serving.pools[0].members[0]._idle
        connection.data_received(b"nobody asked for this")
        asked.send(request(body=b"next"))

    with gateway.client() as asked:
        gateway.run(close_and_ask)
        answer = asked.answer()

    assert answer.json()["body"] == "next"


def test_interim_answers_are_passed_over(serve: Serve, hire: Hire) -> None:
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n"
    )
    worker = hire(saying(interim + whole(b"final")))
    gateway = serve(one(worker))
    answers = [gateway.ask() for _ in range(3)]

    assert [answer.body for answer in answers] == [b"final"] * 3
    assert "link" not in answers[0]
    assert worker.connections == 1


def test_an_answer_before_the_request_was_read_is_an_answer(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(413, b"too much"), reads_bodies=False)
    gateway = serve(one(worker))
    answer = gateway.ask(body=b"x" * 200_000)

    assert (answer.status, answer.body) == (413, b"too much")


# --- several endpoints


def test_the_least_busy_endpoint_is_asked(serve: Serve, hire: Hire) -> None:
    def behave(talk: Talk) -> bool | None:
        return (hanging if talk.request.body == b"wait" else echo)(talk)

    workers = [hire(behave, name=name) for name in ("a", "b")]
    gateway = serve(make_config({"v1": [worker.url for worker in workers]}))
    with gateway.client() as waiting:
        waiting.send(request(body=b"wait"))
        busy = eventually(lambda: [worker.name for worker in workers if worker.requests])
        asked = {gateway.ask().json()["worker"] for _ in range(10)}

    assert asked == {"a", "b"} - set(busy)


def test_endpoints_that_are_equally_busy_take_turns(serve: Serve, hire: Hire) -> None:
    workers = [hire(name=name) for name in ("a", "b", "c")]
    gateway = serve(make_config({"v1": [worker.url for worker in workers]}))
    asked = [gateway.ask().json()["worker"] for _ in range(9)]

    assert {name: asked.count(name) for name in "abc"} == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize("idempotent", [True, False])
def test_an_endpoint_nobody_listens_on_costs_nobody_an_answer(
    idempotent: bool, serve: Serve, hire: Hire
) -> None:
    worker = hire()
    with refusing() as nobody:
        config = make_config({"v1": [url_of(nobody), worker.url]}, idempotent=idempotent)
        gateway = serve(config)
        statuses = [gateway.ask().status for _ in range(6)]

    assert statuses == [200] * 6
    assert gateway.retries("v1")["connect"] >= 3
    assert gateway.errors("v1") == {}
    assert gateway.evidence("v1").bad == 0


def test_an_endpoint_that_resets_costs_nobody_an_answer(serve: Serve, hire: Hire) -> None:
    bad, good = hire(resetting), hire(name="good")
    gateway = serve(make_config({"v1": [bad.url, good.url]}))
    workers = [gateway.ask().json()["worker"] for _ in range(6)]

    assert workers == ["good"] * 6
    assert gateway.retries("v1")["reset"] == len(bad.requests) >= 3


def test_an_endpoint_that_resets_what_is_not_idempotent_is_an_error(
    serve: Serve, hire: Hire
) -> None:
    bad, good = hire(resetting), hire()
    gateway = serve(make_config({"v1": [bad.url, good.url]}, idempotent=False))
    statuses = [gateway.ask().status for _ in range(6)]

    assert sorted(statuses) == [200] * 3 + [502] * 3
    assert len(bad.requests) + len(good.requests) == 6


def test_when_no_endpoint_answers_the_candidate_gives_way(serve: Serve, hire: Hire) -> None:
    v1, bad = hire(name="v1"), [hire(resetting), hire(resetting)]
    gateway = serve(make_config({"v1": v1.url, "v2": ([each.url for each in bad], 100)}))
    answer = gateway.ask()

    assert answer.json()["worker"] == "v1"
    assert [len(each.requests) for each in bad] == [1, 1]
    assert gateway.evidence("v2").bad == 1


# --- the limit on requests at once


def test_beyond_the_limit_a_request_is_refused_at_once(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(one(worker, limits=Limits(in_flight=2)))
    with gateway.client() as first, gateway.client() as second:
        first.send(request())
        second.send(request())
        eventually(lambda: gateway.in_flight == 2)
        answer = gateway.ask()

        check_error(answer, 503, "shed")
        assert gateway.errors("v1") == {"shed": 1}
        eventually(lambda: len(worker.requests) == 2)
    eventually(lambda: gateway.in_flight == 0)
    worker.behaviour = echo

    assert gateway.ask().status == 200


def test_a_version_at_its_limit_does_not_hurt_the_other(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(hanging)
    gateway = serve(two(v1, v2, limits=Limits(in_flight=1), fallback=True))
    with gateway.client() as first:
        first.send(request())
        eventually(lambda: v2.requests)
        answers = [gateway.ask() for _ in range(3)]

    assert {answer.json()["worker"] for answer in answers} == {"v1"}
    assert {answer["x-assignment"] for answer in answers} == {"fallback"}
    assert gateway.errors("v2")["shed"] == 3


def test_the_limit_counts_all_endpoints_of_a_version(serve: Serve, hire: Hire) -> None:
    workers = [hire(hanging), hire(hanging)]
    config = make_config({"v1": [worker.url for worker in workers]}, limits=Limits(in_flight=2))
    gateway = serve(config)
    with gateway.client() as first, gateway.client() as second:
        first.send(request())
        second.send(request())
        eventually(lambda: gateway.in_flight == 2)

        check_error(gateway.ask(), 503, "shed")


def test_room_is_free_again_after_every_kind_of_end(serve: Serve, hire: Hire) -> None:
    worker = hire(first=[behaviour for behaviour, _, _ in FAULTS.values()])
    gateway = serve(one(worker, limits=Limits(in_flight=1)))
    for _ in FAULTS:
        assert gateway.ask().status == 502

    assert gateway.in_flight == 0
    assert gateway.ask().status == 200


def test_connections_are_opened_side_by_side_and_then_shared(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gate = asyncio.Event()

    async def slowly(factory, endpoint):
        await gate.wait()
        return await dial(factory, endpoint)

    gateway = serve(one(worker), dial=slowly)
    clients = [gateway.client() for _ in range(10)]
    for i, client in enumerate(clients):
        client.send(request(body=str(i).encode()))
    eventually(lambda: gateway.in_flight == 10)
    gateway.run(gate.set)
    bodies = [client.answer().json()["body"] for client in clients]
    for client in clients:
        client.close()

    assert bodies == [str(i) for i in range(10)]
    assert worker.connections <= 10
