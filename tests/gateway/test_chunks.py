"""The lines of chunked bodies, and where those end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.chunks import ChunkedBody

LIMIT = 100
GOOD = (
    b"",
    b";a",
    b";a=b",
    b';a="b"',
    b';a=""',
    b';a="q\\"x"',
    b';a="\\\\"',
    b';a="b;c=d"',
    b';a="\t \xff"',
    b";a;b=c;d",
    b";!#$%&'*+-.^_`|~09aZ=!#$%&'*+-.^_`|~09aZ",
)
BAD = (
    b";",
    b";=b",
    b";a=",
    b";a=;b",
    b";;",
    b";a;;b",
    b";a;",
    b';a="b',
    b';a="b\\"',
    b';a=b"c"',
    b';a="b"c',
    b";a=b=c",
    b";a=\x01",
    b';a="\x01"',
    b';a="\x7f"',
    b';a="\\\x01"',
    b";a\x00",
    b";a\x7f",
    b";a=\xff",
    b";a\r",
    b";a b",
    b";a{}",
    b"x",
    b"=b",
    b"\x00",
)


def lines(body: ChunkedBody) -> int:
    """How many were good."""
    found = 0
    while body.take():
        found += 1
    return found


@pytest.mark.parametrize("extension", GOOD)
def test_what_may_stand_behind_a_size(extension: bytes) -> None:
    body = ChunkedBody(LIMIT)
    data = b"3%b\r\na\r\n\r\n000%b\r\nX: y\r\n\r\nGET" % (extension, extension)

    assert body.pass_over(data) == len(data) - 3
    assert lines(body) == 2


@pytest.mark.parametrize("extension", BAD)
@pytest.mark.parametrize("size", [b"1", b"0"])
def test_what_may_not_stand_behind_a_size(extension: bytes, size: bytes) -> None:
    data = b"2\r\nab\r\n%b%b\r\nx\r\n0\r\n\r\n" % (size, extension)
    for cut in range(len(data)):
        body = ChunkedBody(LIMIT)
        body.pass_over(data[:cut])
        body.pass_over(data[cut:])

        assert lines(body) == 1


def test_a_long_line_is_no_line() -> None:
    for name, good in ((b"x" * (LIMIT - 4), 2), (b"x" * (LIMIT - 3), 0)):
        body = ChunkedBody(LIMIT)
        body.pass_over(b"1;%b\r\nx\r\n0\r\n\r\n" % name)

        assert lines(body) == good


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from(GOOD)), max_size=4),
    st.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ: 0\r\n"]),
    st.binary(max_size=20),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_the_end_is_found_wherever_it_is_cut(
    chunks: list[tuple[bytes, bytes]], trailers: bytes, behind: bytes, places: list[int]
) -> None:
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(one), ext, one) for one, ext in chunks)
    message = framed + b"0\r\n" + trailers + b"\r\n"
    data = message + behind
    body = ChunkedBody(LIMIT)
    passed = 0
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for a, b in pairwise(borders):
        end = body.pass_over(data[a:b])
        passed = a + end
        if passed < b or passed == len(message):
            break

    assert passed == len(message)
    assert lines(body) == len(chunks) + 1
