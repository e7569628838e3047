"""Compressed bodies: what they stand for, however they come, and what they may cost."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.compression import TooLarge, inflation_of, plain_of

TEXT = b'{"predictions": ["setosa"]}'


def test_a_body_of_several_members_is_one() -> None:
    """RFC 1952, section 2.2: as appended files have it, and servers that compress each piece."""
    members = [gzip.compress(TEXT[i : i + 5]) for i in range(0, len(TEXT), 5)]

    assert plain_of(b"".join(members), 100) == TEXT
    assert plain_of(gzip.compress(b"") + gzip.compress(TEXT), 100) == TEXT


@pytest.mark.parametrize(
    "behind", [b"x", b"\0", b"\x1f\x8b", gzip.compress(TEXT, mtime=0)[:-1], b"\n"]
)
def test_what_follows_the_last_member_must_be_one(behind: bytes) -> None:
    with pytest.raises(ValueError, match=r"incorrect header|ends too early"):
        plain_of(gzip.compress(TEXT) + behind, 100)


def test_a_zlib_body_has_no_members() -> None:
    with pytest.raises(ValueError, match="behind its end"):
        plain_of(zlib.compress(TEXT) * 2, 100)


def test_so_many_bytes_and_not_one_more() -> None:
    for body in (gzip.compress(TEXT), gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])):
        assert plain_of(body, len(TEXT)) == TEXT
        with pytest.raises(TooLarge):
            plain_of(body, len(TEXT) - 1)


def test_members_beyond_counting_are_not_looked_through() -> None:
    with pytest.raises(TooLarge):
        plain_of(gzip.compress(b"") * 50_000 + gzip.compress(TEXT), 100)


@given(st.data(), st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_it_makes_no_difference_where_a_body_is_cut(
    data: st.DataObject, contents: list[bytes]
) -> None:
    body = b"".join(map(gzip.compress, contents))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    inflation = inflation_of(b"gzip")
    assert inflation is not None
    pieces = [inflation.feed(body[a:b], 1000) for a, b in pairwise([0, *cuts, len(body)])]

    assert b"".join(pieces) == b"".join(contents)
    assert inflation.whole


@pytest.mark.parametrize("coding", [b"", b"identity", b"br", b"zstd", b"gzip, br", b"compress"])
def test_no_other_coding_is_undone(coding: bytes) -> None:
    assert inflation_of(coding) is None
