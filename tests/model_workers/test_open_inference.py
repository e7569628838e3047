"""The Open Inference Protocol v2, as the published specification words it."""

from typing import Any

import pytest
from starlette.testclient import TestClient

FLOWER = [5.1, 3.5, 1.4, 0.2]
INFER = "/v2/models/iris/infer"


def request(**changes: Any) -> dict[str, Any]:
    """A good inference request of one tensor, with some of the tensor's members replaced."""
    tensor = {"name": "instances", "shape": [1, 4], "datatype": "FP64", "data": FLOWER}
    return {"inputs": [tensor | changes]}


def refused(client: TestClient, body: Any) -> str:
    response = client.post(INFER, json=body)
    assert response.status_code == 400
    text: str = response.json()["error"]
    return text


def test_the_answer_echoes_the_id_and_names_model_and_version(connect):
    response = connect("iris", "v2").post(INFER, json={"id": "abc-7", **request()})
    assert response.status_code == 200
    body = response.json()
    assert (body["id"], body["model_name"], body["model_version"]) == ("abc-7", "iris", "v2")
    labels, probabilities = body["outputs"]
    assert labels == {
        "name": "predictions",
        "datatype": "BYTES",
        "shape": [1],
        "data": ["setosa"],
    }
    assert (probabilities["name"], probabilities["datatype"]) == ("probabilities", "FP64")
    assert 0.5 < probabilities["data"][0] <= 1


def test_without_an_id_none_comes_back(connect):
    assert "id" not in connect().post(INFER, json=request()).json()


@pytest.mark.parametrize("data", [[*FLOWER, 6.7, 3.0, 5.2, 2.3], [FLOWER, [6.7, 3.0, 5.2, 2.3]]])
def test_flat_and_nested_data_mean_the_same(connect, data):
    body = connect().post(INFER, json=request(shape=[2, 4], data=data)).json()
    assert body["outputs"][0]["data"] == ["setosa", "virginica"]


def test_only_the_outputs_asked_for_are_sent(connect):
    asked = request() | {"outputs": [{"name": "probabilities"}]}
    body = connect().post(INFER, json=asked).json()
    assert [output["name"] for output in body["outputs"]] == ["probabilities"]


def test_the_versioned_path_answers_only_for_the_version_served(connect):
    client = connect()
    assert client.post("/v2/models/iris/versions/v1/infer", json=request()).status_code == 200
    response = client.post("/v2/models/iris/versions/v2/infer", json=request())
    assert response.status_code == 404
    assert response.json()["error"].startswith("Request for unknown model: 'iris' version 'v2'")


@pytest.mark.parametrize("tail", ["", "/ready", "/infer"])
def test_an_unknown_model_is_404_with_an_error(connect, tail):
    client = connect()
    method = "POST" if tail == "/infer" else "GET"
    response = client.request(method, f"/v2/models/rose{tail}", json=request())
    assert response.status_code == 404
    assert response.json()["error"].startswith("Request for unknown model")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": [4]}, "takes [rows, 4]"),
        ({"shape": [1, 5]}, "takes [rows, 4]"),
        ({"shape": [0, 4], "data": []}, "0 rows"),
        ({"shape": [201, 4]}, "201 rows; send 1 to 200"),
        ({"shape": [2, 4]}, "4 values for shape [2, 4]; send 8"),
        ({"data": [[5.1, 3.5], [1.4, 0.2]]}, "does not match the shape"),
        ({"data": [FLOWER, 1.0]}, "does not match the shape"),
        ({"data": [5.1, 3.5, 1.4, 1e31]}, "beyond 1e+30"),
        ({"data": ["a", "b", "c", "d"]}, "inputs[0].data[0]"),
        ({"data": None}, "has no 'data'"),
        ({"datatype": "BYTES"}, "datatype 'BYTES' is not numeric"),
        ({"datatype": "BOOL"}, "datatype 'BOOL' is not numeric"),
        ({"data": None, "parameters": {"binary_data_size": 32}}, "binary tensors"),
    ],
)
def test_a_tensor_this_model_cannot_take_is_refused_with_the_rule(connect, changes, words):
    assert words in refused(connect(), request(**changes))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "0 input tensors"),
        ({"inputs": request()["inputs"] * 2}, "2 input tensors"),
        (request() | {"outputs": [{"name": "logits"}]}, "no output 'logits'"),
        ([], "no inference request"),
    ],
)
def test_a_request_this_server_cannot_serve_is_refused(connect, body, words):
    assert words in refused(connect(), body)


def test_binary_input_is_refused_before_its_bytes_are_read_as_json(connect):
    response = connect().post(
        INFER, content=b'{"inputs":[]}\x00\x01', headers={"Inference-Header-Content-Length": "13"}
    )
    assert response.status_code == 400
    assert "binary tensors are not supported" in response.json()["error"]


def test_metadata_names_the_tensors_and_the_one_version(connect):
    client = connect("breast-cancer", "v3")
    for path in ("/v2/models/breast-cancer", "/v2/models/breast-cancer/versions/v3"):
        body = client.get(path).json()
        assert body["name"] == "breast-cancer"
        assert body["versions"] == ["v3"]
        assert body["inputs"] == [{"name": "instances", "datatype": "FP64", "shape": [-1, 30]}]
        assert [output["name"] for output in body["outputs"]] == ["predictions", "probabilities"]


def test_the_server_tells_what_it_is_and_that_it_is_well(connect):
    client = connect()
    assert client.get("/v2").json().keys() == {"name", "version", "extensions"}
    assert client.get("/v2/").json() == client.get("/v2").json()
    assert client.get("/v2/health/live").json()["live"] is True
    assert client.get("/v2/health/ready").json()["ready"] is True
    assert client.get("/v2/models").json() == {"models": ["iris"]}
    assert client.get("/v2/models/iris/ready").json() == {"name": "iris", "ready": True}
    assert client.get("/v2/models/iris/versions/v1/ready").status_code == 200


def test_faults_strike_inference_too(connect):
    client = connect(faults="constant=tulip,errors=1,after=1")
    assert client.post(INFER, json=request()).status_code == 200
    assert client.post(INFER, json=request()).status_code == 500
