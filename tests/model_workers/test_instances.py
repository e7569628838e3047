"""The body of ``/predict``: what is taken, and how what is not taken is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model_workers.contract.instances import MAX_ROWS, RefusedBody, decode
from model_workers.models.catalogue import model_of

FLOWER = [5.1, 3.5, 1.4, 0.2]
FEATURES = model_of("iris").contract.names


def refused(client: TestClient, instances: Any) -> list[dict[str, Any]]:
    response = client.post("/predict", json={"instances": instances})
    assert response.status_code == 422
    detail: list[dict[str, Any]] = response.json()["detail"]
    return detail


def test_the_largest_batch_is_answered_and_one_more_is_refused(connect):
    client = connect()
    assert (
        len(client.post("/predict", json={"instances": [FLOWER] * MAX_ROWS}).json()["predictions"])
        == MAX_ROWS
    )
    (problem,) = refused(client, [FLOWER] * (MAX_ROWS + 1))
    assert problem["loc"] == ["body", "instances"]
    assert problem["type"] == "too_long"
    assert "at most 200" in problem["msg"]


def test_a_wrong_value_is_refused_by_the_name_of_its_feature(connect):
    named = dict(zip(FEATURES, FLOWER, strict=True)) | {"petal length (cm)": "long"}
    assert refused(connect(), [named]) == [
        {
            "loc": ["body", "instances", 0, "petal length (cm)"],
            "msg": "petal length (cm) is text; write a number",
            "type": "float_type",
        }
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("5.1", "float_type"),
        (None, "float_type"),
        (True, "float_type"),
        ([5.1], "float_type"),
        ({}, "float_type"),
        (1e31, "less_than_equal"),
        (-(10**400), "less_than_equal"),
        (float("nan"), "finite_number"),
        (float("-inf"), "finite_number"),
    ],
)
def test_what_is_no_measurement_is_refused_in_its_place(value, kind):
    body = json.dumps({"instances": [FLOWER, [5.1, value, 1.4, 0.2]]}).encode()
    with pytest.raises(RefusedBody, match="sepal width") as caught:
        decode(body, FEATURES)
    (problem,) = caught.value.problems
    assert problem.loc == ("body", "instances", 1, 1)
    assert problem.type == kind


def test_a_missing_and_a_misspelt_feature_are_both_named(connect):
    named = dict(zip(FEATURES, FLOWER, strict=True))
    named["petal lenght (cm)"] = named.pop("petal length (cm)")
    missing, unknown = refused(connect(), [named])
    assert (missing["loc"][-1], missing["type"]) == ("petal length (cm)", "missing")
    assert (unknown["loc"][-1], unknown["type"]) == ("petal lenght (cm)", "extra_forbidden")
    assert "did you mean petal length (cm)?" in unknown["msg"]


@pytest.mark.parametrize(
    ("instances", "loc", "kind"),
    [
        ([[1, 2, 3]], ["body", "instances", 0], "too_short"),
        ([FLOWER, [1, 2, 3, 4, 5]], ["body", "instances", 1], "too_long"),
        ([[]], ["body", "instances", 0], "too_short"),
        ([7], ["body", "instances", 0], "list_type"),
        ([], ["body", "instances"], "too_short"),
        ("all", ["body", "instances"], "list_type"),
        (None, ["body", "instances"], "list_type"),
    ],
)
def test_instances_of_the_wrong_shape_are_refused(connect, instances, loc, kind):
    (problem,) = refused(connect(), instances)
    assert (problem["loc"], problem["type"]) == (loc, kind)


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b"", ["body"], "json_invalid"),
        (b"{", ["body"], "json_invalid"),
        (b"\xff\xfe", ["body"], "json_invalid"),
        (b"[" * 100_000, ["body"], "json_invalid"),
        (b"[]", ["body"], "dict_type"),
        (b"{}", ["body", "instances"], "missing"),
        ('{"instances": [[1, 2, 3, 4]]}'.encode("utf-16"), ["body"], "value_error"),
    ],
)
def test_a_body_without_instances_is_refused(connect, body, loc, kind):
    response = connect().post("/predict", content=body)
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert (problem["loc"], problem["type"]) == (loc, kind)


def test_a_thousand_mistakes_are_not_a_thousand_lines(connect):
    assert len(refused(connect(), [["x"] * 4] * MAX_ROWS)) == 20


def test_half_a_surrogate_pair_as_a_name_is_refused_readably(connect):
    response = connect().post("/predict", content=rb'{"instances": [{"\ud800": 1}]}')
    assert response.status_code == 422
    assert response.json()["detail"][-1]["loc"][-1] == "?"


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(_json.map(lambda value: json.dumps({"instances": value}).encode()) | st.binary())
def test_any_body_is_either_rows_or_a_refusal(body):
    try:
        rows = decode(body, FEATURES)
    except RefusedBody as error:
        rows = []
        problems = error.problems
    else:
        problems = ()
    assert bool(rows) is not bool(problems)
    assert all(len(row) == len(FEATURES) for row in rows)
