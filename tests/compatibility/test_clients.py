"""Real client libraries through a gateway in this process, against workers that say as much as each
library needs to hear. What they do to foreign servers is tried by ``make compatibility``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import botocore.session
import numpy as np
import openai
import pytest
import tritonclient.http as triton
from botocore.config import Config
from botocore.exceptions import ClientError

from gateway.model import RoutingConfig
from gateway.protocols import Protocol
from tests.builders import make_config, make_prediction
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Gateway, Talk, chunked, eventually

V2 = make_prediction("/outputs/0/data/0", protocol=Protocol.V2)
SAGEMAKER = make_prediction("/predictions/0", protocol=Protocol.SAGEMAKER)
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)


# --- workers


def open_inference(talk: Talk) -> None:
    """The Open Inference Protocol as Triton speaks it: the length of each row is its prediction."""
    request = talk.request
    if request.method == "GET":
        talk.reply(200, json.dumps(_metadata(request.target)).encode())
        return
    if "/models/iris/" not in request.target:
        talk.reply(404, b'{"error": "Request for unknown model: nobody"}')
        return
    body = request.body
    if "content-encoding" in request:
        body = {"gzip": gzip.decompress, "deflate": zlib.decompress}[request["content-encoding"]](
            body
        )
    size = len(body)
    if "inference-header-content-length" in request:
        size = int(request["inference-header-content-length"])
    head, binary = json.loads(body[:size]), body[size:]
    tensor = head["inputs"][0]
    rows = np.frombuffer(binary, np.float32) if binary else np.array(tensor["data"])
    labels = rows.reshape(tensor["shape"]).argmax(axis=1).astype(np.int64)
    given: dict[str, Any] = {"name": "label", "datatype": "INT64", "shape": [len(labels)]}
    said = {"model_name": "iris", "model_version": talk.worker.name, "outputs": [given]}
    fields = [("Content-Type", "application/json")]
    raw = b""
    if head.get("id"):
        said["id"] = head["id"]
    if head.get("parameters", {}).get("binary_data_output") or any(
        output["parameters"].get("binary_data") for output in head.get("outputs", ())
    ):
        raw = labels.tobytes()
        given["parameters"] = {"binary_data_size": len(raw)}
    else:
        given["data"] = labels.tolist()
    text = json.dumps(said).encode()
    if raw:
        fields = [("Inference-Header-Content-Length", str(len(text)))]
    answer = text + raw
    if request.all("accept-encoding") == ["gzip"]:
        answer = gzip.compress(answer)
        fields.append(("Content-Encoding", "gzip"))
    talk.reply(200, answer, fields)


def _metadata(target: str) -> dict[str, Any]:
    tensor = {"name": "rows", "datatype": "FP32", "shape": [-1, 4]}
    if target == "/v2":
        return {"name": "peer", "version": "1", "extensions": ["binary_tensor_data"]}
    return {"name": "iris", "versions": ["1"], "platform": "", "inputs": [tensor], "outputs": []}


def container(talk: Talk) -> None:
    """What SageMaker wants of a container, and nothing else."""
    if (talk.request.method, talk.request.target) == ("POST", "/invocations"):
        rows = talk.request.json()["instances"]
        labels = json.dumps({"predictions": [len(row) for row in rows]}).encode()
        talk.reply(200, labels, [("Content-Type", "application/json")])
    else:
        talk.reply(404, b"no such path")


def chat(talk: Talk) -> bool | None:
    """Chat completions. A stream to somebody who says `wait` stops after its first word."""
    asked = talk.request.json()
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    about = {"id": "c1", "created": 1, "model": talk.worker.name}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "two words"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        said = about | {"object": "chat.completion", "choices": [choice], "usage": usage}
        talk.reply(200, json.dumps(said).encode(), [("Content-Type", "application/json")])
        return None
    about["object"] = "chat.completion.chunk"

    def event(delta: dict[str, str], reason: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: %b\n\n" % json.dumps(about | {"choices": [choice]} | more).encode()

    talk.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    talk.send(chunked(event({"content": "two "}))[:-5])
    if asked["messages"][0]["content"] == "wait":
        talk.worker.abandoned += talk.wire.ended()
        return False
    pieces = [event({"content": "words"}), event({}, "stop")]
    if asked.get("stream_options", {}).get("include_usage"):
        pieces.append(
            b"data: %b\n\n" % json.dumps(about | {"choices": [], "usage": usage}).encode()
        )
    talk.send(chunked(*pieces, b"data: [DONE]\n\n"))
    return None


# --- the gateway, half of whose requests go to each version


def halves(hire: Hire, behaviour: Any, **rules: Any) -> RoutingConfig:
    """The first request, the third ... are the candidate's."""
    stable, candidate = hire(behaviour, name="1"), hire(behaviour, name="2")
    return make_config({"1": stable.url, "2": (candidate.url, 50)}, **rules)


class Turns:
    """Draws: to the candidate, to stable, to the candidate ..."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self) -> float:
        self._number += 1
        return 0.0 if self._number % 2 else 0.99


def address(gateway: Gateway) -> str:
    return "{}:{}".format(*gateway.address)


# --- tritonclient


@pytest.fixture
def open_gateway(serve: Serve, hire: Hire) -> Gateway:
    return serve(halves(hire, open_inference, prediction=V2), draw=Turns())


@pytest.fixture
def triton_client(open_gateway: Gateway) -> Iterator[Any]:
    with closing(triton.InferenceServerClient(address(open_gateway))) as client:
        yield client


def inputs(binary: bool) -> list[Any]:
    tensor = triton.InferInput("rows", [2, 4], "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    return [tensor]


def labels(result: Any) -> list[int]:
    return [int(label) for label in result.as_numpy("label")]


def test_tritons_client_asks_after_server_and_model(triton_client: Any) -> None:
    assert triton_client.is_server_live()
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready("iris")
    assert triton_client.get_server_metadata()["name"] == "peer"
    assert triton_client.get_model_metadata("iris")["inputs"][0]["shape"] == [-1, 4]


@pytest.mark.parametrize("given", [True, False], ids=["binary in", "JSON in"])
@pytest.mark.parametrize("taken", [True, False], ids=["binary out", "JSON out"])
@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_tritons_client_infers_and_each_prediction_is_read(
    open_gateway: Gateway, triton_client: Any, given: bool, taken: bool, coding: str | None
) -> None:
    wanted = [triton.InferRequestedOutput("label", binary_data=taken)]
    more = {"outputs": wanted, "request_compression_algorithm": coding}
    results = [triton_client.infer("iris", inputs(given), **more) for _ in range(4)]

    assert [labels(result) for result in results] == [[0, 0]] * 4
    versions = [result.get_response()["model_version"] for result in results]
    assert versions == ["2", "1", "2", "1"]
    open_gateway.settle()
    for version in ("1", "2"):
        assert open_gateway.evidence(version).drawn_labels["0"] == 2
        assert not any(open_gateway.counts(version).missing.values())


def test_tritons_client_gets_compressed_answers_and_its_id(
    open_gateway: Gateway, triton_client: Any
) -> None:
    result = triton_client.infer(
        "iris", inputs(True), request_id="seven", response_compression_algorithm="gzip"
    )

    assert labels(result) == [0, 0]
    assert result.get_response()["id"] == "seven"
    open_gateway.settle()
    assert open_gateway.evidence("2").drawn_labels["0"] == 1


def test_tritons_client_names_the_version(open_gateway: Gateway, triton_client: Any) -> None:
    for version in ("1", "2", "2"):
        result = triton_client.infer("iris", inputs(True), model_version=version)
        assert result.get_response()["model_version"] == version
    with pytest.raises(triton.InferenceServerException, match="version '7' is not found"):
        triton_client.infer("iris", inputs(True), model_version="7")
    with pytest.raises(triton.InferenceServerException, match="unknown model: nobody"):
        triton_client.infer("nobody", inputs(True))

    assert open_gateway.answers("2") == {"forced 200": 2, "weighted 404": 1}


# --- boto's sagemaker-runtime


@pytest.fixture
def runtime(serve: Serve, hire: Hire) -> Iterator[Any]:
    gateway = serve(halves(hire, container, prediction=SAGEMAKER), draw=Turns())
    with closing(
        botocore.session.Session().create_client(
            "sagemaker-runtime",
            region_name="eu-central-1",
            endpoint_url=f"http://{address(gateway)}",
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
            config=Config(retries={"total_max_attempts": 1}),
        )
    ) as client:
        yield client


def invoke(runtime: Any, **more: Any) -> Any:
    asked = b'{"instances": [[1, 2, 3]]}'
    with_its_type = {"ContentType": "application/json", "Body": asked}
    return runtime.invoke_endpoint(EndpointName="iris", **with_its_type, **more)


def test_boto_invokes_an_endpoint_and_is_told_which_variant_answered(runtime: Any) -> None:
    answers = [invoke(runtime) for _ in range(4)]

    assert [json.load(answer["Body"]) for answer in answers] == [{"predictions": [3]}] * 4
    assert [answer["InvokedProductionVariant"] for answer in answers] == ["2", "1", "2", "1"]


def test_boto_names_the_variant_and_the_inference(runtime: Any) -> None:
    for variant in ("1", "2", "2"):
        answer = invoke(runtime, TargetVariant=variant, InferenceId=f"case-{variant}")
        assert json.load(answer["Body"]) == {"predictions": [3]}
        assert answer["InvokedProductionVariant"] == variant
        fields = answer["ResponseMetadata"]["HTTPHeaders"]
        assert fields["x-request-id"] == f"case-{variant}"
    with pytest.raises(ClientError) as refused:
        invoke(runtime, TargetVariant="nobody")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


# --- openai

SAID = [{"role": "user", "content": "say"}]
WAIT = [{"role": "user", "content": "wait"}]


@pytest.fixture
def chat_gateway(serve: Serve, hire: Hire) -> Gateway:
    prediction = make_prediction("/choices/0/finish_reason")
    return serve(halves(hire, chat, prediction=prediction, idempotent=False), draw=Turns())


@pytest.fixture
def chat_client(chat_gateway: Gateway) -> Iterator[Any]:
    url = f"http://{address(chat_gateway)}/v1"
    with openai.OpenAI(base_url=url, api_key="nobody", max_retries=0) as client:
        yield client.chat.completions


def test_openais_client_chats_with_both_versions(chat_client: Any) -> None:
    answers = [chat_client.create(model="chat", messages=SAID) for _ in range(2)]

    assert [answer.choices[0].message.content for answer in answers] == ["two words"] * 2
    assert [answer.model for answer in answers] == ["2", "1"]
    assert answers[0].usage.completion_tokens == 2


@pytest.mark.parametrize("counted", [True, False], ids=["with usage", "without usage"])
def test_openais_client_streams_one_version_to_its_end(chat_client: Any, counted: bool) -> None:
    more = {"stream_options": {"include_usage": True}} if counted else {}
    for version in ("2", "1"):
        with chat_client.create(model="chat", messages=SAID, stream=True, **more) as stream:
            events = list(stream)

        assert {event.model for event in events} == {version}
        parts = [event.choices[0] for event in events if event.choices]
        assert "".join(part.delta.content or "" for part in parts) == "two words"
        assert parts[-1].finish_reason == "stop"
        assert (events[-1].usage is not None) == counted


def test_openais_client_leaves_mid_stream_and_the_worker_is_told(
    chat_gateway: Gateway, chat_client: Any
) -> None:
    with chat_client.create(model="chat", messages=WAIT, stream=True) as stream:
        first = next(iter(stream))
        assert (first.model, first.choices[0].delta.content) == ("2", "two ")

    eventually(lambda: chat_gateway.answers("2") == {"weighted 499": 1})
    assert chat_gateway.in_flight == 0
    assert chat_client.create(model="chat", messages=SAID).model == "1"


def test_openais_asynchronous_client_streams_many_at_once(chat_gateway: Gateway) -> None:
    url = f"http://{address(chat_gateway)}/v1"

    async def one(client: Any) -> tuple[str, str]:
        stream = await client.chat.completions.create(model="chat", messages=SAID, stream=True)
        events = [event async for event in stream]
        (version,) = {event.model for event in events}
        return version, "".join(event.choices[0].delta.content or "" for event in events)

    async def many() -> list[tuple[str, str]]:
        async with openai.AsyncOpenAI(base_url=url, api_key="nobody", max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(10)))

    assert sorted(asyncio.run(many())) == [("1", "two words")] * 5 + [("2", "two words")] * 5
