"""Request targets in all their forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.http.target import authority_of, origin_form, path_of


@pytest.mark.parametrize(
    ("target", "path", "passed_on"),
    [
        (b"/predict", b"/predict", b"/predict"),
        (b"/predict?x=/y", b"/predict", b"/predict?x=/y"),
        (b"/a%2Fb", b"/a%2Fb", b"/a%2Fb"),
        (b"//a/b", b"//a/b", b"//a/b"),
        (b"http://other.example/predict?x", b"/predict", b"/predict?x"),
        (b"HTTP://other.example", b"/", b"/"),
        (b"https://other.example?x=/y", b"/", b"/?x=/y"),
    ],
)
def test_a_worker_gets_path_and_query(target: bytes, path: bytes, passed_on: bytes) -> None:
    assert path_of(target) == path
    assert origin_form(target) == passed_on


@pytest.mark.parametrize(
    "target", [b"*", b"models.example:443", b"ftp://a/b", b"", b"/a#b", b"http:///a"]
)
def test_any_other_target_is_a_400(target: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        origin_form(target)

    assert caught.value.status == 400


@pytest.mark.parametrize("raw", '"<>\\^`{|}')
@pytest.mark.parametrize("place", ["/%s", "/a?%s", "/a?b=%s", "http://a/%s", "http://a?%s"])
def test_what_must_be_percent_encoded_is_said_with_its_code(raw: str, place: str) -> None:
    with pytest.raises(Refusal, match=f"%{ord(raw):02X}$") as caught:
        origin_form((place % raw).encode())

    assert caught.value.status == 400


@given(st.binary(max_size=60))
def test_path_and_passed_target_never_disagree(target: bytes) -> None:
    try:
        passed_on = origin_form(target)
    except Refusal:
        return

    assert path_of(target) == path_of(passed_on) == passed_on.partition(b"?")[0]


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        (b"/predict", None),
        (b"*", None),
        (b"/a://b", None),
        (b"http://other.example:80/predict?x", b"other.example:80"),
        (b"http://other.example?x", b"other.example"),
        (b"http://", b""),
    ],
)
def test_an_absolute_target_names_its_host(target: bytes, authority: bytes | None) -> None:
    assert authority_of(target) == authority
