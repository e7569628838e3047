"""Tensors as raw bytes, there and back, and whatever else may stand in their place."""

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model_workers.contract.contract import Classes, Contract, Quantity
from model_workers.contract.feature import Choice, Number, Text
from model_workers.predictors.dummy import DummyPredictor
from model_workers.protocols import open_inference, tensors
from model_workers.protocols.input_tensors import BadInference
from model_workers.protocols.tensors import BadTensor
from model_workers.serving.app import create_app

TICKETS = Contract(
    "tickets",
    "What a ticket is about, and how long it takes.",
    (
        Text("subject", 100),
        Choice("channel", ("mail", "phone"), missing="mail"),
        Number("age", 0, 99, missing=1.0),
    ),
    (Classes("topic", ("refund", "delivery")), Quantity("hours", "h")),
)
INFER = "/v2/models/tickets/infer"


def elements_of(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "BOOL":
        return st.booleans()
    if datatype == "BYTES":
        return st.text()
    if datatype.startswith("FP"):
        return st.floats(width=int(datatype[2:]))  # type: ignore[arg-type]
    bits = int(datatype.lstrip("UINT"))
    low = 0 if datatype[0] == "U" else -(1 << bits - 1)
    return st.integers(low, low + (1 << bits) - 1)


TENSORS = st.sampled_from(tensors.DATATYPES).flatmap(
    lambda datatype: st.tuples(st.just(datatype), st.lists(elements_of(datatype), max_size=20))
)


@given(TENSORS)
def test_what_is_packed_is_unpacked_the_same(tensor):
    datatype, elements = tensor
    found = tensors.unpack(datatype, tensors.pack(datatype, elements))
    assert len(found) == len(elements)
    assert all(a == b or (a != a and b != b) for a, b in zip(found, elements, strict=True))


@given(TENSORS)
@example(("FP64", [1.7976931348623157e308, 2**1024 - 2**971]))
def test_what_is_written_in_json_is_read_the_same(tensor):
    datatype, elements = tensor
    finite = [each for each in elements if not isinstance(each, float) or math.isfinite(each)]
    nested = [[each] for each in finite]
    assert tensors.flat(datatype, [len(finite)], finite) == finite
    assert tensors.flat(datatype, [len(finite), 1], nested) == finite


@given(st.sampled_from(tensors.DATATYPES), st.binary(max_size=60))
def test_any_bytes_are_elements_or_refused(datatype, data):
    try:
        elements = tensors.unpack(datatype, data)
    except BadTensor:
        return
    if datatype == "BYTES":
        assert tensors.pack(datatype, elements) == data
    elif datatype != "BOOL":  # any byte but 0 is true
        assert len(tensors.pack(datatype, elements)) == len(data)


def test_raw_bytes_are_little_endian_and_text_has_its_length_before_it():
    assert tensors.pack("INT16", [1, -2]) == b"\x01\x00\xfe\xff"
    assert tensors.pack("BYTES", ["é", ""]) == b"\x02\x00\x00\x00\xc3\xa9\x00\x00\x00\x00"
    assert tensors.unpack("BOOL", b"\x00\x01") == [False, True]
    assert tensors.unpack("FP16", struct.pack("<e", 1.5)) == [1.5]


HEADS = st.none() | st.integers(-2, 300).map(str) | st.text(max_size=5)
WORDS = st.sampled_from(["subject", "channel", "age", "topic", "hours", "BYTES", "FP64", "x"])
ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
TENSOR = st.fixed_dictionaries(
    {"name": WORDS, "shape": st.lists(st.integers(-1, 3), max_size=3) | ANY, "datatype": WORDS},
    optional={
        "data": ANY,
        "parameters": st.dictionaries(
            st.sampled_from(["binary_data_size", "classification"]), ANY, max_size=1
        ),
    },
)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=4) | ANY},
    optional={"id": ANY, "outputs": st.lists(TENSOR, max_size=3) | ANY, "parameters": ANY},
)


@given(st.binary(max_size=100) | REQUEST.map(lambda it: json.dumps(it).encode()), HEADS)
@example(b'{"inputs": ' + b"[" * 100_000, None)
@example(b'{"inputs": [{"name": "age", "shape": [1%b], "datatype": "FP64"}]}' % (b"0" * 900), None)
def test_any_body_is_a_request_or_refused(body, head):
    try:
        asked = open_inference.decode(body, head, TICKETS, 200)
    except BadInference as error:
        str(error).encode()  # it can be sent
        return
    assert len(asked.instances) >= 1
    assert asked.outputs


# --- binary tensors over HTTP


@pytest.fixture
def tickets() -> TestClient:
    app = create_app("v1", DummyPredictor(TICKETS))
    return TestClient(app, raise_server_exceptions=False)


def column(name: str, datatype: str, values: list[Any]) -> tuple[dict[str, Any], bytes]:
    data = tensors.pack(datatype, values)
    size = {"binary_data_size": len(data)}
    return {"name": name, "shape": [len(values)], "datatype": datatype, "parameters": size}, data


def binary(*columns: tuple[dict[str, Any], bytes], **more: Any) -> dict[str, Any]:
    """The arguments of a request whose tensors are bytes."""
    head = json.dumps({"inputs": [tensor for tensor, _ in columns]} | more).encode()
    body = head + b"".join(data for _, data in columns)
    return {"content": body, "headers": {"Inference-Header-Content-Length": str(len(head))}}


SUBJECT = column("subject", "BYTES", ["Where is it?", "Geld zurück"])
CHANNEL = column("channel", "BYTES", ["phone", "mail"])
AGE = column("age", "INT8", [3, 4])


def plain(client: TestClient) -> Any:
    """What /predict answers to the same two tickets."""
    instances = [["Where is it?", "phone", 3], ["Geld zurück", "mail", 4]]
    return client.post("/predict", json={"instances": instances}).json()


def test_text_choices_and_numbers_in_bytes_mean_the_same_as_in_predict(tickets):
    answer = tickets.post(INFER, **binary(SUBJECT, AGE, CHANNEL)).json()
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    expected = plain(tickets)
    assert found == {
        "topic": expected["predictions"]["topic"],
        "topic_probabilities": expected["probabilities"]["topic"],
        "hours": expected["predictions"]["hours"],
    }


def test_outputs_come_as_bytes_where_that_is_asked_for(tickets):
    outputs = [
        {"name": "hours", "parameters": {"binary_data": True}},
        {"name": "topic_probabilities"},
        {"name": "topic", "parameters": {"binary_data": True}},
    ]
    response = tickets.post(INFER, **binary(SUBJECT, CHANNEL, AGE, outputs=outputs))
    assert response.headers["content-type"] == "application/octet-stream"
    at = int(response.headers["inference-header-content-length"])
    head, data = json.loads(response.content[:at]), response.content[at:]
    hours, probabilities, topic = head["outputs"]
    assert (hours["name"], hours["parameters"], "data" in hours) == (
        "hours",
        {"binary_data_size": 16},
        False,
    )
    assert probabilities["data"] == [0.5, 0.5]
    assert topic["parameters"]["binary_data_size"] == len(data) - 16
    expected = plain(tickets)["predictions"]
    assert tensors.unpack("FP64", data[:16]) == expected["hours"]
    assert tensors.unpack("BYTES", data[16:]) == expected["topic"]


def test_all_outputs_are_bytes_if_the_request_says_so_but_for_those_that_say_otherwise(tickets):
    whole = {"parameters": {"binary_data_output": True}}
    response = tickets.post(INFER, **binary(SUBJECT, CHANNEL, AGE, **whole))
    at = int(response.headers["inference-header-content-length"])
    assert all("data" not in each for each in json.loads(response.content[:at])["outputs"])

    but = whole | {"outputs": [{"name": "hours", "parameters": {"binary_data": False}}]}
    response = tickets.post(INFER, **binary(SUBJECT, CHANNEL, AGE, **but))
    assert "inference-header-content-length" not in response.headers
    assert len(response.json()["outputs"][0]["data"]) == 2


def test_features_with_a_value_for_missing_ones_may_be_left_out(tickets):
    assert tickets.post(INFER, **binary(SUBJECT)).status_code == 200
    response = tickets.post(INFER, **binary(CHANNEL, AGE))
    assert response.status_code == 400
    assert "row 0: subject is missing" in response.json()["error"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([SUBJECT, column("age", "BOOL", [True, False])], "'age' is 'BOOL', which is not numeric"),
        ([SUBJECT, column("age", "FP64", [1.0, math.nan])], "row 1: age is NaN"),
        ([SUBJECT, column("age", "FP32", [math.inf, 1.0])], "row 0: age is Infinity"),
        ([SUBJECT, column("age", "INT8", [1, 100])], "row 1: age is 100"),
        ([SUBJECT, column("channel", "BYTES", ["fax", "mail"])], "row 0: channel is"),
        ([column("subject", "FP64", [1.0])], "text is sent as BYTES"),
        ([SUBJECT, column("price", "FP64", [1.0, 1.0])], "'price' is no feature"),
        ([SUBJECT, SUBJECT], "'subject' is sent twice"),
        ([SUBJECT, ({**AGE[0], "shape": [1, 2]}, AGE[1])], "send [rows] or [rows, 1]"),
        ([({**SUBJECT[0], "data": ["a"]}, SUBJECT[1])], "both 'data' and bytes"),
        ([(SUBJECT[0], SUBJECT[1] + b"x")], "1 bytes after the JSON belong to no tensor"),
        ([(SUBJECT[0], SUBJECT[1][:-1])], "bytes are there"),
        ([column("subject", "BYTES", ["x"] * 201)], "201 rows; send 1 to 200"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused_with_feature_and_row(tickets, columns, words):
    response = tickets.post(INFER, **binary(*columns))
    assert response.status_code == 400
    assert words in response.json()["error"]


@pytest.mark.parametrize("head", ["-1", "x", "", "99999", "²"])
def test_a_wrong_length_of_the_json_is_refused(tickets, head):
    request = binary(SUBJECT)
    request["headers"] = {"Inference-Header-Content-Length": head.encode()}
    response = tickets.post(INFER, **request)
    assert response.status_code == 400
    assert "Inference-Header-Content-Length" in response.json()["error"]


def test_metadata_of_text_and_choices_names_a_tensor_for_each_feature(tickets):
    found = tickets.get("/v2/models/tickets").json()
    assert found["inputs"] == [
        {"name": "subject", "datatype": "BYTES", "shape": [-1]},
        {"name": "channel", "datatype": "BYTES", "shape": [-1]},
        {"name": "age", "datatype": "FP64", "shape": [-1]},
    ]
    assert found["outputs"] == [
        {"name": "topic", "datatype": "BYTES", "shape": [-1]},
        {"name": "topic_probabilities", "datatype": "FP64", "shape": [-1]},
        {"name": "hours", "datatype": "FP64", "shape": [-1]},
    ]
