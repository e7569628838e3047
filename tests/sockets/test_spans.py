"""What is told of a request in spans, and what a worker is told of its parent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing as closed

import pytest

from gateway.counting.exemplars import Exemplar
from gateway.model import Match
from gateway.traces.sampling import Sampling
from gateway.traces.span import Span, Visit, spans_of
from gateway.traces.spans import exporting
from gateway.traces.tracer import Tracer
from gateway.traces.tracing import read_traceparent
from tests.builders import make_config
from tests.collector import Collector, attributes_of
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Fields,
    Gateway,
    Message,
    answering,
    closing,
    echo,
    eventually,
    hanging,
    refusing,
    request,
    url_of,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = PARENT[:-1] + "0"


class Told:
    """What a gateway with traces told of, once it was asked for."""

    def __init__(self, share: float) -> None:
        self.visits: list[Visit] = []
        self.tracer = Tracer(Sampling.of_share(share), self._take)

    def _take(self, visits: Sequence[Visit]) -> bool:
        self.visits.extend(visits)
        return True

    def spans(self, gateway: Gateway) -> list[Span]:
        """Of all requests so far; there are no more after it."""
        gateway.settle()
        gateway.wait(self.tracer.close())
        return [span for visit in self.visits for span in spans_of(visit)]


Tell = Callable[..., Told]


@pytest.fixture
def tell() -> Iterator[Tell]:
    made: list[Told] = []

    def start(share: float = 0.0) -> Told:
        made.append(Told(share))
        return made[-1]

    yield start
    for one in made:
        one.tracer._spool.close(1.0)


def parents(requests: Sequence[Message]) -> list[str]:
    return [one["traceparent"] for one in requests]


# --- which requests


def test_a_sampled_request_is_a_span_and_its_call_another(
    serve: Serve, hire: Hire, tell: Tell
) -> None:
    worker, told = hire(), tell()
    config = make_config({"v1": worker.url}, match=Match(path="/predict"))
    gateway = serve(config, tracer=told.tracer)
    answer = gateway.ask(target="/predict/x?secret=1", fields=[("TraceParent", PARENT)])
    served, called = told.spans(gateway)

    assert (served.trace.id, served.parent, served.remote, served.serves) == (
        *(TRACE, SPAN, True, True),
    )
    assert (called.trace.id, called.parent, called.remote, called.serves) == (
        *(TRACE, served.trace.span, False, False),
    )
    assert parents(worker.requests) == [f"00-{TRACE}-{called.trace.span}-01"]
    assert served.name == "POST /predict"
    assert called.name == "POST"
    chosen = {
        "canary.route": "iris",
        "canary.version": "v1",
        "canary.role": "stable",
        "canary.assignment": "weighted",
        "http.request.method": "POST",
        "http.response.status_code": 200,
    }
    assert served.attributes == chosen | {
        "http.route": "/predict",
        "url.path": "/predict/x",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
        "server.address": "models.example",
        "canary.request_id": answer["x-request-id"],
    }
    assert called.attributes == chosen | {
        "url.full": f"{worker.url}/predict/x",
        "server.address": "127.0.0.1",
        "server.port": int(worker.url.rpartition(":")[2]),
    }
    assert served.error == called.error == ""
    assert served.began <= called.began <= called.ended <= served.ended


@pytest.mark.parametrize(
    "fields",
    [
        [("traceparent", UNSAMPLED), ("tracestate", "a=1")],
        [("traceparent", "invalid"), ("tracestate", "a=1")],
        [("tracestate", "a=1")],
        [],
    ],
)
def test_what_is_not_sampled_is_passed_on_as_it_came(
    fields: Fields, serve: Serve, hire: Hire, tell: Tell
) -> None:
    worker, told = hire(), tell()
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    for _ in range(3):
        gateway.ask(fields=fields)
    assert told.spans(gateway) == []

    for one in worker.requests:
        assert [pair for pair in one.fields if pair[0].startswith("trace")] == fields


@pytest.mark.parametrize("given", [None, "invalid", f"{PARENT}, {PARENT}"])
def test_a_trace_may_begin_here(given: str | None, serve: Serve, hire: Hire, tell: Tell) -> None:
    worker, told = hire(), tell(1.0)
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    fields = [] if given is None else [("TraceParent", given), ("TraceState", "a=1")]
    for _ in range(3):  # the third time the head is known
        gateway.ask(fields=fields)
    spans = told.spans(gateway)

    served, called = spans[::2], spans[1::2]
    assert [one.parent for one in served] == [""] * 3
    assert len({one.trace.id for one in served}) == 3
    assert parents(worker.requests) == [one.trace.render().decode() for one in called]
    # Of a trace that nobody can read, the state means nothing (W3C Trace Context, 3.3).
    assert [one.all("tracestate") for one in worker.requests] == [[]] * 3


def test_the_clients_word_goes_over_the_share(serve: Serve, hire: Hire, tell: Tell) -> None:
    told = tell(1.0)
    gateway = serve(make_config({"v1": hire().url}), tracer=told.tracer)
    gateway.ask(fields=[("traceparent", UNSAMPLED)])

    assert told.spans(gateway) == []


def test_the_state_and_all_other_fields_stay(serve: Serve, hire: Hire, tell: Tell) -> None:
    fields = [
        *(("X-Before", "1"), ("tracestate", "a=1"), ("Traceparent", PARENT), ("tracestate", "b=2")),
        *(("X-traceparent", "x"), ("X-After", "traceparent: no")),
    ]
    worker, told = hire(), tell()
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    gateway.ask(fields=fields)
    gateway.ask(fields=[pair for pair in fields if pair[0] != "Traceparent"])
    with_trace, without = worker.requests

    rest = [pair for pair in with_trace.fields if pair[0] != "traceparent"]
    different = {"x-request-id"}
    assert [pair for pair in rest if pair[0].lower() not in different] == [
        pair for pair in without.fields if pair[0].lower() not in different
    ]
    assert with_trace.body == without.body
    assert [span.state for span in told.spans(gateway)] == [{"a": "1", "b": "2"}] * 2


# --- what went wrong


def test_a_call_in_anothers_place_says_why(serve: Serve, hire: Hire, tell: Tell) -> None:
    stable, candidate, told = hire(), hire(answering(500)), tell(1.0)
    versions = {"v1": stable.url, "v2": (candidate.url, 100)}
    gateway = serve(make_config(versions), tracer=told.tracer)
    assert gateway.ask().status == 200
    served, first, second = told.spans(gateway)

    assert first.attributes["canary.version"] == "v2"
    assert first.attributes["http.response.status_code"] == 500
    assert first.error == first.attributes["error.type"] == "upstream_5xx"
    assert "canary.cause" not in first.attributes
    assert second.attributes["canary.version"] == "v1"
    assert second.attributes["canary.assignment"] == "fallback"
    assert second.attributes["canary.cause"] == "upstream_5xx"
    assert second.attributes["http.request.resend_count"] == 1
    assert second.error == ""
    assert served.attributes["canary.version"] == "v1"
    assert served.error == ""
    assert {one.parent for one in (first, second)} == {served.trace.span}
    assert parents(candidate.requests) == [first.trace.render().decode()]
    assert parents(stable.requests) == [second.trace.render().decode()]


def test_a_call_once_more_says_why(serve: Serve, hire: Hire, tell: Tell) -> None:
    worker, told = hire(first=[echo, closing]), tell(1.0)
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    with gateway.client() as client:  # the worker's connection is a used one the second time
        assert [client.ask().status for _ in range(2)] == [200, 200]
    _, _, served, first, second = told.spans(gateway)

    assert first.error == first.attributes["error.type"] == "reset"
    assert "http.response.status_code" not in first.attributes
    assert second.attributes["canary.cause"] == "reset"
    assert second.attributes["canary.assignment"] == "weighted"
    assert first.ended <= second.began
    asked = [one.trace.render().decode() for one in (first, second)]
    assert parents(worker.requests)[1:] == asked
    assert served.attributes["http.response.status_code"] == 200


def test_where_nobody_answers_the_span_says_so(serve: Serve, tell: Tell) -> None:
    told = tell(1.0)
    with refusing() as nobody:
        gateway = serve(make_config({"v1": url_of(nobody)}, idempotent=False), tracer=told.tracer)
        assert gateway.ask().status == 503
        served, *calls = told.spans(gateway)

    assert served.attributes["http.response.status_code"] == 503
    assert served.error == served.attributes["error.type"] == "connect"
    assert {one.error for one in calls} == {"connect"}


def test_a_refused_request_is_a_span_without_a_version(
    serve: Serve, hire: Hire, tell: Tell
) -> None:
    told = tell(1.0)
    config = make_config({"v1": hire().url}, match=Match(path="/predict"))
    gateway = serve(config, tracer=told.tracer)
    assert gateway.ask(target="/other").status == 404
    (served,) = told.spans(gateway)

    assert served.name == "POST"
    assert served.attributes["http.response.status_code"] == 404
    assert served.attributes["error.type"] == "no_route"
    assert served.error == ""  # it is the client's
    assert "canary.version" not in served.attributes


def test_a_full_version_is_asked_nothing(serve: Serve, hire: Hire, tell: Tell) -> None:
    told = tell(1.0)
    limits = make_config().routes[0].limits.__class__(in_flight=0)
    gateway = serve(make_config({"v1": hire().url}, limits=limits), tracer=told.tracer)
    assert gateway.ask().status == 503
    (served,) = told.spans(gateway)

    assert served.error == "shed"


def test_a_client_that_leaves_is_nobodys_failure(serve: Serve, hire: Hire, tell: Tell) -> None:
    worker, told = hire(hanging), tell(1.0)
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
    eventually(lambda: worker.abandoned)
    served, called = told.spans(gateway)

    assert served.attributes["canary.client_gone"] is True
    assert served.error == called.error == ""


def test_a_late_worker_is_a_timeout(serve: Serve, hire: Hire, tell: Tell) -> None:
    worker, told = hire(hanging), tell(1.0)
    gateway = serve(make_config({"v1": worker.url}), tracer=told.tracer)
    with gateway.client() as client:
        client.send(request())
        eventually(lambda: worker.requests)
        gateway.skip(10)
        gateway.sweep()
        assert client.answer().status == 504
    served, called = told.spans(gateway)

    assert served.error == called.error == "timeout"
    assert called.ended - called.began >= 9e9


def test_a_streamed_answer_ends_with_its_last_piece(serve: Serve, hire: Hire, tell: Tell) -> None:
    fields = [("Content-Type", "text/event-stream")]
    told = tell(1.0)
    gateway = serve(make_config({"v1": hire(answering(fields=fields)).url}), tracer=told.tracer)
    assert gateway.ask().body == b"ok"
    _, called = told.spans(gateway)

    assert called.attributes["http.response.status_code"] == 200


def test_a_strange_method_names_no_span(serve: Serve, hire: Hire, tell: Tell) -> None:
    told = tell(1.0)
    gateway = serve(make_config({"v1": hire().url}), tracer=told.tracer)
    gateway.ask("PROPFIND")
    served, _ = told.spans(gateway)

    assert served.name == "HTTP /"
    assert served.attributes["http.request.method"] == "_OTHER"
    assert served.attributes["http.request.method_original"] == "PROPFIND"


def test_the_trace_that_begins_here_is_the_exemplars(serve: Serve, hire: Hire, tell: Tell) -> None:
    told = tell(1.0)
    gateway = serve(make_config({"v1": hire().url}), tracer=told.tracer)
    gateway.ask()
    served, _ = told.spans(gateway)
    (row,) = gateway.plane.exemplars().values()

    assert [one.trace for one in row if isinstance(one, Exemplar)] == [served.trace.id]


# --- on their way out


def test_nobody_waits_for_a_collector_and_what_finds_no_room_is_counted(
    serve: Serve, hire: Hire, tell: Tell
) -> None:
    told, stuck, ended = tell(1.0), threading.Event(), threading.Event()

    def never(visits: Sequence[Visit]) -> bool:
        stuck.set()
        ended.wait(20)
        return False

    spool = told.tracer._spool
    spool._export, spool._room = never, 2
    gateway = serve(make_config({"v1": hire().url}), tracer=told.tracer)
    with gateway.client() as client:
        client.ask()
        spool._wake.set()
        assert stuck.wait(20)
        for _ in range(5):
            assert client.ask().status == 200
    gateway.settle()
    assert spool.dropped == 3 * 2  # three found no room, and each had a call
    ended.set()
    eventually(lambda: spool.dropped == 6 * 2)  # nobody took the others either
    gateway.run(gateway.plane._swept)
    gateway.run(gateway.plane._swept)

    assert gateway.run(gateway.plane.archive.total).counts["spans", "dropped"] == [12]


def test_a_collector_gets_them(serve: Serve, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = hire(first=[answering(404)])
    with closed(Collector()) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        tracer = Tracer(Sampling.of_share(1), exporting())
        gateway = serve(make_config({"v1": worker.url}), tracer=tracer)
        gateway.ask(fields=[("traceparent", PARENT), ("tracestate", "a=1")])
        gateway.settle()
        gateway.wait(tracer.close())
        served, called = collector.spans
        resource = collector.resources[0]

    assert (served.trace_id.hex(), served.parent_span_id.hex()) == (TRACE, SPAN)
    assert called.parent_span_id == served.span_id
    parent = read_traceparent(parents(worker.requests)[0].encode())
    assert parent is not None
    assert parent.span == called.span_id.hex()
    assert (served.kind, called.kind) == (served.SPAN_KIND_SERVER, served.SPAN_KIND_CLIENT)
    assert served.trace_state == "a=1"
    assert attributes_of(called)["http.response.status_code"] == 404
    assert (served.status.code, called.status.code) == (0, 2)
    assert served.start_time_unix_nano <= called.start_time_unix_nano
    assert resource["service.name"] == "canary-gateway"
    assert resource["deployment.environment"] == "test"
