"""What is a `traceparent`, against the rules of W3C Trace Context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from gateway.http.headers import RequestHead
from gateway.traces.tracing import Trace, read_traceparent, read_tracestate

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01".encode()


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


@given(hexadecimal(32), hexadecimal(16), st.integers(0, 3))
def test_what_is_written_is_read_again(trace: str, span: str, flags: int) -> None:
    written = Trace(trace, span, flags)

    assert read_traceparent(written.render()) == written
    assert len(written.render()) == 55


@given(st.integers(0, 255))
def test_only_the_last_bit_of_the_flags_says_sampled(flags: int) -> None:
    read = read_traceparent(f"00-{TRACE}-{SPAN}-{flags:02x}".encode())

    assert read is not None
    assert read.sampled == bool(flags % 2)
    # Bits that nobody has given a meaning are not passed on.
    assert read.render() == f"00-{TRACE}-{SPAN}-{flags & 3:02x}".encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALID.upper(),
        VALID[:-1],
        VALID + b"0",
        b" " + VALID,
        VALID + b"-more",  # version 00 ends there
        VALID.replace(b"-", b"_"),
        VALID.replace(b"00-", b"ff-", 1),
        VALID.replace(b"00-", b"0-", 1),
        VALID.replace(b"-01", b"-0g"),
        VALID.replace(TRACE.encode(), b"0" * 32),
        VALID.replace(SPAN.encode(), b"0" * 16),
        VALID + b", " + VALID,
        VALID.replace(b"a", "\u0666".encode()),
    ],
)
def test_what_is_no_trace_is_none(value: bytes) -> None:
    assert read_traceparent(value) is None


@pytest.mark.parametrize("more", [b"", b"-", b"-what-is-to-come"])
def test_a_version_to_come_is_read_as_far_as_it_is_known(more: bytes) -> None:
    read = read_traceparent(b"cc" + VALID[2:] + more)

    assert read == Trace(TRACE, SPAN, 1)
    assert not read_traceparent(b"cc" + VALID[2:] + b"more")


@given(st.binary(max_size=80))
def test_any_bytes_are_a_trace_or_none(value: bytes) -> None:
    read = read_traceparent(value)

    assert read is None or value[3:].startswith(f"{read.id}-{read.span}-".encode())


def test_two_fields_are_none() -> None:
    twice = [(b"TraceParent", VALID), (b"traceparent", VALID.replace(b"0a", b"0b"))]

    assert read_traceparent(RequestHead(twice).fields[b"traceparent"]) is None
    assert read_traceparent(RequestHead(twice[:1]).fields[b"traceparent"]) is not None


# --- tracestate


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b" b=2 ,,\ta=1 2", {"b": "2", "a": "1 2"}),
        (b"0t@sys=x", {"0t@sys": "x"}),
        (b"a=1,b", {}),
        (b"a=1,a=2", {}),
        (b"A=1", {}),
        (b"a=\xe9", {}),
        (b"a==1", {}),
        (b"k" * 257 + b"=1", {}),
        (b"a=" + b"v" * 257, {}),
        (b",".join(b"a%d=1" % number for number in range(33)), {}),
    ],
)
def test_a_state_is_a_list_or_nothing(value: bytes, listed: dict[str, str]) -> None:
    assert read_tracestate(value) == listed
    assert list(read_tracestate(value)) == list(listed)


@given(st.text("ab1@=,; \t\xe9", max_size=20))
def test_opentelemetry_reads_a_state_like_this(value: str) -> None:
    theirs = TraceState.from_header([value])

    assert read_tracestate(value.encode("latin-1")) == dict(theirs.items())
