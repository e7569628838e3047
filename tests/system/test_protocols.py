"""Each language that workers speak, through the gateway with a split in force: workers, gateway and
client are processes, and all of them count the same.
"""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from tests.ports import free_port
from tests.system.conftest import PATIENCE, ROOT, Served, System, answers, eventually, get

TEXT = """\
routes:
  chat:
    match: {{path: /v1/}}
    stable: v1
    timeout: 60s
    prediction: {{protocol: openai, labels: [stop, length]}}
    versions:
      v1: {{url: "{chat_v1}"}}
      v2: {{url: "{chat_v2}", weight: 30}}
  tensors:
    match: {{path: /v2/}}
    stable: v1
    prediction: {{protocol: v2, labels: [setosa, versicolor, virginica]}}
    versions:
      v1: {{url: "{iris_v1}"}}
      v2: {{url: "{iris_v2}", weight: 30}}
  sagemaker:
    match: {{path: /endpoints/}}
    stable: v1
    prediction: {{protocol: sagemaker, labels: [setosa, versicolor, virginica]}}
    versions:
      v1: {{url: "{iris_v1}"}}
      v2: {{url: "{iris_v2}", weight: 30}}
  plain:
    stable: v1
    prediction: {{protocol: predict, labels: [setosa, versicolor, virginica]}}
    versions:
      v1: {{url: "{iris_v1}"}}
      v2: {{url: "{iris_v2}", weight: 30}}
"""

# Of 60 requests none goes to the version of 30 % in one run of 2,000,000,000.
REQUESTS = 60
FLOWERS = ([5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 4.1, 1.2], [6.3, 3.3, 6.0, 2.5])
INFER = "/v2/models/iris/infer"
CHAT = "/v1/chat/completions"


@dataclass
class Stage:
    """A gateway, its workers by model and version, and one connection to the gateway."""

    served: Served
    workers: dict[str, str]

    def stats(self, worker: str) -> Any:
        return get(f"{self.workers[worker]}/stats")

    def plan(self, worker: str, faults: str) -> None:
        url = f"{self.workers[worker]}/faults"
        request = urllib.request.Request(url, faults.encode(), method="PUT")
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    def counted(self, route: str) -> Counter[tuple[str, str]]:
        """What the gateway counted, by version and label."""
        found: Counter[tuple[str, str]] = Counter()
        for name, value in self.served.metrics().items():
            if name.startswith("canary_predictions_total{") and f'route="{route}"' in name:
                labels = dict(pair.split("=", 1) for pair in name[25:-1].split(","))
                found[labels["version"].strip('"'), labels["label"].strip('"')] += int(value)
        return +found

    def tokens(self) -> float:
        """Of chats, as the gateway counted them."""
        return sum(
            value
            for name, value in self.served.metrics().items()
            if name.startswith("canary_prediction_value_sum{") and 'route="chat"' in name
        )

    def spent(self) -> int:
        """Of chats, as the workers counted them."""
        return sum(self.stats(name)["completion_tokens"] for name in ("chat_v1", "chat_v2"))

    def errors(self) -> float:
        """What the gateway holds against versions."""
        found = self.served.metrics().items()
        return sum(value for name, value in found if name.startswith("canary_request_errors_total"))

    def answered(self, model: str) -> Counter[tuple[str, str]]:
        """What the workers counted, by version and label."""
        return +Counter(
            {
                (version, label): number
                for version in ("v1", "v2")
                for label, number in self.stats(f"{model}_{version}")["predictions"].items()
            }
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    system = System(tmp_path_factory.mktemp("protocols"))
    workers = {}
    try:
        recipes = {"iris_v1": "rules", "iris_v2": "dummy", "chat_v1": "v1", "chat_v2": "v2"}
        for name, recipe in recipes.items():  # all at once: each takes a second to start
            model, _, version = name.partition("_")
            port = free_port()
            workers[name] = f"http://127.0.0.1:{port}"
            options = ("--version", version, "--predictor", recipe, "--port", str(port))
            served_as = {"iris": "iris", "chat": "assistant"}[model]
            artefacts = ("--artefacts", str(ROOT / "artefacts"))
            system.start("model_workers", "--model", served_as, *options, *artefacts)
        for name, url in workers.items():
            eventually(lambda url=url: answers(f"{url}/ready"), f"{name} is ready")
        yield Stage(system.gateway(TEXT.format(**workers)), workers)
    finally:
        system.stop()


class Said(NamedTuple):
    """What one answer says in its own language."""

    version: str | None  # None: the language has no place for it
    label: str


class Language(NamedTuple):
    """How a language asks (the request to a flower), and what its answers say."""

    route: str
    ask: Callable[[list[float]], tuple[str, bytes, dict[str, str]]]
    read: Callable[[bytes, http.client.HTTPResponse], Said]


def _plain(row: list[float]) -> bytes:
    return json.dumps({"instances": [row]}).encode()


def _tensor(row: list[float]) -> bytes:
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": row}
    return json.dumps({"id": "7", "inputs": [tensor]}).encode()


def _binary(row: list[float]) -> tuple[str, bytes, dict[str, str]]:
    size = {"binary_data_size": 16}
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return INFER, head + struct.pack("<4f", *row), headers


def _chat(row: list[float], **more: Any) -> bytes:
    message = {"role": "user", "content": f"Where is parcel {row[0]}?"}
    asked = {"model": "assistant", "messages": [message], "seed": int(row[0]), "max_tokens": 20}
    return json.dumps(asked | more).encode()


def _read_plain(body: bytes, answer: http.client.HTTPResponse) -> Said:
    found = json.loads(body)
    return Said(found["model_version"], found["predictions"][0])


def _read_tensor(body: bytes, answer: http.client.HTTPResponse) -> Said:
    found = json.loads(body)
    assert found["id"] == "7"
    return Said(found["model_version"], found["outputs"][0]["data"][0])


def _read_binary(body: bytes, answer: http.client.HTTPResponse) -> Said:
    at = int(answer.headers["Inference-Header-Content-Length"])
    (size,) = struct.unpack_from("<I", body, at)
    return Said(json.loads(body[:at])["model_version"], body[at + 4 : at + 4 + size].decode())


def _read_csv(body: bytes, answer: http.client.HTTPResponse) -> Said:
    return Said(None, body.decode().split(",")[0])


def _read_chat(body: bytes, answer: http.client.HTTPResponse) -> Said:
    found = json.loads(body)
    return Said(found["system_fingerprint"][:2], found["choices"][0]["finish_reason"])


def _read_stream(body: bytes, answer: http.client.HTTPResponse) -> Said:
    *parts, done, _ = body.decode().split("\n\n")
    assert done == "data: [DONE]"
    found = [json.loads(part.removeprefix("data: ")) for part in parts]
    (version,) = {each["system_fingerprint"][:2] for each in found}
    assert found[-1]["usage"]["completion_tokens"] > 0
    return Said(version, found[-2]["choices"][0]["finish_reason"])


def _stream(row: list[float]) -> bytes:
    return _chat(row, stream=True, stream_options={"include_usage": True})


GZIP = {"Content-Encoding": "gzip"}
INVOKE = "/endpoints/iris/invocations"
CSV = {"Content-Type": "text/csv"}
LANGUAGES = {
    "plain": Language("plain", lambda row: ("/predict", _plain(row), {}), _read_plain),
    "plain, compressed": Language(
        "plain", lambda row: ("/predict", gzip.compress(_plain(row)), GZIP), _read_plain
    ),
    "tensors": Language("tensors", lambda row: (INFER, _tensor(row), {}), _read_tensor),
    "tensors, compressed": Language(
        "tensors", lambda row: (INFER, gzip.compress(_tensor(row)), GZIP), _read_tensor
    ),
    "binary tensors": Language("tensors", _binary, _read_binary),
    "sagemaker": Language("sagemaker", lambda row: (INVOKE, _plain(row), {}), _read_plain),
    "sagemaker, csv": Language(
        "sagemaker", lambda row: (INVOKE, ",".join(map(str, row)).encode(), CSV), _read_plain
    ),
    "chat": Language("chat", lambda row: (CHAT, _chat(row), {}), _read_chat),
    "chat, streamed": Language("chat", lambda row: (CHAT, _stream(row), {}), _read_stream),
}


def _ask(
    connection: http.client.HTTPConnection, request: tuple[str, bytes, dict[str, str]]
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("POST", *request)
    answer = connection.getresponse()
    return answer, answer.read()


@pytest.fixture
def connection(stage: Stage) -> Iterator[http.client.HTTPConnection]:
    one = http.client.HTTPConnection("127.0.0.1", stage.served.data_port, timeout=PATIENCE)
    yield one
    one.close()


def _load(connection: http.client.HTTPConnection, language: Language) -> Counter[tuple[str, str]]:
    """Answers by version and label; the version that a body tells is the one in the header."""
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(REQUESTS):
        answer, body = _ask(connection, language.ask(FLOWERS[number % len(FLOWERS)]))
        assert answer.status == 200, body
        version = answer.headers["X-Model-Version"]
        assert answer.headers["X-Assignment"] == "weighted"
        said = language.read(body, answer)
        assert said.version in (None, version)
        seen[version, said.label] += 1
    assert {version for version, _ in seen} == {"v1", "v2"}
    return seen


@pytest.mark.parametrize("name", LANGUAGES)
def test_both_versions_answer_and_client_gateway_and_workers_count_the_same(
    stage: Stage, connection: http.client.HTTPConnection, name: str
) -> None:
    language = LANGUAGES[name]
    model = "chat" if language.route == "chat" else "iris"
    counted, answered = stage.counted(language.route), stage.answered(model)

    seen = _load(connection, language)

    eventually(lambda: stage.counted(language.route) - counted == seen, "the gateway counted them")
    assert stage.answered(model) - answered == seen


def test_the_tokens_of_chats_are_the_same_for_gateway_and_workers_streamed_or_not(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    told, spent = stage.tokens(), stage.spent()

    for name in ("chat", "chat, streamed"):
        _load(connection, LANGUAGES[name])

    assert stage.spent() - spent > 0
    eventually(lambda: stage.tokens() - told == stage.spent() - spent, "the gateway counted them")


# --- versions by name


def test_a_versioned_path_is_answered_by_that_version(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    for version in ("v1", "v2"):
        path = f"/v2/models/iris/versions/{version}/infer"
        answer, body = _ask(connection, (path, _tensor(FLOWERS[0]), {}))
        assert (answer.status, answer.headers["X-Assignment"]) == (200, "forced")
        assert json.loads(body)["model_version"] == version
    path = "/v2/models/iris/versions/v9/infer"
    answer, body = _ask(connection, (path, _tensor(FLOWERS[0]), {}))
    assert answer.status == 404
    assert json.loads(body)["error"].startswith("Request for unknown model")


def test_sagemakers_headers_name_the_version_and_tell_who_answered(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    for version in ("v1", "v2"):
        named = {"X-Amzn-SageMaker-Target-Variant": version}
        answer, body = _ask(connection, (INVOKE, _plain(FLOWERS[0]), named))
        assert answer.headers["x-Amzn-Invoked-Production-Variant"] == version
        assert json.loads(body)["model_version"] == version


def test_csv_comes_back_through_the_gateway_where_it_is_asked_for(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    row = ",".join(map(str, FLOWERS[0])).encode()
    answer, body = _ask(connection, (INVOKE, row, CSV | {"Accept": "text/csv"}))
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert _read_csv(body, answer).label in ("setosa", "versicolor", "virginica")


def test_a_compressed_bomb_is_refused_by_the_worker_and_is_no_failure_of_its_version(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    before = stage.errors()
    for path in ("/predict", INFER, INVOKE):
        answer, body = _ask(connection, (path, gzip.compress(bytes(32 << 20)), GZIP))
        assert answer.status == 413
        assert "larger than" in json.loads(body)["error"]
    assert stage.errors() == before


# --- streams in the middle


def _cancelled(stage: Stage) -> int:
    return sum(stage.stats(name)["cancelled"] for name in ("chat_v1", "chat_v2"))


def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it_in_the_worker(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    before = _cancelled(stage)
    for name in ("chat_v1", "chat_v2"):
        stage.plan(name, "pace=1000s")
    try:
        connection.request("POST", CHAT, _chat(FLOWERS[0], stream=True))
        answer = connection.getresponse()
        lines = iter(answer.readline, b"")
        assert any(b'"delta":{"content":' in line for line in lines)  # the first token is here
        answer.close()
        connection.close()
        eventually(lambda: _cancelled(stage) == before + 1, "the worker noticed")
    finally:
        for name in ("chat_v1", "chat_v2"):
            stage.plan(name, "")


def test_a_stream_that_a_version_breaks_off_is_broken_off_for_the_client_too(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    for name in ("chat_v1", "chat_v2"):
        stage.plan(name, "cut=1")
    try:
        connection.request("POST", CHAT, _chat(FLOWERS[0], stream=True))
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
        assert b"[DONE]" not in broken.value.partial
    finally:
        for name in ("chat_v1", "chat_v2"):
            stage.plan(name, "")
