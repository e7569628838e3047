"""The Open Inference Protocol v2 in JSON, as the published specification words it."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from model_workers.models.catalogue import model_of
from model_workers.revision import code_version

FLOWER = [5.1, 3.5, 1.4, 0.2]
FEATURES = model_of("iris").contract.names
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


@pytest.mark.parametrize("names", [["probabilities"], ["probabilities", "predictions"]])
def test_only_the_outputs_asked_for_are_sent_in_the_order_asked_for(connect, names):
    asked = request() | {"outputs": [{"name": name} for name in names]}
    body = connect().post(INFER, json=asked).json()
    assert [output["name"] for output in body["outputs"]] == names


def test_parameters_that_are_hints_and_a_missing_content_type_are_tolerated(connect):
    body = request(parameters={"content_type": "np"}) | {"parameters": {"priority": 2, "x": [1]}}
    response = connect().post(INFER, content=json.dumps(body))
    assert response.status_code == 200


def test_each_feature_may_be_a_tensor_of_its_own_in_any_order(connect):
    client = connect()
    columns = zip(FEATURES, FLOWER, [6.7, 3.0, 5.2, 2.3], strict=True)
    tensors = [
        {"name": name, "shape": [2], "datatype": "FP32", "data": list(values)}
        for name, *values in columns
    ]
    tensors[0] |= {"shape": [2, 1], "data": [[5.1], [6.7]]}
    answer = client.post(INFER, json={"inputs": tensors[::-1]})
    assert answer.json()["outputs"][0]["data"] == ["setosa", "virginica"]


def test_columns_of_different_lengths_and_a_missing_one_are_refused_by_name(connect):
    client = connect()
    tensors = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(FEATURES, FLOWER, strict=True)
    ]
    longer = {"name": FEATURES[0], "shape": [2], "datatype": "FP64", "data": [1, 2]}
    assert "sepal length (cm): 2, sepal width (cm): 1" in refused(
        client, {"inputs": [longer, *tensors[1:]]}
    )
    assert "row 0: sepal length (cm) is missing" in refused(client, {"inputs": tensors[1:]})


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
        ({"shape": [0, 4], "data": []}, "at least one"),
        ({"shape": [201, 4]}, "201 rows; send 1 to 200"),
        ({"shape": [2, 4]}, "has 4 values, and its shape is [2, 4]"),
        ({"data": [[5.1, 3.5], [1.4, 0.2]]}, "nesting of the data does not match the shape"),
        ({"shape": [2, 4], "data": [FLOWER, 1.0]}, "partly nested"),
        ({"data": [5.1, 3.5, 1.4, 31.0]}, "row 0: petal width (cm) is 31.0; write a number"),
        ({"data": [1.0, "b", "c", "d"]}, "element 1 of the data is the text 'b' and no FP64"),
        ({"data": None}, "neither 'data' nor binary_data_size"),
        ({"datatype": "BYTES"}, "is 'BYTES', which is not numeric"),
        ({"datatype": "BOOL"}, "is 'BOOL', which is not numeric"),
        ({"datatype": "INT8"}, "element 0 of the data is 5.1 and no INT8"),
        ({"datatype": "UINT8", "data": [1, 2, 3, 256]}, "256 in the data is no UINT8"),
        ({"datatype": "FP64", "data": [1, 2, 3, 10**400]}, "more than 64 bits"),
        ({"datatype": "TF32"}, "which is not numeric"),
        ({"data": None, "parameters": {"binary_data_size": 32}}, "0 bytes are there"),
        ({"parameters": {"shared_memory_region": "r"}}, "'shared_memory_region' is not supported"),
    ],
)
def test_a_tensor_this_model_cannot_take_is_refused_with_the_rule(connect, changes, words):
    assert words in refused(connect(), request(**changes))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "0 input tensors"),
        ({"inputs": request()["inputs"] * 2}, "'instances' is no feature; send one tensor of"),
        (request() | {"outputs": [{"name": "predictions"}] * 2}, "asked for twice"),
        (
            request() | {"outputs": [{"name": "predictions", "parameters": {"classification": 2}}]},
            "'classification' is not supported",
        ),
        (request() | {"outputs": [{"name": "logits"}]}, "no output 'logits'"),
        ([], "no inference request"),
    ],
)
def test_a_request_this_server_cannot_serve_is_refused(connect, body, words):
    assert words in refused(connect(), body)


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
    told = client.get("/v2").json()
    assert told.keys() == {"name", "version", "extensions"}
    assert told["version"] == code_version()  # as /predict says it
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


def test_what_the_server_announces_it_does(connect):
    assert connect().get("/v2").json()["extensions"] == ["binary_tensor_data"]
