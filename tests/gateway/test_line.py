"""What a line of a log says, that nothing in it forges another one, and which requests have one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.writing.line import (
    MAX_FEATURES,
    AccessLine,
    Features,
    PredictionLine,
    features_of,
    is_sampled,
    line_of,
    network_of,
    text_of,
)

NOON = datetime(2026, 2, 3, 12, 0, 0, 123456, UTC)
# What one program or another takes for the end of a line, moves its cursor by, or leaves out.
NASTY = '\n\r\x00\x1b[2J\x7f\x85\u2028\u2029\u202e\ufeff\U0001f600"}\\'


def make_line(**said: Any) -> PredictionLine:
    usual: dict[str, Any] = {
        "timestamp": NOON,
        "request_id": "id-1",
        "route": "iris",
        "assigned": "v2",
        "version": "v1",
        "assignment": "fallback",
        "user": None,
        "prediction": "setosa",
        "score": 0.5,
        "missing": None,
        "status": 200,
        "reason": None,
        "cause": "timeout",
        "seconds": 0.012,
        "upstream_seconds": 0.01,
        "generation": "abc",
    }
    return PredictionLine(**usual | said)


def read(line: bytes) -> Any:
    """The object of a line that is one, whoever reads it."""
    assert line.endswith(b"\n")
    assert line[:-1].isascii()
    text = line[:-1].decode()
    assert text.isprintable()
    assert text.splitlines() == [text]
    return json.loads(text, parse_constant=lambda word: pytest.fail(word))


def test_a_line_says_everything_by_name_the_time_first() -> None:
    line = line_of(make_line())

    assert line.startswith(b'{"timestamp":"2026-02-03T12:00:00.123456Z","request_id":"id-1",')
    assert read(line) == {
        "timestamp": "2026-02-03T12:00:00.123456Z",
        "request_id": "id-1",
        "route": "iris",
        "assigned": "v2",
        "version": "v1",
        "assignment": "fallback",
        "user": None,
        "prediction": "setosa",
        "score": 0.5,
        "missing": None,
        "status": 200,
        "reason": None,
        "cause": "timeout",
        "seconds": 0.012,
        "upstream_seconds": 0.01,
        "generation": "abc",
    }


@given(st.text() | st.just(NASTY), st.text() | st.just(NASTY), st.floats())
def test_no_value_forges_a_line_or_is_lost(label: str, path: str, score: float) -> None:
    label, path = (text.encode("utf-8", "ignore").decode() for text in (label, path))
    said = read(line_of(make_line(prediction=label, request_id=path, score=score)))

    assert said["prediction"] == label
    assert said["request_id"] == path
    assert said["score"] == score or said["score"] is None  # there is no other in JSON


@given(st.binary())
def test_no_path_forges_a_line(path: bytes) -> None:
    line = AccessLine(
        timestamp=NOON,
        request_id="id-1",
        client=None,
        method=text_of(path),
        path=text_of(path),
        status=404,
        reason="no_route",
        cause=None,
        request_bytes=0,
    )

    assert read(line_of(line))["path"] == path[:256].decode("latin-1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(NASTY),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, st.sampled_from([None, 1, "\n\t"]), st.booleans())
def test_features_are_what_the_client_sent_on_one_line(
    value: object, indent: Any, as_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=as_ascii)
    body = text.encode("utf-8", "replace")
    features, missing = features_of([body[:3], body[3:]])

    if missing is None:
        assert features is not None
        assert read(line_of(make_line(features=features)))["features"] == json.loads(body)
    else:  # half a character is no text
        assert missing is Features.NOT_JSON
        assert "\\ud" in text


@given(st.binary())
def test_whatever_a_body_is_a_line_stays_one(body: bytes) -> None:
    features, missing = features_of([body])

    assert (features is None) is (missing is not None)
    if features is not None:
        read(line_of(make_line(features=features)))


def test_numbers_of_features_stay_as_they_were_written() -> None:
    features, _ = features_of([b'{"instances": [[1.10, 1e400,\n 12345678901234567890123]]}'])

    assert features is not None
    assert bytes(features) == b'{"instances":[[1.10,1e400,12345678901234567890123]]}'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not_json"),
        (b"\x1f\x8b\x08 packed", "not_json"),
        (b'{"a": "\xff"}', "not_json"),
        (b'{"a": 1}\n{"timestamp": "forged"}', "not_json"),
        (b"[" * 5000, "not_json"),
        (b'"%b"' % (b"x" * MAX_FEATURES), "too_large"),
    ],
)
def test_what_is_no_json_or_too_large_is_not_written_down(body: bytes, why: str) -> None:
    assert features_of([body]) == (None, why)
    assert features_of([b"1"], streamed=True) == (None, "too_large")


# --- which requests


def test_a_share_is_about_that_many_and_a_larger_one_has_them_all() -> None:
    ids = [b"id-%d" % number for number in range(20_000)]
    tenth, half = ({one for one in ids if is_sampled(one, share)} for share in (1000, 5000))

    assert 1850 < len(tenth) < 2150
    assert 9750 < len(half) < 10_250
    assert tenth < half
    assert all(is_sampled(one, 10_000) for one in ids)
    assert not any(is_sampled(one, 0) for one in ids)


def test_the_same_requests_are_sampled_everywhere() -> None:
    """Published: xxh64("log:" + request id) % 10000 is less than the share in basis points."""
    ids = (b"id-1", b"id-2", b"0af7651916cd43dd8448eb211c80319c")
    smallest = [next(share for share in range(10_001) if is_sampled(one, share)) - 1 for one in ids]

    assert smallest == [2172, 1474, 429]


# --- where clients are


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unknown", None),
        ("1.2.3.4\n5", None),
    ],
)
def test_of_an_address_only_the_network_is_told(address: str, network: str | None) -> None:
    assert network_of(f"{address}\r\nX-Forwarded-Proto: http".encode()) == network
