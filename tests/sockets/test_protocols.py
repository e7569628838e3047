"""Clients of the Open Inference Protocol and of SageMaker, on the wire, with the split in force."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from contextlib import closing as closed
from typing import Any

import pytest

from gateway.model import Limits, RoutingConfig
from gateway.protocols import Protocol
from gateway.traces.sampling import Sampling
from gateway.traces.span import Visit, spans_of
from gateway.traces.tracer import Tracer
from tests.builders import make_config, make_prediction, make_sticky
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Talk, Worker, answering, chunked, refusing, url_of

INFER = "/v2/models/iris/infer"
V2 = make_prediction("/outputs/0/data/0", "/outputs/1/data/0", protocol=Protocol.V2)
SAGEMAKER = make_prediction("/predictions/0", protocol=Protocol.SAGEMAKER)
VARIANT = "X-Amzn-SageMaker-Target-Variant"
INVOKED = "x-Amzn-Invoked-Production-Variant"


def halves(one: Worker | str, other: Worker | str, **rules: Any) -> RoutingConfig:
    """Stable v1, and v2 with half of the requests: those drawn below 0.5."""
    first, second = (getattr(each, "url", each) for each in (one, other))
    return make_config({"v1": first, "v2": (second, 50)}, **{"prediction": V2} | rules)


class Draws:
    """To the candidate, to stable, to the candidate ..."""

    def __init__(self) -> None:
        self._turns: Iterator[float] = iter(())

    def __call__(self) -> float:
        try:
            return next(self._turns)
        except StopIteration:
            self._turns = iter((0.0, 0.99))
            return next(self._turns)


def versioned(version: str, tail: str = "/infer") -> str:
    return f"/v2/models/iris/versions/{version}{tail}"


# --- the versioned path


def test_the_versioned_path_asks_that_version_byte_for_byte(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(halves(v1, v2), draw=Draws())
    targets = ["/infer", "/infer?a=/b%2F", "", "/", "/ready", "/generate_stream"]
    with gateway.client() as client:
        for version in ("v1", "v2", "v1", "v1"):
            for tail in targets:
                answer = client.ask(target=versioned(version, tail))

                assert answer.json()["worker"] == answer["x-model-version"] == version
                assert answer.json()["target"] == versioned(version, tail)
                assert answer["x-assignment"] == "forced"
        coded = client.ask(target="/v2/models/iris/versions/%762/infer")
        assert (coded["x-model-version"], coded.json()["target"][-9:]) == ("v2", "%762/infer"[1:])
        split = [client.ask(target=INFER)["x-model-version"] for _ in range(4)]

    assert split == ["v2", "v1", "v2", "v1"]  # nothing was drawn for who named a version
    assert gateway.answers("v1") == {"forced 200": 18, "weighted 200": 2}
    assert gateway.answers("v2") == {"forced 200": 7, "weighted 200": 2}
    assert gateway.evidence("v1").assigned == gateway.evidence("v2").assigned == 2


def test_a_version_named_by_path_is_not_replaced_by_stable(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(), hire(answering(503, b'{"error": "no GPU"}'))
    with closed(refusing()) as nobody:
        versions = {"v1": v1.url, "v2": (v2.url, 50), "v3": url_of(nobody)}
        gateway = serve(make_config(versions, prediction=V2))
        failed = gateway.ask(target=versioned("v2"))
        dead = gateway.ask(target=versioned("v3"))

    assert (failed.status, failed.json()) == (503, {"error": "no GPU"})
    assert (failed["x-model-version"], failed["x-assignment"]) == ("v2", "forced")
    assert (dead.status, dead.json()["reason"], dead["x-model-version"]) == (503, "connect", "v3")
    assert v1.requests == []
    assert gateway.evidence("v2").bad == gateway.evidence("v3").bad == 0


def test_a_version_that_is_not_there_is_a_404_and_the_connection_goes_on(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    with serve(make_config({"v1": worker.url}, prediction=V2)).client() as client:
        unknown = client.ask(target=versioned("7"), fields=[("X-Request-Id", "r1")])
        probe = client.ask("HEAD", versioned("7", "/ready"), body=None)
        after = client.ask(target=versioned("v1"), body=b"next")

    assert unknown.status == probe.status == 404
    assert unknown.json() == {
        "error": "Request for unknown model: 'iris' version '7' is not found; route 'iris' has v1",
        "reason": "unknown_version",
        "request_id": "r1",
    }
    assert after.json()["body"] == "next"
    assert len(worker.requests) == 1


def test_a_new_file_says_anew_which_versions_a_path_may_name(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(halves(v1, v2))
    with gateway.client() as client:
        assert client.ask(target=versioned("v2"))["x-model-version"] == "v2"
        gateway.swap(make_config({"v1": v1.url, "v2": v2.url}, generation="two", prediction=V2))
        assert client.ask(target=versioned("v2"))["x-model-version"] == "v2"  # though of weight 0
        gateway.swap(make_config({"v1": v1.url}, generation="three", prediction=V2))
        assert client.ask(target=versioned("v2")).status == 404
        gateway.swap(make_config({"v1": v1.url}, generation="four"))
        assert client.ask(target=versioned("v2"))["x-model-version"] == "v1"  # no such protocol


# --- bodies


def binary(label: bytes, score: float) -> tuple[bytes, int]:
    """An answer with both outputs in bytes, and how long its JSON is."""
    text = struct.pack("<I", len(label)) + label
    outputs = [
        {"name": "predictions", "datatype": "BYTES", "shape": [1], "parameters": {}},
        {"name": "probabilities", "datatype": "FP32", "shape": [1], "parameters": {}},
    ]
    for output, size in zip(outputs, (len(text), 4), strict=True):
        output["parameters"] = {"binary_data_size": size}
    head = json.dumps({"model_name": "iris", "outputs": outputs}).encode()
    return head + text + struct.pack("<f", score), len(head)


def test_binary_tensors_pass_and_their_prediction_is_counted(serve: Serve, hire: Hire) -> None:
    answer, length = binary(b"setosa", 0.75)
    field = ("Inference-Header-Content-Length", str(length))
    worker = hire(answering(200, answer, [field, ("Content-Type", "application/octet-stream")]))
    gateway = serve(make_config({"v1": worker.url}, prediction=V2))
    asked = b'{"inputs": []}' + bytes(range(256))
    got = gateway.ask(target=INFER, body=asked, fields=[("Inference-Header-Content-Length", "14")])

    assert got.body == answer
    assert got["inference-header-content-length"] == str(length)
    assert worker.requests[0].body == asked
    assert worker.requests[0]["inference-header-content-length"] == "14"
    assert "content-type" not in worker.requests[0]  # Triton's clients send none
    assert gateway.evidence("v1").drawn_labels == {"setosa": 1, "__other__": 0}
    assert not any(gateway.counts("v1").missing.values())


def test_a_compressed_answer_passes_and_its_prediction_is_counted(serve: Serve, hire: Hire) -> None:
    plain = b'{"outputs": [{"data": ["setosa"]}, {"data": [0.75]}]}'
    answer = gzip.compress(plain)
    worker = hire(answering(200, answer, [("Content-Encoding", "gzip")]))
    gateway = serve(make_config({"v1": worker.url}, prediction=V2))
    asked = gzip.compress(b'{"inputs": []}')
    got = gateway.ask(target=INFER, body=asked, fields=[("Content-Encoding", "gzip")])

    assert (got.body, got["content-encoding"]) == (answer, "gzip")
    assert (worker.requests[0].body, worker.requests[0]["content-encoding"]) == (asked, "gzip")
    assert gateway.evidence("v1").drawn_labels == {"setosa": 1, "__other__": 0}


# --- health and metadata


def test_health_is_each_versions_own_and_no_evidence(serve: Serve, hire: Hire) -> None:
    def not_ready(talk: Talk) -> None:
        talk.reply(400, b'{"ready": false}')

    v1, v2 = hire(answering(200, b'{"ready": true}')), hire(not_ready)
    gateway = serve(halves(v1, v2), draw=Draws())
    paths = ["/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/iris/ready", "/ping"]
    with gateway.client() as client:
        told = [client.ask("GET", path, body=None) for path in paths[:4] for _ in range(2)]
        named = client.ask("GET", versioned("v1", "/ready"), body=None)
        gateway.swap(halves(v1, v2, prediction=SAGEMAKER, generation="two"))
        told += [client.ask("GET", "/ping", body=None) for _ in range(2)]

    assert [(one.status, one["x-model-version"]) for one in told] == [
        (400, "v2"),
        (200, "v1"),
    ] * 5
    assert (named.status, named["x-model-version"]) == (200, "v1")
    assert [one.target for one in v2.requests] == paths
    for generation in (0, 1):
        assert gateway.evidence("v1", generation).assigned == 0
        assert gateway.evidence("v2", generation).assigned == 0
        assert not any(gateway.evidence("v1", generation).missing.values())


def test_a_method_whose_answer_has_no_prediction_misses_none(serve: Serve, hire: Hire) -> None:
    worker = hire(answering(200, b""))
    gateway = serve(make_config({"v1": worker.url}, prediction=V2))
    with gateway.client() as client:
        for method in ("HEAD", "OPTIONS"):
            assert client.ask(method, INFER, body=None).status == 200
        assert not any(gateway.counts("v1").missing.values())
        assert not any(gateway.evidence("v1").missing.values())

        client.ask("POST", INFER, body=b"{}")  # an empty answer to this one is missing
    assert gateway.counts("v1").missing["unreadable"] == 1


def test_asking_whether_a_model_is_ready_does_not_use_up_a_user(serve: Serve, hire: Hire) -> None:
    """Of a sticky user only the first request is evidence, and clients ask before they infer."""
    gateway = serve(halves(hire(), hire(), sticky=make_sticky()))
    user = [("X-User-Id", "alice")]
    with gateway.client() as client:
        for target in ("/v2/health/ready", "/v2/models/iris/ready", "/v2/models/iris"):
            client.ask("GET", target, body=None, fields=user)
        answer = client.ask(target=INFER, fields=user)

    assert gateway.evidence(answer["x-model-version"]).assigned == 1


# --- SageMaker


def test_boto_asks_at_endpoints_and_the_container_at_invocations(serve: Serve, hire: Hire) -> None:
    worker = hire()
    gateway = serve(make_config({"v1": worker.url}, prediction=SAGEMAKER))
    asked = {
        "/endpoints/iris/invocations": "/invocations",
        "/endpoints/iris/invocations?a=/b": "/invocations?a=/b",
        "http://models.example/endpoints/iris/invocations?c": "/invocations?c",
        "/invocations": "/invocations",
        "/invocations?a": "/invocations?a",
        "/ping": "/ping",
        "/endpoints/iris/other": "/endpoints/iris/other",
        "/x/endpoints/iris/invocations": "/x/endpoints/iris/invocations",
    }
    body = b"\x00\xff /endpoints/iris/invocations"
    for target, known in asked.items():
        for _ in range(3):  # a head that is known is not read again
            told = gateway.ask(target=target, body=body).json()

            assert told["target"] == known
            assert told["body"] == body.decode("latin-1")

    gateway.swap(make_config({"v1": worker.url}, generation="two"))
    for target in ("/endpoints/iris/invocations", "/endpoints/iris/invocations?a=/b"):
        assert gateway.ask(target=target, body=body).json()["target"] == target


def test_a_streamed_upload_goes_to_the_container_as_well(serve: Serve, hire: Hire) -> None:
    worker = hire(answering())
    rules = {"prediction": SAGEMAKER, "limits": Limits(body=8 * 1024 * 1024)}
    gateway = serve(make_config({"v1": worker.url}, **rules))
    piece = b"POST /endpoints/x/invocations " * 20_000
    fields = [("Transfer-Encoding", "chunked")]
    body = chunked(*[piece] * 4)
    answer = gateway.ask(target="/endpoints/iris/invocations", body=body, fields=fields)

    assert answer.status == 200
    assert worker.requests[0].target == "/invocations"
    assert worker.requests[0].body == piece * 4


def test_the_variant_that_answered_is_told_on_every_answer(serve: Serve, hire: Hire) -> None:
    boastful = answering(200, b"{}", [("X-Amzn-Invoked-Production-Variant", "AllTraffic")])
    v1 = hire(boastful)
    with closed(refusing()) as nobody:
        versions = {"v1": v1.url, "v2": (url_of(nobody), 50), "v3": url_of(nobody)}
        gateway = serve(make_config(versions, prediction=SAGEMAKER), draw=Draws())
        with gateway.client() as client:
            instead = client.ask(target="/invocations")
            own = client.ask(target="/invocations")
            dead = client.ask(target="/invocations", fields=[(VARIANT, "v3")])

    assert (instead[INVOKED], instead["x-assignment"]) == ("v1", "fallback")
    assert (own[INVOKED], own["x-assignment"]) == ("v1", "weighted")
    assert (dead[INVOKED], dead["x-assignment"], dead.status) == ("v3", "forced", 503)


def test_the_target_variant_is_asked_and_is_no_evidence(serve: Serve, hire: Hire) -> None:
    v1, v2 = hire(name="v1"), hire(name="v2")
    gateway = serve(halves(v1, v2, prediction=SAGEMAKER), draw=lambda: 0.0)
    target = "/endpoints/iris/invocations"
    with gateway.client() as client:
        answers = [client.ask(target=target, fields=[(VARIANT, "v1")]) for _ in range(3)]
        unknown = client.ask(target=target, fields=[(VARIANT, "v9")])
        drawn = client.ask(target=target)

    assert [one[INVOKED] for one in answers] == ["v1"] * 3
    assert answers[0].json()["target"] == "/invocations"
    assert (unknown.status, unknown.json()["reason"]) == (400, "unknown_version")
    assert drawn[INVOKED] == "v2"
    assert gateway.evidence("v1").assigned == 0
    assert gateway.answers("v1") == {"forced 200": 3}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("X-Amzn-SageMaker-Inference-Id", "inference 7")], "inference 7"),
        ([("X-Amzn-SageMaker-Inference-Id", "i"), ("X-Request-Id", "r")], "r"),
        ([("X-Amzn-SageMaker-Inference-Id", "x" * 129)], None),
        ([("X-Amzn-SageMaker-Inference-Id", "\xe4")], None),
    ],
)
def test_an_inference_id_is_the_request_id_where_none_is_given(
    fields: list[tuple[str, str]], expected: str | None, serve: Serve, hire: Hire
) -> None:
    worker = hire(answering())
    answer = serve(make_config({"v1": worker.url}, prediction=SAGEMAKER)).ask(fields=fields)

    assert answer["x-request-id"] == worker.requests[0]["x-request-id"]
    if expected is not None:
        assert answer["x-request-id"] == expected
    else:
        assert answer["x-request-id"] not in {value for _, value in fields}
    assert worker.requests[0]["x-amzn-sagemaker-inference-id"] == fields[0][1]


def test_a_traced_request_is_told_of_as_it_came_and_asked_as_the_container_knows(
    serve: Serve, hire: Hire
) -> None:
    visits: list[Visit] = []
    tracer = Tracer(Sampling.of_share(1.0), lambda told: bool(visits.extend(told)) or True)
    worker = hire()
    gateway = serve(make_config({"v1": worker.url}, prediction=SAGEMAKER), tracer=tracer)
    told = gateway.ask(target="/endpoints/iris/invocations?a").json()
    gateway.settle()
    gateway.wait(tracer.close())
    served, called = [span for visit in visits for span in spans_of(visit)]

    assert told["target"] == "/invocations?a"
    assert served.attributes["url.path"] == "/endpoints/iris/invocations"
    assert called.attributes["url.full"] == f"{worker.url}/invocations"
