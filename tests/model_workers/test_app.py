"""``/predict``, ``/stats`` and ``/faults`` of a worker, over ASGI without a socket."""

import asyncio
import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from model_workers.contract.contract import Row
from model_workers.models.catalogue import data, model_of
from model_workers.predictors.predictor import Answer
from model_workers.serving.app import create_app
from model_workers.serving.faults import NO_FAULTS, parse

FLOWER = [5.1, 3.5, 1.4, 0.2]
FEATURES = model_of("iris").contract.names


def ask(client: TestClient, instances: Any, path: str = "/predict") -> Any:
    return client.post(path, json={"instances": instances})


# --- answers


@pytest.mark.parametrize("path", ["/predict", "/predict/iris", "/invocations"])
def test_a_row_of_numbers_is_answered_with_label_and_probability(connect, path):
    body = ask(connect(), [FLOWER], path).json()
    assert body["model"] == "iris"
    assert body["model_version"] == "v1"
    assert body["predictions"] == ["setosa"]
    assert 0.5 < body["probabilities"][0] <= 1


def test_named_features_in_any_order_mean_the_same_as_a_row(connect):
    client = connect()
    named = dict(reversed(list(zip(FEATURES, FLOWER, strict=True))))
    assert ask(client, [named]).json() == ask(client, [FLOWER]).json()


def test_there_is_one_answer_per_instance_in_their_order(connect):
    body = ask(connect(), [FLOWER, [6.7, 3.0, 5.2, 2.3], FLOWER]).json()
    assert body["predictions"] == ["setosa", "virginica", "setosa"]
    assert len(body["probabilities"]) == 3


def test_a_binary_model_answers_with_its_own_labels(connect):
    rows = data("breast-cancer").rows[:30]
    assert set(ask(connect("breast-cancer", "v2"), rows).json()["predictions"]) == {
        "malignant",
        "benign",
    }


def test_another_model_than_the_one_served_is_404(connect):
    response = ask(connect(), [FLOWER], "/predict/digits")
    assert response.status_code == 404
    assert response.json()["error"].startswith("Request for unknown model: 'digits'")


# --- refusals, in the shape of any error


def test_a_body_over_a_mebibyte_is_413(connect):
    response = connect().post("/predict", content=b" " * ((1 << 20) + 1))
    assert response.status_code == 413
    assert "1048576 bytes" in response.json()["error"]


def test_a_body_in_an_encoding_nobody_knows_is_415(connect):
    response = connect().post("/predict", content=b"x", headers={"Content-Encoding": "zstd"})
    assert response.status_code == 415


def test_an_unknown_path_and_a_wrong_method_are_json_too(connect):
    client = connect()
    assert "GET /nothing: Not Found" in client.get("/nothing").json()["error"]
    response = client.get("/predict")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_slash_too_many_leads_to_no_other_address(connect):
    response = connect().post("/predict/", follow_redirects=False)
    assert response.status_code == 404
    assert "POST /predict/: Not Found" in response.json()["error"]


def test_a_body_behind_a_wish_for_another_protocol_is_not_taken_for_an_empty_one(connect):
    wish = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}
    response = connect().post("/predict", content=b"", headers=wish)
    assert (response.status_code, response.headers["connection"]) == (400, "close")
    assert "send HTTP/1.1 without Upgrade" in response.json()["error"]
    alone = connect().post("/predict", json={"instances": [FLOWER]}, headers={"Upgrade": "h2c"})
    assert alone.status_code == 200


# --- a model that fails by itself


class Answering:
    """A predictor whose every prediction is what it was made with; an exception is raised."""

    contract = model_of("iris").contract

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer

    def predict(self, rows: Sequence[Row]) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answering(answer: Answer | Exception) -> TestClient:
    return TestClient(create_app("v1", Answering(answer)), raise_server_exceptions=False)


def test_a_crash_of_the_model_is_a_500_that_tells_no_secrets_and_is_logged_once(caplog):
    client = answering(ArithmeticError("secret detail"))
    for _ in range(3):
        response = ask(client, [FLOWER])
        assert response.status_code == 500
        assert response.json() == {"error": "the model failed; the worker's log says why"}
    (record,) = caplog.records
    assert "secret detail" in caplog.text
    assert record.exc_info[0] is ArithmeticError
    stats = client.get("/stats").json()
    assert stats["requests"] == {"500": 3}
    assert stats["failures"] == {"raised": 3, "hung": 0, "broken": 0, "overloaded": 0}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer((["setosa"] * 2,), ([1.0] * 2,)), "species has 2 predictions for 1 instances"),
        (Answer((["tulip"],), ([1.0],)), "species is 'tulip', a label nobody knows"),
        (Answer((["setosa"],), ([float("nan")],)), "species has nan where a number belongs"),
        (Answer((), ()), "0 outputs and not 1"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_never_sent(answer, words):
    client = answering(answer)
    response = ask(client, [FLOWER])
    assert response.status_code == 500
    assert response.json() == {"error": f"the model broke its contract: {words}"}
    stats = client.get("/stats").json()
    assert stats["failures"]["broken"] == 1
    assert set(stats["predictions"].values()) == {0}


# --- health and counts


@pytest.mark.parametrize("path", ["/healthy", "/ready", "/ping"])
def test_health_is_answered_and_not_counted(connect, path):
    client = connect()
    assert client.get(path).status_code == 200
    assert client.get("/stats").json()["requests"] == {}


def test_stats_count_answers_by_status_and_predictions_by_label(connect):
    client = connect()
    ask(client, [FLOWER, FLOWER])
    ask(client, [FLOWER])
    ask(client, [])
    client.get("/nothing")
    assert client.get("/stats").json() == {
        "model": "iris",
        "model_version": "v1",
        "requests": {"200": 2, "422": 1, "404": 1},
        "predictions": {"setosa": 3, "versicolor": 0, "virginica": 0},
        "failures": {"raised": 0, "hung": 0, "broken": 0, "overloaded": 0},
        "stuck": 0,
    }


# --- faults


def test_the_share_of_errors_is_what_the_plan_says_to_the_request(connect):
    plan = parse("errors=0.3,seed=4")
    expected = [500 if plan.at(number).strike else 200 for number in range(50)]
    client = connect(faults="errors=0.3,seed=4")
    assert [ask(client, [FLOWER]).status_code for _ in range(50)] == expected
    assert client.get("/stats").json()["requests"]["500"] == expected.count(500)


def test_a_refused_body_meets_no_fault(connect):
    assert ask(connect(faults="errors=1"), []).status_code == 422


def test_a_constant_replaces_every_label_also_by_one_nobody_knows(connect):
    client = connect(faults="constant=tulip")
    assert ask(client, [FLOWER, FLOWER]).json()["predictions"] == ["tulip", "tulip"]
    assert client.get("/stats").json()["predictions"]["tulip"] == 2


def test_a_constant_of_a_model_that_answers_numbers_is_a_number_in_every_language(connect):
    client = connect("diabetes", "dummy", faults="constant=7.5")
    row = {feature["name"]: 2.0 for feature in client.get("/contract").json()["features"]}
    row |= {"sex": "1", "age": 50, "bmi": 25, "bp": 90, "s1": 190, "s2": 110, "s3": 50, "s6": 90}
    answer = client.post("/predict", json={"instances": [row]}).json()
    assert (answer["predictions"], answer.get("probabilities")) == ([7.5], None)
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [value],
        }
        for name, value in row.items()
    ]
    asked = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    packed = client.post("/v2/models/diabetes/infer", json=asked)
    assert packed.status_code == 200
    assert packed.content.endswith(struct.pack("<d", 7.5))


@pytest.mark.parametrize("constant", ["high", "nan"])
def test_a_constant_that_is_no_number_is_refused_where_numbers_are_answered(connect, constant):
    refused = connect("diabetes", "dummy").put("/faults", content=f"constant={constant}")
    assert refused.status_code == 422
    assert "progression a number; write one" in refused.json()["error"]


def test_garbage_is_a_200_that_is_not_json(connect):
    response = ask(connect(faults="garbage=1"), [FLOWER])
    assert response.status_code == 200
    assert not response.text.startswith("{")


def test_a_delayed_answer_is_the_same_answer(connect):
    assert ask(connect(faults="latency=1ms"), [FLOWER]).json()["predictions"] == ["setosa"]


def test_a_plan_is_switched_at_run_time_by_text_or_json(connect):
    client = connect()
    assert client.put("/faults", content="errors=1,after=1").json()["text"] == "errors=1.0,after=1"
    assert [ask(client, [FLOWER]).status_code for _ in range(3)] == [200, 500, 500]
    assert client.get("/faults").json()["met"] == 3
    # A new plan starts to count again, so that `after` means from now on.
    assert client.put("/faults", json={"errors": 1, "after": 1}).status_code == 200
    assert [ask(client, [FLOWER]).status_code for _ in range(2)] == [200, 500]
    assert client.put("/faults", content="").json()["text"] == ""
    assert ask(client, [FLOWER]).status_code == 200


def test_what_get_faults_shows_can_be_put_back(connect):
    client = connect(faults="errors=0.1,latency=50ms,constant=setosa,after=3")
    shown = client.get("/faults").json()
    client.put("/faults", content="")
    assert client.put("/faults", json=shown["faults"]).json()["text"] == shown["text"]


@pytest.mark.parametrize(
    "content", ["eror=1", "{", '{"errors": true}', '{"errors": 2}', b'{"constant": "\xff"}']
)
def test_a_plan_not_understood_changes_nothing(connect, content):
    client = connect(faults="errors=1")
    response = client.put("/faults", content=content)
    assert response.status_code == 422
    assert response.json()["error"]
    assert client.get("/faults").json()["text"] == "errors=1.0"


def test_faults_cannot_be_switched_from_afar_nor_through_a_gateway(connect):
    client = connect()
    through = client.put("/faults", content="errors=1", headers={"X-Forwarded-For": "10.0.0.9"})
    assert through.status_code == 403
    afar = TestClient(client.app, client=("10.0.0.9", 1)).put("/faults", content="errors=1")
    assert afar.status_code == 403
    assert client.get("/faults").json()["text"] == str(NO_FAULTS)


# --- faults that a whole test client cannot show: spoken in ASGI


class Call:
    """One request, message by message; ``leave`` is the client going away."""

    def __init__(self, method: str, path: str, body: bytes = b"") -> None:
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "query_string": b"",
            "client": ("127.0.0.1", 1),
        }
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.inbox.put_nowait({"type": "http.request", "body": body})
        self.sent: list[Any] = []

    def leave(self) -> None:
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, app: Any) -> None:
        await app(self.scope, self.inbox.get, self.send)


def test_a_hanging_request_ends_when_its_client_leaves_and_holds_up_nobody(connect):
    app = connect(faults="hang=1").app
    body = json.dumps({"instances": [FLOWER]}).encode()

    async def story() -> bytes:
        hanging = Call("POST", "/predict", body)
        task = asyncio.create_task(hanging.run(app))
        health = Call("GET", "/healthy")
        await health.run(app)
        assert health.sent[0]["status"] == 200
        assert not task.done()
        hanging.leave()
        await task
        stats = Call("GET", "/stats")
        await stats.run(app)
        text: bytes = stats.sent[1]["body"]
        return text

    assert json.loads(asyncio.run(story()))["requests"] == {"499": 1}


def test_a_client_that_leaves_within_its_body_is_no_failure_of_the_model(connect):
    app = connect().app

    async def story() -> Call:
        leaving = Call("POST", "/predict")
        await leaving.inbox.get()
        leaving.leave()
        await leaving.run(app)
        stats = Call("GET", "/stats")
        await stats.run(app)
        return stats

    assert json.loads(asyncio.run(story()).sent[1]["body"])["requests"] == {"499": 1}


@pytest.mark.parametrize("faults", ["", "hang=1", "stuck=1"])
def test_what_a_stopping_server_gives_up_is_told_so_and_is_no_failure_of_the_model(connect, faults):
    """The server cancels what is still under way, in the body, before the model or in it."""
    app = connect(faults=faults).app

    async def story() -> tuple[Call, Call]:
        late = Call("POST", "/predict", json.dumps({"instances": [FLOWER]}).encode())
        if not faults:
            await late.inbox.get()
        task = asyncio.create_task(late.run(app))
        await asyncio.sleep(0)
        task.cancel()
        await task
        healed = Call("PUT", "/faults")
        await healed.run(app)  # so that no thread is left behind
        stats = Call("GET", "/stats")
        await stats.run(app)
        return late, stats

    late, stats = asyncio.run(story())
    start, body = late.sent
    assert start["status"] == 503
    assert json.loads(body["body"]) == {"error": "the worker is stopping; ask another"}
    assert not any(json.loads(stats.sent[1]["body"])["failures"].values())


def test_a_cut_answer_promises_more_than_it_sends_and_counts_as_cut(connect):
    app = connect(faults="cut=1").app

    async def story() -> tuple[Call, Call]:
        cut = Call("POST", "/predict", json.dumps({"instances": [FLOWER]}).encode())
        await cut.run(app)
        stats = Call("GET", "/stats")
        await stats.run(app)
        return cut, stats

    cut, stats = asyncio.run(story())
    start, half = cut.sent
    promised = int(dict(start["headers"])[b"content-length"])
    assert len(half["body"]) == promised // 2
    assert half["more_body"] is True
    assert json.loads(stats.sent[1]["body"])["requests"] == {"cut": 1}
    assert json.loads(stats.sent[1]["body"])["predictions"]["setosa"] == 0
