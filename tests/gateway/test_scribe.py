"""What is written down of which request: by the observer that stands where it is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.answers.predictions import Missing
from gateway.counting.counts import VersionCounts
from gateway.counting.gauges import Sink
from gateway.counting.ledger import Ledger
from gateway.errors import Reason, Refusal
from gateway.model import Assignment, PredictionLog, RoutingConfig
from gateway.routing.table import RoutingTable, compile_table
from gateway.writing.scribe import AccessLog, Book, Scribe
from tests.builders import (
    make_config,
    make_cookie,
    make_outcome,
    make_prediction,
    make_request,
    make_route,
    make_sticky,
)

NOON = datetime(2026, 2, 3, 12, 0, 0, 0, UTC)
ANSWER = b'{"predictions": ["setosa"], "probabilities": [0.75]}'


class Pad:
    """Paper that keeps what is written on it."""

    def __init__(self, *, torn: bool = False) -> None:
        self.lines: list[tuple[Book, Any]] = []
        self.lost: list[Sink] = []
        self.torn = torn

    def put(self, book: Book, line: bytes) -> None:
        if self.torn:
            raise RuntimeError("torn")
        self.lines.append((book, json.loads(line)))

    def lose(self, sink: Sink) -> None:
        self.lost.append(sink)


class Desk:
    """A scribe with the counters of a file."""

    def __init__(
        self,
        config: RoutingConfig,
        access: AccessLog | None = None,
        secret: bytes = b"secret",
        pad: Pad | None = None,
    ) -> None:
        self.pad = pad or Pad()
        self.scribe = Scribe(self.pad, lambda: NOON, secret, access)
        self.table: RoutingTable = compile_table(config)
        self.ledger = Ledger()
        self.counts = [
            self.scribe.counts(self.ledger, self.table, place, ()) for place in self.table.places
        ]

    def record(
        self,
        version: str = "v1",
        way: Assignment = Assignment.WEIGHTED,
        request: Any = None,
        fallback: bool = False,
        **facts: Any,
    ) -> None:
        decision = self.table.routes[0].decision(version, way)
        if fallback:
            assert decision.fallback is not None
            decision = decision.fallback
        facts["request"] = make_request() if request is None else request
        self.counts[decision.index].record(make_outcome(decision, **facts))

    @property
    def said(self) -> list[Any]:
        return [line for _, line in self.pad.lines]


LOG = PredictionLog("/p.jsonl")


def logged(log: PredictionLog | None = LOG, **rules: Any) -> RoutingConfig:
    prediction = make_prediction("/predictions/0", "/probabilities/0")
    return make_config(prediction=prediction, log=log, **rules)


def test_what_was_read_of_a_stream_is_written_down_with_its_value() -> None:
    prediction = make_prediction("/p", value="/v", bounds=[1.0])
    desk = Desk(make_config(prediction=prediction, log=LOG))
    desk.record(body=b'{"p": "length", "v": 7}')
    desk.record(reading=("stop", None, 3.0, None), bound=True)
    desk.record(reading=("stop", None, None, None), bound=True)
    desk.record(reading=(None, None, None, Missing.ABSENT), bound=True)

    assert [(one["prediction"], one.get("value"), one["missing"]) for one in desk.said] == [
        ("length", 7.0, None),
        ("stop", 3.0, None),
        ("stop", None, None),
        (None, None, "absent"),
    ]


def test_a_request_is_a_line_with_what_was_counted_of_it() -> None:
    desk = Desk(logged(sticky=make_sticky()))
    request = make_request(headers=[(b"Host", b"a"), (b"X-User-Id", b"anna")])
    desk.record("v2", Assignment.STICKY, request, body=ANSWER)
    ((book, line),) = desk.pad.lines

    assert book == Book(Sink.PREDICTIONS, "/p.jsonl")
    assert line == {
        "timestamp": "2026-02-03T12:00:00Z",
        "request_id": "id-1",
        "route": "iris",
        "assigned": "v2",
        "version": "v2",
        "assignment": "sticky",
        "user": desk.scribe.user(b"anna"),
        "prediction": "setosa",
        "score": 0.75,
        "missing": None,
        "status": 200,
        "reason": None,
        "cause": None,
        "seconds": 0.012,
        "upstream_seconds": 0.01,
        "generation": "one",
    }
    cell = desk.ledger.cell("labels", "iris", "v2", "candidate", "setosa")
    assert desk.ledger.counts[cell] == 1


def test_an_answer_in_anothers_place_names_both_and_the_cause() -> None:
    desk, request = Desk(logged()), make_request()
    desk.record("v2", request=request, status=0, reason=Reason.TIMEOUT)
    assert desk.said == []  # nothing is finished yet

    desk.record("v2", request=request, fallback=True, body=ANSWER)
    (line,) = desk.said
    assert (line["assigned"], line["version"], line["assignment"]) == ("v2", "v1", "fallback")
    assert (line["cause"], line["reason"], line["status"]) == ("timeout", None, 200)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"body": b"{}"}, {"prediction": None, "missing": "absent", "status": 200}),
        ({"body": b"?"}, {"prediction": None, "missing": "unreadable"}),
        ({"body": None}, {"prediction": None, "missing": None}),
        ({"status": 404, "body": ANSWER}, {"prediction": None, "missing": None, "status": 404}),
        ({"status": 503, "reason": Reason.SHED}, {"status": 503, "reason": "shed"}),
        ({"status": 0, "gone": True}, {"status": 499, "reason": None}),
    ],
)
def test_what_there_is_not_is_null(facts: dict[str, Any], said: dict[str, Any]) -> None:
    desk = Desk(logged())
    desk.record(body=ANSWER)  # whose prediction is not taken for that of the next
    desk.record(**facts)

    assert said.items() <= desk.said[-1].items()


def test_a_prediction_of_any_length_is_a_short_text() -> None:
    desk = Desk(logged())
    desk.record(body=b'{"predictions": ["%b"], "probabilities": [1]}' % (b"x" * 100_000))

    assert desk.said[0]["prediction"] == "x" * 256


def test_features_are_written_down_only_where_they_are_asked_for() -> None:
    with_them = Desk(logged(PredictionLog("/p.jsonl", features=True)))
    body = b'{"instances": [[1.0,\n2]]}'
    with_them.record(request=make_request(body=body))
    with_them.record(request=make_request(body=b"no json"))
    without = Desk(logged())
    without.record(request=make_request(body=body))

    assert with_them.said[0]["features"] == {"instances": [[1.0, 2]]}
    assert "features_missing" not in with_them.said[0]
    assert with_them.said[1]["features_missing"] == "not_json"
    assert "features" not in with_them.said[1]
    assert not {"features", "features_missing"} & without.said[0].keys()


def test_a_share_of_the_requests_is_the_same_for_each_version() -> None:
    desk = Desk(logged(PredictionLog("/p.jsonl", sample=3000)))
    for version in ("v1", "v2"):
        for number in range(200):
            request = make_request()
            request.id = b"id-%d" % number
            desk.record(version, request=request)
    ids = [{one["request_id"] for one in desk.said if one["version"] == v} for v in ("v1", "v2")]

    assert ids[0] == ids[1]
    assert 40 < len(ids[0]) < 80


# --- users


def test_a_user_is_a_hash_that_only_who_has_the_secret_can_make() -> None:
    one, same, other = (Desk(logged(), secret=secret).scribe for secret in (b"a", b"a", b"b"))

    assert one.user(b"anna") == same.user(b"anna")
    assert len(one.user(b"anna")) == 16
    assert len({one.user(b"anna"), one.user(b"bert"), other.user(b"anna")}) == 3


def test_a_secret_may_have_any_length() -> None:
    long, longer = (Desk(logged(), secret=b"x" * size).scribe for size in (100, 101))

    assert long.user(b"anna") != longer.user(b"anna")
    assert Desk(logged(), secret=b"").scribe.user(b"anna")


def test_a_client_that_sends_no_key_has_no_hash() -> None:
    desk = Desk(logged(sticky=make_cookie()))
    desk.record(way=Assignment.STICKY)
    cookie = [(b"Host", b"a"), (b"Cookie", b"a=1; canary_id=anna")]
    desk.record(way=Assignment.STICKY, request=make_request(headers=cookie))

    assert [one["user"] for one in desk.said] == [None, desk.scribe.user(b"anna")]
    assert "anna" not in json.dumps(desk.said)


# --- where nothing is to be written down


def test_a_route_without_a_log_is_counted_as_it_always_was() -> None:
    more = make_route({"m": "http://127.0.0.1:4"}, name="more", log=PredictionLog("/p.jsonl"))
    prediction = make_prediction("/predictions/0")
    desk = Desk(make_config({"v1": "http://127.0.0.1:1"}, more, prediction=prediction))

    assert [type(one) is VersionCounts for one in desk.counts] == [True, False]


def test_what_is_told_without_a_request_is_counted_and_not_written_down() -> None:
    desk = Desk(logged())
    decision = desk.table.routes[0].decision("v1", Assignment.WEIGHTED)
    desk.counts[0].record(make_outcome(decision))

    assert desk.said == []


# --- the log of all requests


def test_all_requests_are_written_down_where_that_is_asked_for() -> None:
    desk = Desk(logged(log=None), AccessLog("-"))
    request = make_request(b"PUT", b"/predict/x?secret=1", body=b"12345")
    desk.record("v2", request=request, body=ANSWER)
    ((book, line),) = desk.pad.lines

    assert book == Book(Sink.ACCESS, "-")
    assert line == {
        "timestamp": "2026-02-03T12:00:00Z",
        "request_id": "id-1",
        "client": "192.0.2.0/24",
        "method": "PUT",
        "path": "/predict/x",
        "route": "iris",
        "assigned": "v2",
        "version": "v2",
        "assignment": "weighted",
        "status": 200,
        "reason": None,
        "cause": None,
        "seconds": 0.012,
        "upstream_seconds": 0.01,
        "overhead_seconds": 0.002,
        "request_bytes": 5,
        "response_bytes": len(ANSWER),
    }


def test_a_refused_request_is_a_line_of_it_too() -> None:
    desk = Desk(logged(), AccessLog("/a.jsonl"))
    refused, unread = make_request(target=b"/nowhere?secret=1"), make_request(headers=[], body=None)
    refused.refusal = Refusal(404, "no_route", "no route")
    unread.refusal = Refusal(400, "bad_request", "no HTTP")
    for request in (refused, unread):
        desk.scribe.refused(request)
    first, second = desk.said

    assert (first["status"], first["reason"], first["path"]) == (404, "no_route", "/nowhere")
    assert (first["route"], first["seconds"]) == (None, None)
    assert (second["status"], second["method"], second["path"]) == (400, None, None)


def test_both_logs_may_be_asked_for_and_each_has_its_share() -> None:
    desk = Desk(logged(PredictionLog("/p.jsonl", sample=0)), AccessLog("/a.jsonl"))
    desk.record()
    assert [book.sink for book, _ in desk.pad.lines] == [Sink.ACCESS]

    desk = Desk(logged(), AccessLog("/a.jsonl", sample=0))
    desk.record()
    assert [book.sink for book, _ in desk.pad.lines] == [Sink.PREDICTIONS]


def test_a_line_that_cannot_be_made_is_counted_and_fails_nothing() -> None:
    desk = Desk(logged(), AccessLog("/a.jsonl"), pad=Pad(torn=True))
    desk.record(body=ANSWER)

    assert desk.pad.lost == [Sink.PREDICTIONS, Sink.ACCESS]
    assert desk.ledger.counts[desk.ledger.cell("assigned", "iris", "v1", "stable")] == 1
