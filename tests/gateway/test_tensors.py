"""Answers that are not JSON alone: binary tensors behind it, and compressed ones."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from math import isfinite, nan
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.answers.compression import TooLarge
from gateway.answers.predictions import MAX_BYTES, Missing, PredictionReader
from gateway.answers.tensors import Tensor, document_of
from tests.builders import make_prediction

V2 = PredictionReader(make_prediction("/outputs/0/data/0", "/outputs/1/data/0"))

CODES = {
    "BOOL": "?",
    "INT8": "b",
    "UINT8": "B",
    "INT16": "h",
    "UINT16": "H",
    "INT32": "i",
    "UINT32": "I",
    "INT64": "q",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


def raw_of(datatype: str, values: list[Any]) -> bytes:
    """The elements as a server of this protocol sends them."""
    if datatype == "BYTES":
        texts = [text if isinstance(text, bytes) else text.encode() for text in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)


def answer(*outputs: tuple[str, Any], head: str = "") -> bytes:
    """An answer with binary outputs; one of plain JSON is ``("json", values)``."""
    told: list[dict[str, Any]] = []
    behind = b""
    for number, (datatype, values) in enumerate(outputs):
        output: dict[str, Any] = {"name": f"out-{number}", "shape": [len(values)]}
        if datatype == "json":
            told.append(output | {"datatype": "BYTES", "data": values})
            continue
        raw = raw_of(datatype, values)
        behind += raw
        sized = {"binary_data_size": len(raw)}
        told.append(output | {"datatype": datatype, "parameters": sized})
    document = {"model_name": 'br}{ace "ö', "outputs": told}
    return json.dumps(document, ensure_ascii=False).encode() + head.encode() + behind


def read(body: bytes, reader: PredictionReader = V2) -> tuple[Any, Any, Any]:
    """Label, score, and why there is none."""
    label, score, *_, missing = reader.read(body)
    return label, score, missing


# --- tensors


def test_label_and_score_of_a_binary_answer_are_read() -> None:
    body = answer(("BYTES", ["setosa", "virginica"]), ("FP32", [0.25, 0.5]))

    assert read(body) == ("setosa", 0.25, None)


@pytest.mark.parametrize(
    ("datatype", "values", "labels"),
    [
        ("BOOL", [True, False], ["true", "false"]),
        ("INT8", [-128, 127], ["-128", "127"]),
        ("UINT8", [0, 255], ["0", "255"]),
        ("INT16", [-300, 300], ["-300", "300"]),
        ("UINT16", [0, 65535], ["0", "65535"]),
        ("INT32", [-70000, 1], ["-70000", "1"]),
        ("UINT32", [2**32 - 1, 1], [str(2**32 - 1), "1"]),
        ("INT64", [-(2**63), 3], [str(-(2**63)), "3"]),
        ("UINT64", [2**64 - 1, 3], [str(2**64 - 1), "3"]),
        ("FP16", [0.5, -2], ["0.5", "-2.0"]),
        ("FP32", [0.5, 1e9], ["0.5", "1000000000.0"]),
        ("FP64", [0.1, 1e300], ["0.1", "1e+300"]),
        ("BYTES", ["ä", ""], ["ä", ""]),
    ],
)
def test_each_datatype_is_read_as_its_json_would_be(
    datatype: str, values: list[Any], labels: list[str]
) -> None:
    found = [
        read(answer((datatype, values)), PredictionReader(make_prediction(f"/outputs/0/data/{at}")))
        for at in range(3)
    ]

    assert found == [(one, None, None) for one in labels] + [(None, None, Missing.ABSENT)]


def test_outputs_in_json_and_in_bytes_may_stand_side_by_side() -> None:
    reader = PredictionReader(make_prediction("/outputs/1/data/1", "/outputs/2/data/1"))
    body = answer(("INT64", [1, 2]), ("json", ["a", "b"]), ("FP64", [0.5, 0.75]))

    assert read(body, reader) == ("b", 0.75, None)


def test_one_output_alone_has_a_label_and_no_score() -> None:
    assert read(answer(("BYTES", ["setosa"]))) == ("setosa", None, None)


def test_a_score_that_is_no_number_does_not_take_the_label_with_it() -> None:
    assert read(answer(("INT64", [2]), ("BYTES", ["x"]))) == ("2", None, None)
    assert read(answer(("INT64", [2]), ("FP32", [nan]))) == ("2", None, None)
    unknown = answer(("INT64", [2]), ("INT16", [1])).replace(b"INT16", b"BF16 ")
    assert read(unknown) == ("2", None, None)


def test_white_space_may_belong_to_the_head() -> None:
    assert read(answer(("INT64", [2]), ("FP32", [0.5]), head="\r\n ")) == ("2", 0.5, None)
    # and bytes of a tensor may look like it
    assert read(answer(("UINT8", [0x20, 0x0A]), ("FP32", [0.5]))) == ("32", 0.5, None)


def test_text_that_is_none_is_no_label() -> None:
    body = answer(("BYTES", [b"\xff\xfe", "b"]), ("FP32", [0.5]))

    assert read(body) == (None, 0.5, Missing.ABSENT)
    assert read(body, PredictionReader(make_prediction("/outputs/0/data/1")))[0] == "b"


@pytest.mark.parametrize("cut", [1, 4, 9])
def test_an_answer_that_does_not_hold_what_it_declares_is_unreadable(cut: int) -> None:
    body = answer(("BYTES", ["setosa"]), ("FP32", [0.25]))

    assert read(body[:-cut]) == (None, None, Missing.UNREADABLE)
    assert read(body + b"x" * cut) == (None, None, Missing.UNREADABLE)


@pytest.mark.parametrize("size", [-1, True, 1.0, "4", None, 2**70])
def test_a_size_that_is_none_is_not_believed(size: Any) -> None:
    told = {"datatype": "INT32", "parameters": {"binary_data_size": size}}
    body = json.dumps({"outputs": [told]}).encode() + b"\x01\x00\x00\x00"

    assert read(body)[2] is Missing.UNREADABLE


@pytest.mark.parametrize(
    "head",
    [
        '{"outputs": 1}',
        '{"outputs": [1, {"parameters": 2}]}',
        '{"outputs": [{"parameters": {"binary_data_size": 1}, "datatype": []}]}',
        '{"outputs": [{"parameters": {"binary_data_size": 1}}]}',
        "{}",
        '{"a": ' + "[" * 9999 + "]" * 9999 + "}",
    ],
)
def test_a_head_of_another_shape_has_no_prediction(head: str) -> None:
    assert read(head.encode() + b"\x00")[:2] == (None, None)


def test_a_length_beyond_the_end_is_no_element() -> None:
    data = b"\x01\x00\x00\x00a\xff\xff\xff\x7fbc"

    assert Tensor("BYTES", data)["0"] == "a"
    for token in ("1", "2", "-1", str(10**30)):
        with pytest.raises(LookupError):
            Tensor("BYTES", data)[token]
    with pytest.raises(LookupError):
        Tensor("FP64", data)[str(10**30)]


# --- compressed


def zipped(body: bytes) -> bytes:
    return zlib.compress(body)


@pytest.mark.parametrize("compress", [gzip.compress, zipped])
def test_a_compressed_answer_is_read(compress: Any) -> None:
    plain = PredictionReader(make_prediction("/predictions/0", "/probabilities/0"))
    body = b'{"predictions": ["a"], "probabilities": [0.5]}'

    assert read(compress(body), plain) == ("a", 0.5, None)
    assert read(compress(answer(("INT64", [2]), ("FP32", [0.5])))) == ("2", 0.5, None)


@pytest.mark.parametrize("compress", [gzip.compress, zipped])
def test_a_compressed_answer_that_is_not_whole_is_unreadable(compress: Any) -> None:
    body = compress(b'{"outputs": []}' * 1)
    bad = bytes([*body[:12], body[12] ^ 255, *body[13:]])
    for one in (body[:-1], body[:5], body[:2], body + b"x", body + body, bad, compress(body)):
        assert read(one) == (None, None, Missing.UNREADABLE)


@pytest.mark.parametrize("compress", [gzip.compress, zipped])
def test_a_bomb_is_not_decompressed(compress: Any) -> None:
    body = compress(b" " * (64 * MAX_BYTES))

    assert len(body) < MAX_BYTES
    assert read(body) == (None, None, Missing.TOO_LARGE)
    assert read(compress(b" " * MAX_BYTES + b"{}")) == (None, None, Missing.TOO_LARGE)


def test_json_that_begins_as_something_compressed_does_is_json() -> None:
    reader = PredictionReader(make_prediction("", "/a"))

    assert zlib.compress(b"", wbits=-15)  # a format without a beginning is not looked for
    assert read(b"80", reader) == ("80", None, None)


@pytest.mark.parametrize("body", [b"\x28\xb5\x2f\xfd\x00", b"\x8b\x02\x80{}\x03", b""])
def test_what_is_compressed_otherwise_is_unreadable(body: bytes) -> None:
    assert read(body) == (None, None, Missing.UNREADABLE)


# --- whatever it is

_HEADS = st.fixed_dictionaries(
    {},
    optional={
        "outputs": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "datatype": st.sampled_from([*CODES, "BYTES", "BF16", 1, None]),
                    "data": st.none() | st.lists(st.integers(), max_size=2),
                    "parameters": st.fixed_dictionaries(
                        {}, optional={"binary_data_size": st.integers(-2, 20) | st.none()}
                    ),
                },
            ),
            max_size=3,
        )
    },
)


@given(_HEADS, st.binary(max_size=40), st.booleans())
@example({"outputs": [{"datatype": "FP16", "parameters": {"binary_data_size": 2}}]}, b"\0|", False)
def test_reading_never_raises_whatever_follows_the_json(
    head: Any, behind: bytes, compressed: bool
) -> None:
    body = json.dumps(head).encode() + behind
    label, score, missing = read(gzip.compress(body) if compressed else body)

    assert label is None or label.encode() is not None
    assert score is None or isfinite(score)
    assert missing is None or missing in Missing


@given(st.binary(max_size=100), st.sampled_from([b"\x1f\x8b\x08", b"x\x9c", b"x\x01", b"{", b""]))
def test_only_what_is_announced_is_raised(data: bytes, beginning: bytes) -> None:
    try:
        document_of(beginning + data, 50)
    except TooLarge:
        assert len(data) > 4
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
