"""What is read of an event stream, however it is cut, and whatever stands in it."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.compression import inflation_of
from gateway.answers.events import MAX_EVENT, MAX_RATIO, EventReader
from gateway.answers.predictions import Missing, PredictionReader
from tests.builders import make_prediction

CHAT = PredictionReader(
    make_prediction("/choices/0/finish_reason", value="/usage/completion_tokens", bounds=(1.0,))
)
HELLO = {"choices": [{"delta": {"content": 'say "error": no'}, "finish_reason": None}]}
STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
USAGE = {"choices": [], "usage": {"completion_tokens": 7}}
ABSENT = (None, None, None, Missing.ABSENT)


def said(*events: Any, end: bytes = b"\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + end for event in events)


def reader_of(*pieces: bytes) -> EventReader:
    made = EventReader(CHAT.read)
    for piece in pieces:
        made.feed(piece)
    return made


def test_the_label_and_the_value_are_of_the_last_event_that_has_them() -> None:
    early = {**HELLO, "usage": {"completion_tokens": 1}}
    found = reader_of(said(early, STOP, USAGE) + b"data: [DONE]\n\n")

    assert found.reading == ("stop", None, 7.0, None)
    assert (found.over, found.failed) == (True, False)


def test_a_chat_that_does_not_tell_its_usage_has_a_label_all_the_same() -> None:
    assert reader_of(said(HELLO, STOP)).reading == ("stop", None, None, None)


def test_a_stream_without_a_finish_reason_has_no_prediction() -> None:
    assert reader_of(said(HELLO, USAGE) + b"data: [DONE]\n\n").reading == (
        *(None, None, 7.0),
        Missing.ABSENT,
    )
    assert reader_of().reading == ABSENT
    assert reader_of(b": keep-alive\n\n" * 3).reading == ABSENT


def test_an_event_is_read_when_it_is_whole_and_not_before() -> None:
    found = reader_of(said(STOP)[:-1])
    assert found.reading == ABSENT

    found.feed(b"\n")
    assert found.reading[0] == "stop"


def test_the_data_of_an_event_may_be_several_lines_among_others() -> None:
    text = json.dumps(STOP, indent=1)
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))

    assert reader_of(f"id: 4\nevent: chunk\n{lines}: so\nretry: 9\n\n".encode()).reading == (
        "stop",
        *(None, None, None),
    )


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "out of memory"}}\n\n',
        b'data: {"error": "out of memory"}\r\n\r\n',
        b'data: {"object": "error", "message": "out of memory", "code": 500}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b"event:error\r\ndata:{}\r\n\r\n",
    ],
)
def test_an_error_in_an_event_is_a_failure_whatever_comes_after(event: bytes) -> None:
    found = reader_of(said(HELLO) + event + said(STOP))

    assert (found.failed, found.over) == (True, True)


@pytest.mark.parametrize(
    "event",
    [
        {"error": None},
        {"error": 0.25},
        {"error": {}},
        ["error"],
        {"choices": [{"delta": {"content": '"error"'}}]},
        {"choices": [{"delta": {"error": "a field of the model's"}}]},
    ],
)
def test_not_every_event_that_says_error_is_one(event: Any) -> None:
    assert not reader_of(said(event)).failed


def test_the_name_of_an_event_is_not_that_of_the_next_one() -> None:
    assert not reader_of(b"event: error\n\n" + said(STOP)).failed


@given(st.data())
def test_it_makes_no_difference_where_a_stream_is_cut(data: st.DataObject) -> None:
    end = data.draw(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\r\n\r", b"\r\n\n"]))
    events = data.draw(st.lists(st.sampled_from([HELLO, STOP, USAGE, {"error": "x"}]), max_size=5))
    noise = data.draw(st.sampled_from([b"", b": so\n", b"data: {\n\n", b"nonsense\r\n", b"\xff\r"]))
    stream = (
        data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
        + said(*events, end=end)
        + noise
        + said(USAGE, end=end)
        + b"data: [DONE]"
        + end
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    whole = reader_of(stream)
    cut = reader_of(*(stream[a:b] for a, b in pairwise(edges)))

    assert (cut.reading, cut.failed, cut.over) == (whole.reading, whole.failed, whole.over)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\r\n\r", b"\n\r\n", b"\r\n\n"])
@pytest.mark.parametrize("size", [1, 2, 10_000])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_end_as_they_may_and_a_byte_order_mark_is_none_of_the_first(
    end: bytes, size: int, mark: bytes
) -> None:
    stream = mark + said(STOP, USAGE, end=end) + b"data: [DONE]" + end
    found = reader_of(*(stream[i : i + size] for i in range(0, len(stream), size)))

    assert (found.reading, found.over) == (("stop", None, 7.0, None), True)


def test_a_byte_order_mark_stands_before_the_first_line_only() -> None:
    assert reader_of(b"\xef\xbb\xbf: hi\n\xef\xbb\xbf" + said(STOP)).reading == ABSENT


def test_an_event_without_data_is_none() -> None:
    """Servers keep connections alive by them."""
    assert reader_of(b"data:\n\ndata: \n\ndata\n\nid: 1\n\n").reading == ABSENT


def test_where_nobody_looks_for_a_prediction_a_failure_is_seen_all_the_same() -> None:
    found = EventReader(None)
    found.feed(said(STOP, {"error": "out of memory"}))

    assert (found.reading, found.failed) == (None, True)


# --- compressed


def compressed(coding: bytes, *pieces: bytes) -> EventReader:
    made = EventReader(CHAT.read, inflation_of(coding))
    for piece in pieces:
        made.feed(piece)
    return made


def flushed(*events: bytes) -> list[bytes]:
    """As servers compress a stream: what has come can be read, whatever comes later."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return [packer.compress(one) + packer.flush(zlib.Z_SYNC_FLUSH) for one in events]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("coding", "pack"),
    [(b"gzip", gzip.compress), (b"x-gzip", gzip.compress), (b"deflate", zlib.compress)],
)
def test_a_compressed_stream_is_read_wherever_it_is_cut(
    coding: bytes, pack: Any, size: int
) -> None:
    stream = pack(said(HELLO, STOP, USAGE) + b"data: [DONE]\n\n")
    found = compressed(coding, *(stream[i : i + size] for i in range(0, len(stream), size)))

    assert (found.reading, found.over) == (("stop", None, 7.0, None), True)


def test_an_event_that_was_flushed_is_read_before_the_stream_ends() -> None:
    found = compressed(b"gzip", *flushed(said(HELLO), said({"error": "out of memory"})))

    assert found.failed


def test_each_event_may_be_compressed_by_itself() -> None:
    assert compressed(
        b"gzip", gzip.compress(said(STOP)), gzip.compress(said(USAGE)) + gzip.compress(b"")
    ).reading == ("stop", None, 7.0, None)


def test_what_is_not_compressed_as_it_says_is_unreadable_from_there_on() -> None:
    first, second = flushed(said(STOP), said(USAGE))

    assert compressed(b"gzip", said(STOP)).reading[3] is Missing.UNREADABLE
    assert compressed(b"gzip", first, b"\xff" * 50, second).reading == ("stop", None, None, None)
    assert compressed(b"deflate", zlib.compress(b""), said(STOP)).reading[3] is Missing.UNREADABLE


def test_a_bomb_in_a_stream_is_not_read_and_is_our_limit() -> None:
    bomb = gzip.compress(b"x" * 100_000_000)
    members = gzip.compress(b"") * 10_000
    tracemalloc.start()
    try:
        for one in (bomb, members):
            found = compressed(b"gzip", one, *flushed(said(STOP)))
            assert found.reading == (None, None, None, Missing.TOO_LARGE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * (MAX_EVENT + MAX_RATIO * len(bomb))


@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_are_too_strange(pieces: list[bytes]) -> None:
    assert reader_of(*pieces).reading[3] in (None, *Missing)


def test_events_that_are_no_json_are_unreadable() -> None:
    assert reader_of(b"data: once upon a time\n\n").reading[3] is Missing.UNREADABLE
    assert reader_of(b"data: once upon a time\n\n", said(STOP)).reading[3] is None


@pytest.mark.parametrize("size", [1, 1000, 3 * MAX_EVENT])
def test_an_event_that_is_too_long_is_not_read_and_the_next_one_is(size: int) -> None:
    """And is no failure of the model: it is our limit."""
    long = said({**STOP, "text": "x" * MAX_EVENT})
    lines = b"data: [\n" + b"data: 1234567,\n" * (MAX_EVENT // 8) + b"data: 0]\n\n"
    for event in (long, lines):
        found = reader_of(*(event[i : i + size] for i in range(0, len(event), size)))
        assert found.reading == (None, None, None, Missing.TOO_LARGE)

        found.feed(b"data: no json\n\n")
        assert found.reading[3] is Missing.TOO_LARGE

        found.feed(said(STOP))
        assert found.reading == ("stop", None, None, None)


@pytest.mark.parametrize("size", [1000, 3 * MAX_EVENT])
def test_a_long_comment_takes_no_event_with_it(size: int) -> None:
    stream = b":" + b"x" * (2 * MAX_EVENT) + b"\n" + said(STOP)

    assert reader_of(*(stream[i : i + size] for i in range(0, len(stream), size))).reading == (
        *("stop", None, None),
        None,
    )


@pytest.mark.parametrize("more", [-10, -1, 0, 1, 10])
def test_an_event_is_as_long_as_it_may_be_wherever_it_is_cut(more: int) -> None:
    padding = MAX_EVENT - len(said({**STOP, "text": ""})) + 2 + more
    event = said({**STOP, "text": "x" * padding})
    readings = {reader_of(event[:at], event[at:]).reading for at in (0, 9, len(event) - 2)}

    long, short = (None, None, None, Missing.TOO_LARGE), ("stop", None, None, None)
    assert readings == {long if more > 0 else short}


def test_a_line_without_an_end_is_not_kept() -> None:
    found = reader_of()
    tracemalloc.start()
    try:
        for _ in range(1000):
            found.feed(b"x" * 10_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 2 * MAX_EVENT
