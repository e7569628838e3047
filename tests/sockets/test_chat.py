"""Chats through the gateway as clients of OpenAI's interface have them, in events and whole: what
is counted of which version, and what a client sees.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from gateway.config.parsing import parse
from gateway.counting.totals import VersionTotals
from gateway.model import Prediction, PredictionLog
from gateway.writing.records import Records
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import (
    Behaviour,
    Ended,
    Gateway,
    Talk,
    Worker,
    answering,
    eventually,
    hanging,
    saying,
)
from tests.sockets.peers import request as asked

JSON = [("Content-Type", "application/json")]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
STREAM = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "CUDA out of memory", "type": "server_error"}}\n\n'
FILE = b"""
routes:
  chat:
    stable: v1
    versions: {v1: {url: "http://a:1"}}
    prediction: {protocol: openai}
"""


def preset() -> Prediction:
    found = parse(FILE).routes[0].prediction
    assert found is not None
    return found


def chat(stable: Worker, candidate: Worker | None = None, **rules: Any) -> Any:
    """As `protocol: openai` makes a route."""
    versions: dict[str, Any] = {"v1": stable.url}
    if candidate is not None:
        versions["v2"] = candidate.url, 100
    return make_config(
        versions, **{"prediction": preset(), "idempotent": False, "timeout": 100} | rules
    )


def event(text: str = "", finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"choices": [choice], "usage": None} | more).encode()


def usage(tokens: int) -> bytes:
    return event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": tokens})


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def telling(*events: bytes, end: bytes = END) -> Behaviour:
    """A stream of these events, each in a piece of its own."""
    return saying(STREAM + b"".join(map(chunk, events)) + end)


def shown(gateway: Gateway, version: str) -> tuple[dict[str, int], list[int], dict[str, int]]:
    """Labels, values and what was missing, in the evidence."""
    found: VersionTotals = gateway.evidence(version)
    values = found.drawn_values(preset().bounds)
    return (
        {label: number for label, number in found.drawn_labels.items() if number},
        [place for place, number in enumerate(values) if number],
        {reason: number for reason, number in found.drawn_missing.items() if number},
    )


def test_a_streamed_chat_is_passed_on_byte_for_byte_and_counted(serve: Serve, hire: Hire) -> None:
    events = (b": hi\n\n", event("Hel"), event("lo"), event(finish="stop"), usage(7), DONE)
    gateway = serve(chat(hire(), hire(telling(*events))))
    answer = gateway.ask(target="/v1/chat/completions")

    assert answer.body == b"".join(events)
    assert (answer["X-Model-Version"], answer["X-Assignment"]) == ("v2", "weighted")
    eventually(lambda: gateway.answers("v2") == {"weighted 200": 1})
    assert shown(gateway, "v2") == ({"stop": 1}, [3], {})
    assert sum(gateway.evidence("v2").began.buckets) == 1
    assert gateway.errors("v2") == {}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_events_that_come_in_pieces_are_read_all_the_same(
    size: int, serve: Serve, hire: Hire
) -> None:
    stream = (event("Hello") + event(finish="length") + usage(100) + DONE).replace(b"\n", b"\r\n")
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    gateway = serve(chat(hire(telling(*pieces))))

    assert gateway.ask().body == stream
    eventually(lambda: shown(gateway, "v1") == ({"length": 1}, [7], {}))


def test_a_chat_that_is_answered_whole_is_counted_as_a_streamed_one(
    serve: Serve, hire: Hire
) -> None:
    body = json.dumps(
        {
            "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": 7},
        }
    ).encode()
    gateway = serve(chat(hire(answering(200, body, JSON))))

    assert gateway.ask().body == body
    assert shown(gateway, "v1") == ({"stop": 1}, [3], {})


def test_a_chat_that_ends_without_a_reason_has_no_prediction(serve: Serve, hire: Hire) -> None:
    gateway = serve(chat(hire(telling(event("Hel"), DONE))))
    gateway.ask()

    eventually(lambda: shown(gateway, "v1") == ({}, [], {"absent": 1}))
    assert gateway.errors("v1") == {}


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda one: gzip.compress(one[:9]) + gzip.compress(one[9:])]
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_compressed_chat_is_passed_on_as_it_came_and_counted(
    pack: Any, size: int, serve: Serve, hire: Hire
) -> None:
    stream = pack(event("Hel") + event(finish="stop") + usage(7) + DONE)
    pieces = [chunk(stream[i : i + size]) for i in range(0, len(stream), size)]
    head = HEAD + b"Content-Encoding: GZip\r\nTransfer-Encoding: chunked\r\n\r\n"
    gateway = serve(chat(hire(saying(head + b"".join(pieces) + END))))
    answer = gateway.ask()

    assert (answer.body, answer["Content-Encoding"]) == (stream, "GZip")
    eventually(lambda: shown(gateway, "v1") == ({"stop": 1}, [3], {}))


def test_an_error_in_an_event_is_a_failure_where_nobody_looks_for_predictions(
    serve: Serve, hire: Hire
) -> None:
    gateway = serve(chat(hire(telling(event("Hel"), ERROR, DONE)), prediction=None))
    gateway.ask()

    eventually(lambda: gateway.errors("v1") == {"upstream_5xx": 1})


def test_an_error_in_an_event_is_the_failure_of_its_version(serve: Serve, hire: Hire) -> None:
    """The client has the beginning already, so nobody can take over, and it gets the event."""
    events = (event("Hel"), ERROR, DONE)
    gateway = serve(chat(hire(), hire(telling(*events)), idempotent=True))
    answer = gateway.ask()

    assert answer.body == b"".join(events)
    eventually(lambda: gateway.errors("v2") == {"upstream_5xx": 1})
    assert gateway.answers("v2") == {"weighted 200": 1}
    assert gateway.evidence("v2").bad == 1
    assert gateway.answers("v1") == {}
    assert shown(gateway, "v2") == ({}, [], {})


@pytest.mark.parametrize(
    ("last", "answers", "errors"),
    [
        (event("lo"), {"weighted 499": 1}, {}),
        (event(finish="stop"), {"weighted 499": 1}, {}),
        (DONE, {"weighted 200": 1}, {}),
        (ERROR, {"weighted 200": 1}, {"upstream_5xx": 1}),
    ],
)
def test_a_client_that_leaves_ends_the_workers_work_and_is_nobodys_failure(
    last: bytes, answers: dict[str, int], errors: dict[str, int], serve: Serve, hire: Hire
) -> None:
    """Clients leave with the last event, and with an error, before the body has ended: the one has
    all of its answer, the other has seen a failure.
    """

    def behave(talk: Talk) -> bool:
        talk.send(STREAM + chunk(event("Hel")) + chunk(last))
        return hanging(talk)

    worker = hire(behave)
    gateway = serve(chat(worker))
    with gateway.client() as client:
        client.send(asked())
        client.head()
        while client.chunk() != last:
            pass
    eventually(lambda: worker.abandoned == 1)

    assert gateway.answers("v1") == answers
    assert gateway.errors("v1") == errors


def test_a_candidate_that_breaks_off_cuts_the_stream_and_nobody_takes_over(
    serve: Serve, hire: Hire
) -> None:
    stable = hire(telling(event(finish="stop"), DONE), name="v1")
    candidate = hire(saying(STREAM + chunk(event("Hel")), "close"))
    gateway = serve(chat(stable, candidate, idempotent=True))
    with gateway.client() as client:
        client.send(asked())
        _, fields = client.head()
        assert client.chunk() == event("Hel")
        with pytest.raises(Ended):
            client.chunk()

    assert dict(fields)["X-Model-Version"] == "v2"
    eventually(lambda: gateway.errors("v2") == {"reset": 1})
    assert (gateway.evidence("v2").bad, stable.requests) == (1, [])
    assert shown(gateway, "v2") == ({}, [], {})


@pytest.mark.parametrize("idempotent", [True, False])
def test_before_the_first_byte_stable_takes_over_only_if_a_chat_may_be_asked_twice(
    idempotent: bool, serve: Serve, hire: Hire
) -> None:
    stable = hire(telling(event(finish="stop"), DONE))
    busy = answering(503, b'{"error": {"message": "busy"}}', JSON)
    gateway = serve(chat(stable, hire(busy), idempotent=idempotent))
    answer = gateway.ask()

    assert (answer.status, answer["X-Model-Version"]) == (
        (200, "v1") if idempotent else (503, "v2")
    )
    eventually(lambda: gateway.errors("v2") == {"upstream_5xx": 1})


def test_a_candidate_that_nobody_could_ask_gives_way_in_any_case(serve: Serve, hire: Hire) -> None:
    """What was never sent was never generated."""
    stable, gone = hire(telling(event(finish="stop"), DONE)), hire()
    gone.close()
    gateway = serve(chat(stable, gone))
    answer = gateway.ask()

    assert (answer.status, answer["X-Assignment"]) == (200, "fallback")
    assert gateway.errors("v2") == {"connect": 1}


def test_events_of_any_route_are_read_by_its_own_pointers(serve: Serve, hire: Hire) -> None:
    events = (b'data: {"p": "a", "s": 0.1}\n\n', b'data: {"p": "b"}\n\n', b'data: {"s": 0.75}\n\n')
    prediction = Prediction("/p", "/s")
    gateway = serve(make_config({"v1": hire(telling(*events)).url}, prediction=prediction))
    gateway.ask()

    eventually(lambda: gateway.evidence("v1").drawn_labels.get("b") == 1)
    assert gateway.evidence("v1").scores.sum == 0.75


def test_what_a_stream_said_is_in_the_prediction_log(
    serve: Serve, hire: Hire, tmp_path: Any
) -> None:
    path = tmp_path / "predictions.jsonl"
    worker = hire(telling(event("Hello"), event(finish="stop"), usage(7), DONE))
    gateway = serve(chat(worker, log=PredictionLog(str(path))), records=Records("secret"))
    gateway.ask()
    eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    line = json.loads(path.read_text())

    assert (line["prediction"], line["value"], line["missing"]) == ("stop", 7.0, None)
