"""The body of ``/predict``: what is taken, and how what is not taken is named."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from model_workers.contract.contract import MAX_INSTANCES as MAX_ROWS
from model_workers.contract.contract import Classes, Contract, Row
from model_workers.contract.feature import Choice, Feature, Number, Text
from model_workers.contract.refusal import Problem, RefusedBody
from model_workers.contract.validation import Validator
from model_workers.models.catalogue import model_of

FLOWER = [5.1, 3.5, 1.4, 0.2]
IRIS = Validator(model_of("iris").contract)
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
            "msg": "petal length (cm) is the text 'long'; write a number from 0 to 30 cm",
            "type": "float_type",
        }
    ]


def test_the_refusal_in_the_documentation_is_the_one_that_is_answered(connect):
    page = Path(__file__).parents[2] / "docs" / "model-workers.md"
    asked, said = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    real = connect().post("/predict", content=asked).json()

    assert json.dumps(json.loads(said)) == json.dumps(real)  # the order of keys, too


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("5.1", "float_type"),
        (None, "float_type"),
        (True, "float_type"),
        ([5.1], "float_type"),
        ({}, "float_type"),
        (1e31, "less_than_equal"),
        (-(10**400), "greater_than_equal"),
        (10**400, "less_than_equal"),
        (-0.5, "greater_than_equal"),
        (2**70, "less_than_equal"),
        (float("nan"), "finite_number"),
        (float("-inf"), "finite_number"),
    ],
)
def test_what_is_no_measurement_is_refused_in_its_place(value, kind):
    body = json.dumps({"instances": [FLOWER, [5.1, value, 1.4, 0.2]]}).encode()
    with pytest.raises(RefusedBody, match="sepal width") as caught:
        IRIS.body(body)
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
        ('{"instances": [[1, 2, 3, 4]]}'.encode("utf-16"), ["body"], "json_invalid"),
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


# --- a contract of every kind of feature

EVERY = Contract(
    "every",
    "One feature of each kind, mandatory and not.",
    (
        Number("size", -5.0, 5.0, unit="m"),
        Number("rooms", 1, 9, whole=True),
        Number("age", 0, 150, missing=30),
        Choice("heating", ("gas", "oil", "wood")),
        Choice("garden", ("yes", "no"), missing="no"),
        Text("words", longest=5, shortest=2),
        Text("more", longest=5, missing="none"),
    ),
    (Classes("kind", ("old", "new")),),
)
CHECKED = Validator(EVERY, limit=3)
GOOD = [1.5, 3, None, "gas", None, "ab", None]
ROW = (1.5, 3.0, 30.0, "gas", "no", "ab", "none")


def problem_of(instance: Any) -> tuple[str, str]:
    """The kind of the one problem, and its sentence."""
    with pytest.raises(RefusedBody) as caught:
        CHECKED.rows([instance])
    (problem,) = caught.value.problems
    return problem.type, problem.msg


@pytest.mark.parametrize(
    "instance",
    [
        GOOD,
        {"size": 1.5, "rooms": 3, "heating": "gas", "words": "ab"},
        {"size": 1.5, "rooms": 3.0, "age": None, "heating": "gas", "garden": None, "words": "ab"},
    ],
)
def test_what_is_missing_or_null_is_filled_in(instance: Any) -> None:
    (row,) = CHECKED.rows([instance])
    assert row == ROW
    assert [type(value) for value in row] == [type(value) for value in ROW]


@pytest.mark.parametrize(
    ("place", "value", "kind", "words"),
    [
        (0, None, "float_type", "size is null; write a number from -5 to 5 m"),
        (0, 5.01, "less_than_equal", "size is 5.01; write a number from -5 to 5 m"),
        (1, 3.5, "multiple_of", "rooms is 3.5; write a whole number from 1 to 9"),
        (1, True, "float_type", "rooms is true; write a whole number from 1 to 9"),
        (
            3,
            "coal",
            "literal_error",
            "heating is the text 'coal'; write one of 'gas', 'oil', 'wood'",
        ),
        (3, "Gas", "literal_error", "did you mean 'gas'?"),
        (3, 1, "literal_error", "heating is 1; write one of"),
        (3, None, "literal_error", "heating is null; write one of"),
        (5, "a", "string_too_short", "words is 1 characters long; write text of 2 to 5 characters"),
        (5, "abcdef", "string_too_long", "words is 6 characters long; write text of 2 to 5"),
        (5, 12, "string_type", "words is 12; write text of 2 to 5 characters"),
        (5, "\ud800\ud800", "string_unicode", "words is the text '??'; write text"),
    ],
)
def test_a_value_against_its_feature_is_told_with_the_rule(place, value, kind, words):
    instance = [*GOOD]
    instance[place] = value
    found, said = problem_of(instance)
    assert found == kind
    assert words in said


def test_a_name_nobody_knows_is_refused_with_the_nearest_one():
    named = {"size": 1.5, "rooms": 3, "heating": "gas", "words": "ab", "gardn": "yes"}
    assert problem_of(named) == (
        "extra_forbidden",
        "gardn is no feature of this model; did you mean garden?",
    )


def test_the_limit_of_instances_is_the_one_asked_for():
    assert len(CHECKED.rows([GOOD] * 3)) == 3
    with pytest.raises(RefusedBody, match="4 instances; send at most 3"):
        CHECKED.rows([GOOD] * 4)


def test_of_a_name_that_stands_there_twice_the_last_is_taken_as_in_any_json():
    body = (
        b'{"instances": [{"size": "x", "size": 1.5, "rooms": 3, "heating": "gas", "words": "ab"}]}'
    )
    assert CHECKED.body(body) == [ROW]


def test_what_is_beside_the_instances_is_left_to_those_who_know_it():
    body = json.dumps({"parameters": {"a": 1}, "instances": [GOOD]}).encode()
    assert CHECKED.body(body) == [ROW]


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[' + b"1" * 5000 + b"]]}",
        b'{"instances": [[1e999, 3, null, "gas", null, "ab", null]]}',
        b'{"instances": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"instances": [' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"]}",
        b'{"instances": ["' + b"x" * (1 << 20) + b'"]}',
        b'{"instances": [{"' + b"x" * (1 << 20) + b'": 1}]}',
        b'{"instances": [' + b"[]," * 300_000 + b"[]]}",
        b'{"instances": [[1.5, 3, null, "gas", null, "\\ud800", null]]}',
        b'{"instances": [[1.5, 3, null, "gas", null, "\xff", null]]}',
        b'{"instances": [{"\xff": 1}]}',
    ],
    ids=[
        *("digits", "overflow", "lists", "objects", "text", "name", "many", "surrogate"),
        *("bytes", "bytes in a name"),
    ],
)
def test_a_hostile_body_is_refused_in_a_few_words(body):
    with pytest.raises(RefusedBody) as caught:
        CHECKED.body(body)
    assert len(json.dumps([problem._asdict() for problem in caught.value.problems])) < 6000


@pytest.mark.parametrize(("sign", "kind"), [("", "less_than_equal"), ("-", "greater_than_equal")])
def test_a_number_of_thousands_of_digits_is_told_by_its_feature_and_not_by_a_limit_of_python(
    sign, kind
):
    body = json.dumps({"instances": [GOOD]}).replace("1.5", sign + "9" * 5000).encode()
    with pytest.raises(RefusedBody) as caught:
        CHECKED.body(body)
    (problem,) = caught.value.problems
    assert (problem.loc, problem.type) == (("body", "instances", 0, 0), kind)
    found = "a number of more than 38 digits"
    assert problem.msg == f"size is {found}; write a number from -5 to 5 m"


def test_of_thousands_of_wrong_names_only_those_are_looked_at_that_are_told(monkeypatch):
    looked_at = []

    def look(name: str, names: Sequence[str], n: int) -> list[str]:
        looked_at.append(name)
        return []

    monkeypatch.setattr("model_workers.contract.refusal.get_close_matches", look)
    names = dict.fromkeys((f"name {number}" for number in range(5000)), 1)
    with pytest.raises(RefusedBody) as caught:
        CHECKED.rows([names, names])
    assert len(caught.value.problems) == 20
    assert len(looked_at) <= 20


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 1_234_567.5, "a number from 0 to 1234567.5"),
        (0.000012345678, 1_000_000.0, "a number from 1.2345678e-05 to 1000000"),
    ],
)
def test_a_limit_is_told_with_all_its_digits(low, high, words):
    validator = Validator(Contract("wide", "", (Number("a", low, high),), EVERY.outputs))
    with pytest.raises(RefusedBody, match=f"a is -1; write {words}$"):
        validator.rows([[-1]])


# --- whatever comes, the model gets rows of its contract or nothing


def allows(feature: Feature, value: object) -> bool:
    """The rule again, in other words."""
    if isinstance(feature, Number):
        whole = not feature.whole or float(value) == int(value)
        return type(value) is float and feature.low <= value <= feature.high and whole
    if isinstance(feature, Choice):
        return type(value) is str and value in feature.values
    return type(value) is str and feature.shortest <= len(value) <= feature.longest


def checked(call: Callable[..., list[Row]], *given: Any) -> tuple[list[Row], Sequence[Problem]]:
    """Rows, or problems; any other exception is what must never be."""
    try:
        return call(*given), ()
    except RefusedBody as error:
        return [], error.problems


_scalars = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from([1, 2.0, 10**400, "gas", "no", "ab", "ten", "\ud800"])
    | st.text(max_size=6)
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
_near = st.lists(_scalars, min_size=7, max_size=7) | st.dictionaries(
    st.sampled_from(EVERY.names), _scalars
)
_good = st.tuples(
    st.floats(-5, 5) | st.integers(-5, 5),
    st.integers(1, 9),
    st.none() | st.floats(0, 150),
    st.sampled_from(["gas", "oil", "wood"]),
    st.sampled_from([None, "yes", "no"]),
    st.text(min_size=2, max_size=5),
    st.none() | st.text(min_size=1, max_size=5),
).map(list)
_bodies = st.lists(_good | _near | _json, max_size=4).map(lambda rows: {"instances": rows}) | _json


@given(_bodies.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_body_is_either_rows_of_the_contract_or_a_refusal(body):
    rows, problems = checked(CHECKED.body, body)
    if problems:
        assert len(problems) <= 20
        assert all(problem.msg.encode() for problem in problems)
    else:
        assert len(rows) == len(json.loads(body)["instances"])
        assert all(len(row) == len(EVERY.features) for row in rows)
        assert all(all(map(allows, EVERY.features, row)) for row in rows)


@given(st.lists(_good, min_size=1, max_size=3))
def test_what_keeps_the_contract_is_taken_the_same_by_position_and_by_name(instances):
    by_position = CHECKED.rows(instances)
    named = [dict(zip(EVERY.names, instance, strict=True)) for instance in instances]
    assert CHECKED.rows(named) == by_position
    assert CHECKED.body(json.dumps({"instances": named}).encode()) == by_position


@given(st.lists(_near | _json | st.binary(), max_size=4))
def test_rows_of_a_file_are_checked_alike(instances):
    rows, problems = checked(CHECKED.rows, instances, ("line",))
    assert bool(rows) is not bool(problems)
    assert {problem.loc[0] for problem in problems} <= {"line"}
    assert all(all(map(allows, EVERY.features, row)) for row in rows)


# --- contracts nobody could keep


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (Number("a", 3, 2), "write a low and a high"),
        (Number("a", 0, float("inf")), "write a low and a high"),
        (Number("a", 0, float("nan")), "write a low and a high"),
        (Number("a", 0, 2, missing=3), "missing is 3, which is not from 0 to 2"),
        (Number("a", 0, 2, whole=True, missing=0.5), "write a whole number"),
        (Number("a", 0.2, 0.8, whole=True), "there is no whole number from 0.2 to 0.8"),
        (Choice("a", ()), "give it values"),
        (Choice("a", ("x", "x")), "each once"),
        (Choice("a", ("x", "y"), missing="z"), "none of its values"),
        (Text("a", longest=2, shortest=3), "no length"),
        (Text("a", longest=2, missing="abc"), "too short or too long"),
    ],
)
def test_a_feature_nobody_could_write_is_no_part_of_a_contract(feature, words):
    with pytest.raises(ValueError, match="every: a: ") as caught:
        Contract("every", "", (feature,), EVERY.outputs)
    assert words in str(caught.value)


@pytest.mark.parametrize("labels", [(), ("x", "x")])
def test_an_output_nobody_could_answer_is_no_part_of_a_contract(labels):
    with pytest.raises(ValueError, match="every: kind: give it labels, each once"):
        Contract("every", "", EVERY.features, (Classes("kind", labels),))


def test_no_output_is_called_like_the_probabilities_of_another():
    outputs = (Classes("kind", ("old",)), Classes("kind_probabilities", ("x",)))
    with pytest.raises(ValueError, match="every: kind_probabilities is that of kind; rename it"):
        Contract("every", "", EVERY.features, outputs)


@pytest.mark.parametrize("features", [(), (Number("a", 0, 1), Text("a", 5))])
def test_features_have_names_of_their_own(features):
    with pytest.raises(ValueError, match="a name of its own"):
        Contract("every", "", features, EVERY.outputs)
