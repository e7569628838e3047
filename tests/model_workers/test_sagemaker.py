"""``/invocations`` and ``/ping``, as SageMaker calls a container."""

import pytest

from model_workers.contract.contract import Classes, Contract, Quantity
from model_workers.contract.feature import Choice, Number, Text
from model_workers.predictors.predictor import Answer
from model_workers.protocols import sagemaker

CSV = {"Content-Type": "text/csv"}
ROWS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n"
MIXED = Contract(
    "mixed",
    "",
    (Text("subject", 100), Choice("channel", ("mail",)), Number("age", 0, 99)),
    (Classes("topic", ("a", "b")), Quantity("hours")),
)


def test_lines_of_csv_are_answered_as_json_like_the_same_rows(connect):
    client = connect()
    rows = [[float(field) for field in line.split(",")] for line in ROWS.splitlines()]
    expected = client.post("/predict", json={"instances": rows}).json()
    assert client.post("/invocations", content=ROWS, headers=CSV).json() == expected
    assert client.post("/invocations", json={"instances": rows}).json() == expected
    with_parameter = {"Content-Type": "text/CSV; charset=utf-8"}
    assert client.post("/invocations", content=ROWS, headers=with_parameter).json() == expected


def test_csv_comes_back_where_it_is_asked_for(connect):
    response = connect().post("/invocations", content=ROWS, headers=CSV | {"Accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    lines = [line.split(",") for line in response.text.splitlines()]
    assert [label for label, _ in lines] == ["setosa", "virginica"]
    assert all(0.5 < float(probability) <= 1 for _, probability in lines)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("5.1,3.5,1.4\n", 422, "has 3 values"),
        ("5.1,3.5,1.4,\n", 422, "petal width (cm) is null"),
        ("5.1,3.5,1.4,nan\n", 422, "petal width (cm) is NaN"),
        ("5.1,3.5,1.4,wide\n", 422, "petal width (cm) is"),
        ("5.1,3.5,1.4,0_2\n", 422, "petal width (cm) is the text '0_2'"),
        ("5.1,3.5,1.4,\u0661\n", 422, "petal width (cm) is the text"),
        ("", 422, "empty"),
        ('5.1,3.5,1.4,"0.2', 400, "no CSV"),
        (b"\xff\xfe", 400, "no CSV"),
        (ROWS * 101, 422, "202 instances; send at most 200"),
    ],
)
def test_lines_that_are_no_instances_are_refused(connect, body, status, words):
    response = connect().post("/invocations", content=body, headers=CSV)
    assert response.status_code == status
    assert words in response.text


def test_text_stays_text_quoted_or_not_and_an_empty_field_is_missing():
    body = b'\xef\xbb\xbf"Hello, ""you""",mail,3\r\n12,,\r\n\r\n'
    assert sagemaker.decode(body, MIXED, 2) == [['Hello, "you"', "mail", 3.0], ["12", None, None]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_may_end_as_on_any_system(end):
    assert sagemaker.decode(f"a,mail, 3{end}b,mail, {end}".encode(), MIXED, 2) == [
        ["a", "mail", 3],
        ["b", "mail", None],
    ]


def test_several_outputs_are_columns_with_the_probabilities_there_are():
    answer = Answer((["a", "b"], [1.5, 2.0]), ([0.75, 0.5], None))
    assert sagemaker.encode(answer) == b"a,0.75,1.5\nb,0.5,2.0\n"


def test_ping_says_that_the_container_is_well(connect):
    assert connect().get("/ping").status_code == 200
