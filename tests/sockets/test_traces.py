"""What becomes of the trace a client says it is part of."""

from __future__ import annotations

import pytest

from gateway.counting.exemplars import Exemplar
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Fields,
    Gateway,
    answering,
    closing,
    eventually,
    hanging,
    refusing,
    request,
    url_of,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + "0"
STABLE = ("iris", "v1", "stable")
CANDIDATE = ("iris", "v2", "candidate")

PASSED: dict[str, Fields] = {
    "as it should be": [("traceparent", PARENT), ("tracestate", "a=1,b=2")],
    "mixed case": [("TraceParent", PARENT), ("traceState", "a=1")],
    "several states": [("tracestate", "a=1"), ("traceparent", PARENT), ("tracestate", "b=2")],
    "a state alone": [("tracestate", "a=1")],
    "not sampled": [("traceparent", UNSAMPLED)],
    "two parents": [("traceparent", PARENT), ("traceparent", UNSAMPLED)],
    "invalid": [("traceparent", "00-0-0-01"), ("tracestate", "=;=,,")],
    "empty": [("traceparent", ""), ("tracestate", "")],
}


def of_traces(fields: Fields) -> Fields:
    return [pair for pair in fields if pair[0].lower().startswith("trace")]


@pytest.mark.parametrize("name", PASSED)
def test_a_trace_passes_as_it_came(name: str, serve: Serve, hire: Hire) -> None:
    worker = hire(answering())
    gateway = serve(make_config({"v1": worker.url}))
    with gateway.client() as client:
        for _ in range(3):  # the third time the head is known
            assert of_traces(client.ask(fields=PASSED[name]).fields) == []

    told = [of_traces(one.fields) for one in worker.requests]
    assert told == [PASSED[name]] * 3


def test_an_answer_keeps_what_its_worker_says_of_the_trace(serve: Serve, hire: Hire) -> None:
    said = [("TraceParent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]
    worker = hire(answering(fields=said))
    answer = serve(make_config({"v1": worker.url})).ask(fields=[("traceparent", UNSAMPLED)])

    assert of_traces(answer.fields) == said


# --- exemplars


def named(gateway: Gateway, key: tuple[str, ...] = STABLE) -> list[Exemplar]:
    """The requests that are named for a version."""
    rows = gateway.run(lambda: {key: list(row) for key, row in gateway.plane.exemplars().items()})
    return [one for one in rows[key] if one is not None]


def trace_of(number: int) -> str:
    return f"{number + 1:032x}"


def parent_of(number: int) -> Fields:
    return [("traceparent", f"00-{trace_of(number)}-b7ad6b7169203331-01")]


def test_a_request_of_a_sampled_trace_is_named(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    gateway.ask(fields=[("traceparent", PARENT)])
    gateway.settle()
    (exemplar,) = named(gateway)

    assert exemplar.trace == TRACE
    counted = gateway.counts("v1").waited
    assert counted.buckets[gateway.plane.exemplars()[STABLE].index(exemplar)] == 1
    assert exemplar.seconds == pytest.approx(counted.sum)


@pytest.mark.parametrize("name", ["not sampled", "two parents", "invalid", "empty"])
def test_any_other_is_not(name: str, serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    gateway.ask(fields=PASSED[name])
    gateway.settle()

    assert named(gateway) == []


def test_who_answered_in_anothers_place_is_named_for_itself(serve: Serve, hire: Hire) -> None:
    versions = {"v1": hire().url, "v2": (hire(answering(500)).url, 100)}
    gateway = serve(make_config(versions))
    assert gateway.ask(fields=parent_of(1))["x-assignment"] == "fallback"
    gateway.settle()

    assert [one.trace for one in named(gateway)] == [trace_of(1)]
    assert named(gateway, CANDIDATE) == []


def test_the_gateways_own_answer_is_named_too(serve: Serve) -> None:
    with refusing() as nobody:
        gateway = serve(make_config({"v1": url_of(nobody)}))
        assert gateway.ask(fields=parent_of(1)).status == 503
        gateway.settle()

        assert [one.trace for one in named(gateway)] == [trace_of(1)]


def test_who_left_is_named_with_what_it_waited(serve: Serve, hire: Hire) -> None:
    worker = hire(hanging)
    gateway = serve(make_config({"v1": worker.url}))
    with gateway.client() as client:
        client.send(request(fields=parent_of(1)))
        eventually(lambda: worker.requests)
    eventually(lambda: named(gateway))

    assert named(gateway)[0].trace == trace_of(1)


def test_a_file_without_a_version_forgets_its_traces(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire(closing)
    both = make_config({"v1": v1.url, "v2": (v2.url, 100)}, fallback=False, idempotent=False)
    gateway = serve(both)
    gateway.ask(fields=parent_of(1))
    gateway.settle()
    assert named(gateway, CANDIDATE)
    gateway.swap(make_config({"v1": v1.url}, generation="two"))

    assert list(gateway.plane.exemplars()) == [STABLE]


def test_requests_sent_ahead_are_named_each_for_itself(serve: Serve, hire: Hire) -> None:
    gateway = serve(make_config({"v1": hire().url}))
    with gateway.client() as client:
        client.send(request() + request(fields=parent_of(1)) + request())
        assert [client.answer().status for _ in range(3)] == [200] * 3
    gateway.settle()

    assert [one.trace for one in named(gateway)] == [trace_of(1)]
