"""Reading a label and a score out of any bytes a model may answer with."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.answers.predictions import LONG, MAX_BYTES, Missing, PredictionReader
from tests.builders import make_prediction
from tests.fuzz.oracles import pointed_at

LABEL_AND_SCORE = PredictionReader(make_prediction("/predictions/0", "/probabilities/0"))
POINTERS = ("", "/", "/a", "/a/0", "/0", "/a/b/1/c", "/predictions/0", "/a~1b", "/m~0n", "/ä")
READERS = tuple(
    PredictionReader(make_prediction(label, score))
    for label in (None, *POINTERS)
    for score in (None, *POINTERS)
    if label or score
)


def documents(characters: st.SearchStrategy[str], **floats: bool) -> st.SearchStrategy[Any]:
    """JSON in which the pointers often find something."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats(**floats)
    keys = st.sampled_from(["a", "b", "c", "0", "1", "a/b", "m~n", "ä", ""])
    return st.recursive(
        scalars | st.text(characters, max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner),
        max_leaves=12,
    )


ANY_JSON = documents(st.characters())
VALID_JSON = documents(st.characters(codec="utf-8"), allow_nan=False, allow_infinity=False)


def label(pointer: str, body: Any) -> Any:
    """What stands at a label pointer in some JSON: the label or why there is none."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found, _, _, missing = PredictionReader(make_prediction(pointer)).read(content)
    return found if missing is None else missing


def score(pointer: str, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reader = PredictionReader(make_prediction(None, pointer))
    _, found, _, missing = reader.read(content)
    return found if missing is None else missing


def padded(document: Any) -> bytes:
    """So long that arrays are not decoded whole."""
    return b" " * LONG + json.dumps(document).encode()


@given(VALID_JSON, st.sampled_from(READERS))
@example({"predictions": ['a\\"]b', "c"], "probabilities": [1e3]}, LABEL_AND_SCORE)
@example({"predictions": [{"x": 1}, "c"], "probabilities": []}, LABEL_AND_SCORE)
@example({"predictions": "text"}, LABEL_AND_SCORE)
@example({"predictions": {"0": "text"}, "probabilities": [True]}, LABEL_AND_SCORE)
def test_a_long_answer_is_read_as_a_short_one(document: Any, reader: PredictionReader) -> None:
    assert reader.read(padded(document)) == reader.read(json.dumps(document).encode())


@pytest.mark.parametrize("index", [0, 1, 7])
def test_one_element_is_taken_out_of_a_long_array(index: int) -> None:
    values = ["a", 'q"uo\\te', "[", "]", ",", "\u00e9", None, "last", 8]
    document = {"predictions": values, "more": [[1], {"a": []}]}

    assert label(f"/predictions/{index}", padded(document)) == values[index]


# --- where it stands


def test_label_and_score_are_read_in_one_pass() -> None:
    body = b'{"model": {"x": [1]}, "predictions": ["setosa"], "probabilities": [0.97], "z": null}'

    assert LABEL_AND_SCORE.read(body) == ("setosa", 0.97, None, None)


@pytest.mark.parametrize(
    ("pointer", "key"),
    [
        ("/plain", "plain"),
        ("/a~1b", "a/b"),
        ("/m~0n", "m~n"),
        ("/~01", "~1"),
        ("/c%d", "c%d"),
        ("/e^f", "e^f"),
        ("/i\\j", "i\\j"),
        ('/k"l', 'k"l'),
        ("/ ", " "),
        ("/", ""),
        ("/größe", "größe"),
        ("/用户", "用户"),
        ("/__class__", "__class__"),
        ("/field0", "field0"),
        ("/def", "def"),
    ],
)
def test_any_key_can_be_pointed_at(pointer: str, key: str) -> None:
    """RFC 6901, section 5, and names Python has its own use for."""
    assert label(pointer, {"other": "no", key: "yes"}) == "yes"
    assert label(pointer, {"other": "no"}) is Missing.ABSENT


def test_arrays_are_pointed_into() -> None:
    assert label("/a/1", {"a": ["x", "y", "z"]}) == "y"
    assert label("/0", ["x"]) == "x"
    assert label("/a/1/0", {"a": [["p"], ["q"]]}) == "q"
    assert label("/outputs/0/data/0", {"outputs": [{"name": "y", "data": [2]}]}) == "2"
    assert label("/a/3", {"a": ["x"]}) is Missing.ABSENT
    assert label("/a/0", {"a": []}) is Missing.ABSENT


def test_the_whole_answer_can_be_the_prediction() -> None:
    assert label("", b'"setosa"') == "setosa"
    assert score("", b"0.5") == 0.5


def test_what_the_other_elements_of_an_array_are_does_not_matter() -> None:
    body = {
        "outputs": [
            {"name": "label", "data": ["setosa"]},
            {"name": "probabilities", "data": [[0.9, 0.1]]},
        ]
    }

    assert label("/outputs/0/data/0", body) == "setosa"
    assert label("/a/0", {"a": ["x", {"y": 1}, [2]]}) == "x"


def test_what_stands_beside_the_way_does_not_matter() -> None:
    deep: Any = {"x": 1}
    for _ in range(200):
        deep = {"deep": [deep]}

    assert label("/a", {"deep": deep, "a": "yes"}) == "yes"


def test_two_pointers_may_share_their_way() -> None:
    reader = PredictionReader(make_prediction("/r/0/label", "/r/1/score"))

    assert reader.read(b'{"r": [{"label": "a"}, {"score": 0.25}]}') == ("a", 0.25, None, None)


# --- what it is


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'"setosa"', "setosa"),
        (b'""', ""),
        (b"1", "1"),
        (b"-7", "-7"),
        (b"1.0", "1.0"),
        (b"0.1", "0.1"),
        (b"true", "true"),
        (b"false", "false"),
        (b'"\\u00e4"', "ä"),
        (b'"\\ud83e\\udd84"', "🦄"),
    ],
)
def test_a_label_is_text_as_json_writes_it(value: bytes, text: str) -> None:
    assert label("/a", b'{"a": %b}' % value) == text


@pytest.mark.parametrize("value", [b"null", b"[]", b"{}", b'["x"]'])
def test_what_cannot_be_a_label_is_missing(value: bytes) -> None:
    assert label("/a", b'{"a": %b}' % value) in set(Missing)


@pytest.mark.parametrize(("value", "number"), [(b"0.5", 0.5), (b"1", 1.0), (b"-2e3", -2000.0)])
def test_a_score_is_a_number(value: bytes, number: float) -> None:
    assert score("/a", b'{"a": %b}' % value) == number


@pytest.mark.parametrize("value", [b'"0.5"', b"true", b"null", b"[0.5]", b"{}"])
def test_what_is_no_number_is_no_score(value: bytes) -> None:
    assert score("/a", b'{"a": %b}' % value) in set(Missing)


@pytest.mark.parametrize(
    "value",
    [b"1e400", b"-1e400", b"1" + b"0" * 400, b"-1" + b"0" * 400, b"9" * 5000, b"1e99999999"],
)
def test_a_score_beyond_all_numbers_is_no_score(value: bytes) -> None:
    assert score("/a", b'{"a": %b}' % value) in set(Missing)


@pytest.mark.parametrize("value", [b"1e400", b"1" + b"0" * 400, b"9" * 5000])
def test_a_number_beyond_all_numbers_harms_no_label(value: bytes) -> None:
    found = label("/a", b'{"a": %b}' % value)

    assert isinstance(found, str)


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf"])
def test_numbers_json_does_not_have_are_unreadable(value: bytes) -> None:
    assert score("/a", b'{"a": %b}' % value) is Missing.UNREADABLE
    assert label("/a", b'{"a": %b}' % value) is Missing.UNREADABLE


def test_an_answer_with_a_label_and_no_score_has_a_label() -> None:
    assert LABEL_AND_SCORE.read(b'{"predictions": ["a"]}') == ("a", None, None, None)
    found = LABEL_AND_SCORE.read(b'{"predictions": ["a"], "probabilities": []}')
    assert found == ("a", None, None, None)


def test_an_answer_with_a_score_and_no_label_is_missing_one() -> None:
    assert LABEL_AND_SCORE.read(b'{"probabilities": [0.5]}') == (None, 0.5, None, Missing.ABSENT)


# --- what it is not


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"predictions": ["a"]',
        b'{"predictions": ["a"]} trailing',
        b"<html></html>",
        b"\x00\x01\xff",
        b'{"predictions": ["\xff\xfe"]}',
        b"{'predictions': ['a']}",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    assert LABEL_AND_SCORE.read(body) == (None, None, None, Missing.UNREADABLE)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null", b'{"predictions": {}}'])
def test_another_shape_than_configured_is_missing(body: bytes) -> None:
    label, score, _, missing = LABEL_AND_SCORE.read(body)

    assert (label, score) == (None, None)
    assert missing is not None


def test_lone_surrogates_cannot_get_in() -> None:
    """prometheus-client answered 500 from then on (reliability.md, 1.9)."""
    found = label("/a", b'{"a": "\\ud800"}')

    assert found is Missing.UNREADABLE or found.encode()


def test_a_large_answer_is_not_decoded() -> None:
    body = b'{"predictions": ["a"], "x": "%b"}' % (b"x" * MAX_BYTES)

    assert LABEL_AND_SCORE.read(body) == (None, None, None, Missing.TOO_LARGE)


def test_deep_nesting_is_unreadable_and_harmless() -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"x": %b1%b}' % (b"[" * 9999, b"]" * 9999)):
        assert label("/a", body) in set(Missing)


# --- whatever it is


@given(st.binary(max_size=200))
@example(b'{"a": 1e999}')
@example(b'{"a": %b}' % (b"9" * 4400))
def test_reading_never_raises_on_bytes(body: bytes) -> None:
    for reader in READERS:
        label, score, _, missing = reader.read(body)

        assert (label is None) | isinstance(label, str)
        assert score is None or isfinite(score)
        assert missing is None or missing in Missing


@given(ANY_JSON)
def test_reading_never_raises_on_json(document: Any) -> None:
    body = json.dumps(document).encode()
    for reader in READERS:
        label, score, _, _ = reader.read(body)

        assert label is None or label.encode() is not None
        assert score is None or isfinite(score)


@given(VALID_JSON, st.sampled_from(POINTERS))
def test_a_text_is_found_exactly_where_rfc_6901_finds_it(document: Any, pointer: str) -> None:
    expected = pointed_at(document, pointer)
    found = label(pointer, document)

    if isinstance(expected, str):
        assert found == expected
    elif expected is None or isinstance(expected, list | dict):
        assert found is Missing.ABSENT
    else:
        assert found == json.dumps(expected)


@given(VALID_JSON, st.sampled_from(POINTERS), st.sampled_from(POINTERS))
def test_a_number_is_found_exactly_where_rfc_6901_finds_it(
    document: Any, pointer: str, other: str
) -> None:
    reader = PredictionReader(make_prediction(other, pointer))
    expected = pointed_at(document, pointer)
    found = reader.read(json.dumps(document).encode())[1]

    if type(expected) in (int, float):
        assert found == float(expected)
    else:
        assert found is None
