"""Every way to answer that there is, as stable or candidate behind one gateway, in each language
and with the split in force; then everything that can be wrong with a request or a candidate.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pytest

from model_workers.models.catalogue import MODELS, data
from model_workers.models.model import DUMMY
from tests.ports import free_port
from tests.system.conftest import PATIENCE, ROOT, Served, System, answers, eventually, get, get_text

CHATS = ("v1", "v2", DUMMY)


class Pair(NamedTuple):
    """Two ways of a model to answer, as versions of that name; the candidate has 30 %."""

    model: str
    stable: str
    candidate: str

    @property
    def name(self) -> str:
        """Of its routes, and the host that clients ask."""
        return "-".join(self)


def _pairs() -> list[Pair]:
    """Each way is a candidate once; and where there was only a dummy, the first real one is."""
    found = []
    for name, model in MODELS.items():
        first, *others = (recipe.name for recipe in model.recipes)
        found += [Pair(name, first, other) for other in (*others, DUMMY)]
        found.append(Pair(name, DUMMY, first))
    return found


PAIRS = _pairs()
CHAT_PAIRS = [Pair("assistant", "v1", "v2"), Pair("assistant", DUMMY, "v1")]
# What stands in a pair's answers, if not what the protocol has there.
VALUE = "bounds: [50, 100, 150, 200, 250, 300]"
PREDICTIONS = {
    ("diabetes", "predict"): f"{{value: /predictions/0, {VALUE}}}",
    ("diabetes", "v2"): f"{{protocol: v2, value: /outputs/0/data/0, {VALUE}}}",
    ("diabetes", "sagemaker"): f"{{protocol: sagemaker, value: /predictions/0, {VALUE}}}",
    ("tickets", "predict"): "{label: /predictions/topic/0, score: /probabilities/topic/0}",
    ("tickets", "sagemaker"): "{protocol: sagemaker, label: /predictions/topic/0}",
}
PATHS = {"v2": "/v2", "sagemaker": "/endpoints", "predict": "/", "openai": "/v1"}

# Of 60 requests none goes to the version of 30 % in one run of 2,000,000,000.
REQUESTS = 60

ROUTE = """\
  {name}-{protocol}:
    match: {{host: {name}, path: {path}}}
    stable: {stable}
    prediction: {prediction}
    versions:
      {stable}: {{url: "{stable_url}"}}
      {candidate}: {{url: "{candidate_url}", weight: 30}}
"""
# By user, so that it is always the same requests that a broken candidate gets.
BROKEN = """\
  {name}:
    match: {{host: {name}}}
    stable: rules
    timeout: {timeout}
    sticky: {{header: X-User-Id, salt: broken}}
    prediction: {{protocol: predict, labels: [setosa, versicolor, virginica]}}
    versions:
      rules: {{url: "{stable}"}}
      canary: {{url: "{candidate}", weight: 30}}
"""


def _stats(url: str) -> Any:
    return get(f"{url}/stats")


class Told(list[str]):
    """Samples as they stand in ``/metrics``."""

    def of(self, metric: str, *names: str) -> Counter[tuple[str, ...]]:
        """A counter by these labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for sample, _, value in (line.rpartition("} ") for line in self):
            if sample.startswith(f"{metric}{{"):
                labels = dict(pair.split('="') for pair in sample[len(metric) + 1 : -1].split('",'))
                found[tuple(labels[name] for name in names)] += round(float(value))
        return +found

    def of_routes(self, begin: str) -> Told:
        """Those of routes whose names begin so."""
        return Told([line for line in self if f'route="{begin}' in line])


@dataclass
class Stage:
    """A gateway and all workers by model and recipe."""

    system: System
    served: Served
    workers: dict[tuple[str, str], str]

    @cached_property
    def code_version(self) -> str:
        return str(get(f"{self.workers['iris', 'rules']}/contract")["code_version"])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.served.data_port, timeout=PATIENCE)

    def told(self, route: str) -> Told:
        """What the gateway counts of routes whose names begin so."""
        lines = get_text(f"{self.served.admin}/metrics").splitlines()
        return Told([line for line in lines if not line.endswith(" 0.0")]).of_routes(route)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    system = System(tmp_path_factory.mktemp("models"))
    try:
        known = {(each.model, way) for each in PAIRS for way in each[1:]}
        known |= {("assistant", way) for way in CHATS}
        ports = {each: free_port() for each in sorted(known)}
        workers = {each: f"http://127.0.0.1:{port}" for each, port in ports.items()}
        commands = [
            ["--model", model, "--version", way, "--predictor", way, "--port", str(port)]
            for (model, way), port in ports.items()
        ]
        artefacts = str(ROOT / "artefacts")
        system.start("tests.system.farm", json.dumps(commands), artefacts)
        text = "routes:\n" + "".join(_routes(workers))
        stage = Stage(system, system.gateway(text), workers)
        for (model, way), url in workers.items():
            eventually(lambda url=url: answers(f"{url}/ready"), f"{model} {way} is ready")
        yield stage
    finally:
        system.stop()


@pytest.fixture
def connection(stage: Stage) -> Iterator[http.client.HTTPConnection]:
    one = stage.connect()
    yield one
    one.close()


def _routes(workers: dict[tuple[str, str], str]) -> Iterator[str]:
    for pair in (*PAIRS, *CHAT_PAIRS):
        for protocol in ("openai",) if pair in CHAT_PAIRS else ("v2", "sagemaker", "predict"):
            yield ROUTE.format(
                name=pair.name,
                protocol=protocol,
                path=PATHS[protocol],
                stable=pair.stable,
                candidate=pair.candidate,
                stable_url=workers[pair.model, pair.stable],
                candidate_url=workers[pair.model, pair.candidate],
                prediction=PREDICTIONS.get((pair.model, protocol), f"{{protocol: {protocol}}}"),
            )


# --- each language: a row in, and the first prediction of its answer with the version it tells


Row = Sequence[Any]


class Ask(NamedTuple):
    path: str
    body: bytes
    headers: dict[str, str]


def _plain(model: str, row: Row) -> Ask:
    return Ask(f"/predict/{model}", json.dumps({"instances": [row]}).encode(), {})


def _csv(model: str, row: Row) -> Ask:
    line = io.StringIO()
    csv.writer(line).writerow(row)
    headers = {"Content-Type": "text/csv"}
    return Ask("/endpoints/any/invocations", line.getvalue().encode(), headers)


def _inputs(model: str, row: Row) -> list[dict[str, Any]]:
    return [
        {
            "name": feature.name,
            "shape": [1],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [value],
        }
        for feature, value in zip(MODELS[model].contract.features, row, strict=True)
    ]


def _tensors(model: str, row: Row) -> Ask:
    body = json.dumps({"inputs": _inputs(model, row)}).encode()
    return Ask(f"/v2/models/{model}/infer", body, {})


def _binary(model: str, row: Row) -> Ask:
    inputs, raw = _inputs(model, row), b""
    for each in inputs:
        (value,) = each.pop("data")
        text = value.encode() if isinstance(value, str) else None
        packed = struct.pack("<d", value) if text is None else struct.pack("<I", len(text)) + text
        each["parameters"] = {"binary_data_size": len(packed)}
        raw += packed
    asked = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Ask(f"/v2/models/{model}/infer", head + raw, headers)


def _read(answer: http.client.HTTPResponse, body: bytes) -> tuple[str, str | float, str | None]:
    """The version that a body tells, its first prediction, the version of the code."""
    size = answer.headers.get("Inference-Header-Content-Length")
    found = json.loads(body[: size and int(size)])
    if "outputs" not in found:
        predictions = found["predictions"]
        first = next(iter(predictions.values())) if isinstance(predictions, dict) else predictions
        return found["model_version"], first[0], found["code_version"]
    output, at = found["outputs"][0], int(size or 0)
    if "data" in output:
        return found["model_version"], output["data"][0], None
    if output["datatype"] == "FP64":
        return found["model_version"], struct.unpack_from("<d", body, at)[0], None
    (length,) = struct.unpack_from("<I", body, at)
    return found["model_version"], body[at + 4 : at + 4 + length].decode(), None


LANGUAGES: tuple[Callable[[str, Row], Ask], ...] = (_plain, _tensors, _csv, _binary)


def _ask(
    connection: http.client.HTTPConnection, ask: Ask, host: str, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    sent = {"Host": host, **ask.headers, **headers}
    connection.request("POST", ask.path, ask.body, sent)
    answer = connection.getresponse()
    return answer, answer.read()


@dataclass
class Played:
    """What came of the requests to one pair."""

    wrong: list[object]  # answers that are not as they should be
    seen: Counter[tuple[str, str]]  # by version and first prediction
    answered: Counter[tuple[str, ...]]  # by version
    by_workers: Counter[tuple[str, str]]  # as the workers counted them
    requests: Counter[tuple[str, ...]]


def _play(stage: Stage, connection: http.client.HTTPConnection, pair: Pair) -> Played:
    rows = data(pair.model).rows
    played = Played([], Counter(), Counter(), Counter(), Counter())
    before = {way: _stats(stage.workers[pair.model, way]) for way in pair[1:]}
    first: dict[tuple[str, Row], str | float] = {}
    for number in range(REQUESTS):
        row = rows[number // len(LANGUAGES) * 7 % len(rows)]
        language = LANGUAGES[number % len(LANGUAGES)]
        answer, body = _ask(connection, language(pair.model, row), pair.name)
        if (answer.status, answer.headers["X-Assignment"]) != (200, "weighted"):
            played.wrong.append((language, row, answer.status, body))
            continue
        version, label, code = _read(answer, body)
        same = first.setdefault((version, row), label)  # in whatever language
        right = answer.headers["X-Model-Version"], same, code and stage.code_version
        if (version, label, code) != right:
            played.wrong.append((language, row, body, right))
        played.seen[version, str(label)] += 1
        played.answered[version,] += 1
    for way, counts in before.items():
        after = _stats(stage.workers[pair.model, way])
        served = after["requests"].get("200", 0) - counts["requests"].get("200", 0)
        played.requests[way,] = served
        for label, known in after["predictions"].items():
            played.by_workers[way, label] = known - counts["predictions"].get(label, 0)
    return played


@pytest.fixture(scope="module")
def played(stage: Stage) -> tuple[dict[Pair, Played], Told]:
    """All pairs, and what the gateway counted of them: to be told of so many routes takes long."""
    connection = stage.connect()
    found = {pair: _play(stage, connection, pair) for pair in PAIRS}
    connection.close()
    total = sum(one.answered.total() for one in found.values())

    def all_counted() -> Told | None:
        told = stage.told("")
        return told if told.of("canary_requests_total").total() >= total else None

    told: Told = eventually(all_counted, "the gateway counted them")
    return found, told


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_client_gateway_and_workers_agree_about_every_answer(
    played: tuple[dict[Pair, Played], Told], pair: Pair
) -> None:
    one, told = played[0][pair], played[1].of_routes(f"{pair.name}-")

    assert one.wrong == []
    assert set(one.answered) == {(pair.stable,), (pair.candidate,)}
    assert told.of("canary_requests_total", "version") == one.answered == one.requests
    if pair.model == "diabetes":
        assert told.of("canary_prediction_value_count", "version") == one.answered
        assert not told.of("canary_predictions_total", "version")
    else:
        assert told.of("canary_predictions_total", "version", "label") == one.seen
        assert +one.by_workers == one.seen
    assert not told.of("canary_prediction_missing_total", "reason")
    assert not told.of("canary_request_errors_total", "reason")


@pytest.mark.parametrize("pair", CHAT_PAIRS, ids=lambda pair: pair.name)
def test_chats_agree_too_and_models_that_are_asked_about_are_no_chats(
    stage: Stage, connection: http.client.HTTPConnection, pair: Pair
) -> None:
    names = {way: stage.workers[pair.model, way] for way in pair[1:]}
    before = {way: Counter(_stats(url)["predictions"]) for way, url in names.items()}
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(REQUESTS):
        asked = {"model": "assistant", "seed": number, "max_tokens": 8}
        asked |= {"messages": [{"role": "user", "content": "Where is my parcel?"}]}
        ask = Ask("/v1/chat/completions", json.dumps(asked).encode(), {})
        answer, body = _ask(connection, ask, pair.name)
        said = json.loads(body)
        version = answer.headers["X-Model-Version"]
        assert said["system_fingerprint"] == f"{version}-{stage.code_version}"
        seen[version, said["choices"][0]["finish_reason"]] += 1
    for path in ("/v1/models", "/v1/models/assistant"):
        connection.request("GET", path, headers={"Host": pair.name})
        with connection.getresponse() as answer:
            assert answer.status == 200
            answer.read()

    def all_counted() -> Told | None:
        told = stage.told(pair.name)
        return told if told.of("canary_predictions_total", "version", "label") == seen else None

    found: Told = eventually(all_counted, "the gateway counted them")
    for way, url in names.items():
        told = Counter(_stats(url)["predictions"])
        told.subtract(before[way])
        assert +told == Counter({label: n for (who, label), n in seen.items() if who == way})
    assert not found.of("canary_prediction_missing_total", "reason")


def test_pages_and_explanations_pass_and_count_as_no_predictions(
    stage: Stage, connection: http.client.HTTPConnection
) -> None:
    pair = Pair("iris", "v1", "forest")
    for path in ("/openapi.json", "/docs", "/contract"):
        for _ in range(4):
            connection.request("GET", path, headers={"Host": pair.name})
            answer = connection.getresponse()
            own = stage.workers["iris", answer.headers["X-Model-Version"]]
            assert answer.read().decode() == get_text(f"{own}{path}")
    explain = _plain("iris", data("iris").rows[0])._replace(path="/explain")
    for _ in range(4):
        answer, body = _ask(connection, explain, pair.name)
        assert answer.status == 200, body  # of stable, while a candidate gets its own ready
        assert json.loads(body)["explanations"][0]["prediction"] == "setosa"
    assert not stage.told(f"{pair.name}-").of("canary_prediction_missing_total", "reason")


# --- what goes wrong


USERS = [f"user-{number}" for number in range(20)]
FLOWER = _plain("iris", [5.1, 3.5, 1.4, 0.2])
CANARY = ("iris", "canary")
REFUSED = {
    "a wrong count": (b'{"instances": [[1, 2, 3]]}', 422),
    "out of range": (b'{"instances": [[5.1, 3.5, 1.4, 99]]}', 422),
    "a text": (b'{"instances": [[5.1, 3.5, 1.4, "wide"]]}', 422),
    "NaN": (b'{"instances": [[5.1, 3.5, 1.4, NaN]]}', 422),
    "infinity": (b'{"instances": [[5.1, 3.5, 1.4, -Infinity]]}', 422),
    "nothing": (b"", 422),
    "no JSON": (b"petals", 422),
    "too many": (json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]] * 201}).encode(), 422),
    "deep": (b'{"instances":' + b"[" * 100_000, 422),
    "huge": (b'{"instances": [[' + b" " * (1 << 20) + b"]]}", 413),
}
UNSEEN = b'{"instances": [["Where is my parcel?", "fax"]]}'


@pytest.fixture(scope="module")
def broken(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway of its own, with a candidate that is not there yet."""
    system = System(tmp_path_factory.mktemp("broken"))
    worker, text = f"http://127.0.0.1:{free_port()}", "routes:\n"
    for name, timeout in (("slow", "30s"), ("quick", "3s")):
        rules = stage.workers["iris", "rules"]
        text += BROKEN.format(name=name, timeout=timeout, stable=rules, candidate=worker)
    try:
        yield Stage(system, system.gateway(text), {**stage.workers, CANARY: worker})
    finally:
        system.stop()


def _start(broken: Stage, *options: str, **settings: str) -> subprocess.Popen[str]:
    """The candidate that will be broken; all of its settings stand in the environment."""
    port = broken.workers[CANARY].rpartition(":")[2]
    usual = {"MODEL": "iris", "VERSION": "canary", "PREDICTOR": "rules"}
    named = {f"MODEL_WORKER_{key}": value for key, value in (usual | settings).items()}
    return subprocess.Popen(
        [sys.executable, "-m", "model_workers", *options],
        env={**os.environ, **named, "MODEL_WORKER_PORT": port, "PYTHONPATH": str(ROOT)},
        cwd=broken.system.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def candidate(broken: Stage) -> Iterator[subprocess.Popen[str]]:
    process = _start(broken)
    eventually(lambda: answers(f"{broken.workers[CANARY]}/ready"), "the candidate is ready")
    yield process
    process.kill()
    process.communicate()


def _plan(broken: Stage, faults: str) -> None:
    port = broken.workers[CANARY].rpartition(":")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
    connection.request("PUT", "/faults", faults)
    assert connection.getresponse().status == 200
    connection.close()


def _everybody(broken: Stage, ask: Ask, host: str = "slow") -> Counter[tuple[int, str, str]]:
    """All users ask at once: status, version and assignment of their answers."""

    def one(user: str) -> tuple[int, str, str]:
        connection = broken.connect()
        answer, _ = _ask(connection, ask, host, **{"X-User-Id": user})
        connection.close()
        headers = answer.headers
        return answer.status, headers["X-Model-Version"], headers["X-Assignment"]

    with ThreadPoolExecutor(len(USERS)) as clients:
        return Counter(clients.map(one, USERS))


def _errors(broken: Stage, host: str) -> Counter[str]:
    found = broken.told(host).of("canary_request_errors_total", "version", "reason")
    assert {version for version, _ in found} <= {"canary"}
    return Counter({reason: number for (_, reason), number in found.items()})


@pytest.mark.usefixtures("candidate")
def test_what_is_wrong_with_a_request_is_told_by_whoever_gets_it_and_held_against_nobody(
    stage: Stage, broken: Stage, connection: http.client.HTTPConnection
) -> None:
    errors = _errors(broken, "slow")
    urls = {"rules": broken.workers["iris", "rules"], "canary": broken.workers[CANARY]}
    before = {name: Counter(_stats(url)["requests"]) for name, url in urls.items()}
    told: Counter[tuple[str, str]] = Counter()
    for what, (body, status) in REFUSED.items():
        got = _everybody(broken, FLOWER._replace(body=body))
        assert {each for each, _, _ in got} == {status}, what
        if status != 413:  # which is the gateway's own: it reads no further
            for (_, version, assignment), number in got.items():
                assert assignment == "sticky"
                told[version, str(status)] += number
        assert {each for each, _, _ in _everybody(broken, FLOWER)} == {200}
    assert {version for version, _ in told} == set(urls)

    for name, url in urls.items():
        counts = Counter(_stats(url)["requests"])
        counts.subtract(before[name])
        assert counts["422"] == told[name, "422"]
        assert not any(_stats(url)["failures"].values())
    assert _errors(broken, "slow") == errors

    pair = Pair("tickets", "rules", "bag-of-words")
    answer, said = _ask(connection, Ask("/predict", UNSEEN, {}), pair.name)
    assert (answer.status, b"channel is the text 'fax'" in said) == (422, True)


BROKEN_BY = {
    "errors=1": ("slow", "upstream_5xx", None),
    "crash=1": ("slow", "upstream_5xx", "raised"),
    "stuck=1": ("slow", "upstream_5xx", "hung"),
    "cut=1": ("slow", "reset", None),
    "hang=1": ("quick", "timeout", None),
}


@pytest.mark.usefixtures("candidate")
def test_no_client_sees_a_broken_candidate_and_each_failure_has_its_reason(broken: Stage) -> None:
    healthy = _everybody(broken, FLOWER)
    assert healthy == {(200, "rules", "sticky"): 14, (200, "canary", "sticky"): 6}
    for faults, (host, reason, kind) in BROKEN_BY.items():
        errors, failures = _errors(broken, host), _stats(broken.workers[CANARY])["failures"]
        _plan(broken, faults)
        got = _everybody(broken, FLOWER, host)
        _plan(broken, "")

        assert got == {(200, "rules", "sticky"): 14, (200, "rules", "fallback"): 6}, faults
        eventually(lambda h=host, e=errors: (_errors(broken, h) - e).total() == 6, "counted")
        assert _errors(broken, host) - errors == {reason: 6}, faults
        counted = Counter(_stats(broken.workers[CANARY])["failures"])
        counted.subtract(failures)
        # Of those that hang four are too many already: the others are not begun.
        assert (+counted).total() == (6 if kind else 0), faults
        assert kind is None or counted[kind] >= min(4, counted.total())
        eventually(
            lambda: answers(f"{broken.workers[CANARY]}/ready"), "the candidate is well again"
        )
        assert _everybody(broken, FLOWER) == healthy, faults


@pytest.mark.usefixtures("candidate")
def test_an_answer_that_is_no_prediction_passes_and_is_counted(broken: Stage) -> None:
    _plan(broken, "garbage=1")
    got = _everybody(broken, FLOWER)

    assert got == {(200, "rules", "sticky"): 14, (200, "canary", "sticky"): 6}
    missing = Counter({("canary", "unreadable"): 6})
    eventually(
        lambda: (
            broken.told("slow").of("canary_prediction_missing_total", "version", "reason")
            == missing
        ),
        "they were counted",
    )


def test_a_candidate_that_is_killed_or_cannot_start_is_replaced_until_it_is_back(
    broken: Stage, candidate: subprocess.Popen[str]
) -> None:
    healthy = _everybody(broken, FLOWER)
    gone = {(200, "rules", "sticky"): 14, (200, "rules", "fallback"): 6}
    candidate.kill()
    candidate.wait()
    errors = _errors(broken, "slow")
    assert _everybody(broken, FLOWER) == gone

    artefacts = broken.system.folder / "damaged"
    (artefacts / "iris").mkdir(parents=True)
    (artefacts / "iris" / "v2.skops").write_bytes(b"PK, but nothing that can be unpacked")
    damaged = _start(broken, "--artefacts", str(artefacts), PREDICTOR="v2")
    _, said = damaged.communicate(timeout=PATIENCE)
    assert damaged.returncode == 1
    assert said.startswith("error: ")
    assert (said.count("\n"), "v2.skops" in said) == (1, True)
    assert _everybody(broken, FLOWER) == gone
    assert (_errors(broken, "slow") - errors) == {"connect": 12}

    again = _start(broken)
    try:
        eventually(lambda: answers(f"{broken.workers[CANARY]}/ready"), "the candidate is back")
        assert _everybody(broken, FLOWER) == healthy
    finally:
        again.kill()
        again.communicate()
