"""One connection to a worker over a transport that only writes down what is written."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import Reason
from gateway.http.headers import ReplyHead
from gateway.workers.backlog import Backlog
from gateway.workers.gathering import Gathering
from gateway.workers.upstream import MAX_HEAD, REPLY_BUFFER, UpstreamConnection, known

OK = b"HTTP/1.1 200 OK\r\n"
EVENTS = OK + b"Content-Type: text/event-stream\r\n"
ANSWERS = (
    OK + b"Content-Length: 5\r\n\r\nhello",
    OK + b"Content-Length: 0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nT: u\r\n\r\n",
    OK
    + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
)
CLOSING = (
    OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
)


class Transport:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Side:
    """Receiver and owner of a connection; ``told`` is everything either heard, in order."""

    def __init__(self, *, slow: bool = False) -> None:
        self.told: list[Any] = []
        self.transport = Transport()
        self.gathering = Gathering(Backlog())
        self.clock, self.read_at = perf_counter, 0.0
        self.connection = UpstreamConnection(self)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self._slow = slow

    def send(self, method: bytes = b"POST", *, whole: bool = True) -> None:
        self.connection.send(self, method, b"the request", whole=whole)

    def feed(self, data: bytes) -> None:
        if not self.transport.closed:
            self.connection.data_received(data)

    def lose(self, exc: Exception | None = None) -> None:
        self.connection.connection_lost(exc)

    # --- owner

    def released(self, connection: UpstreamConnection, reusable: bool) -> None:
        self.told.append(("released", reusable))

    def lost(self, connection: UpstreamConnection) -> None:
        self.told.append("lost")

    # --- receiver

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        self.told.append((head.status, body))

    def on_stream(self, head: ReplyHead) -> None:
        self.told.append(("stream", head.status))

    def on_stream_data(self, chunk: bytes) -> None:
        if type(self.told[-1]) is bytes:
            self.told[-1] += chunk
        else:
            self.told.append(chunk)
        if self._slow:
            self.connection.pause(True)

    def on_stream_end(self) -> None:
        self.told.append("end")

    def on_failure(self, reason: Reason, *, began: bool) -> None:
        self.told.append((reason, began))

    def on_upload_blocked(self, blocked: bool) -> None:
        self.told.append(("blocked", blocked))


def told(*pieces: bytes, method: bytes = b"POST") -> list[Any]:
    side = Side()
    side.send(method)
    for piece in pieces:
        side.feed(piece)
    return side.told


def ends(heard: list[Any]) -> list[Any]:
    """What ended the request: an answer, the end of a stream, a failure."""
    return [
        one
        for one in heard
        if one == "end" or (type(one) is tuple and (one[0] in set(Reason) or type(one[0]) is int))
    ]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_cut_at_any_place_is_the_same_and_the_connection_goes_on(answer: bytes) -> None:
    whole = told(answer)

    assert ("released", True) in whole
    for place in range(1, len(answer)):
        assert told(answer[:place], answer[place:]) == whole


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints", b"199 Odd"])
def test_an_interim_answer_with_a_body_is_no_answer(status: bytes, framing: bytes) -> None:
    """The parser reads that of an odd one, and it would be the beginning of the answer's."""
    body = b"hello" if b"5" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    interim = b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n" + body

    assert told(interim + ANSWERS[1]) == [("released", False), (Reason.BAD_RESPONSE, True)]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;=x\r\nllo\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0;a=\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"Transfer-Encoding: chunked\r\n\r\n1;a;;b\r\nx\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"\n" + ANSWERS[0],
        b"\r\r\n" + ANSWERS[0],
    ],
)
def test_an_answer_the_parser_is_too_kind_to_is_none_wherever_it_is_cut(answer: bytes) -> None:
    for place in range(len(answer)):
        pieces = (answer[:place], answer[place:]) if place else (answer,)

        assert told(*pieces) == [("released", False), (Reason.BAD_RESPONSE, True)]


def test_a_stream_ends_with_the_first_line_of_a_chunk_that_is_none() -> None:
    said = EVENTS + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n2;=b\r\nho\r\n0\r\n\r\n"

    assert told(said) == [
        ("stream", 200),
        b"hi",
        ("released", False),
        (Reason.BAD_RESPONSE, True),
    ]


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 100])
def test_a_head_is_as_long_as_it_may_be_wherever_it_is_cut(before: bytes) -> None:
    """Also if all of it comes in one piece, with its body."""
    rest = b"\r\nContent-Length: 2\r\n\r\n"
    for more, good in ((0, True), (1, False), (100_000, False)):
        room = MAX_HEAD - len(before) - len(OK) - len(b"X: ") - len(rest) + more
        head = before + OK + b"X: " + b"y" * room + rest
        assert len(head) == MAX_HEAD + more
        for place in (0, 1000, MAX_HEAD, len(head) - 1, len(head)):
            heard = told(*filter(None, (head[:place], head[place:] + b"ok")))

            assert ends(heard) == [(200, b"ok") if good else (Reason.BAD_RESPONSE, True)]


def test_an_answer_byte_by_byte_is_the_same() -> None:
    for answer in (*ANSWERS, *CLOSING):
        assert told(*(answer[i : i + 1] for i in range(len(answer)))) == told(answer)


@pytest.mark.parametrize("answer", CLOSING)
def test_a_connection_that_will_close_is_not_used_again(answer: bytes) -> None:
    assert told(answer) == [("released", False), (200, b"ok")]


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_release_comes_before_the_end_is_told(answer: bytes) -> None:
    """So that the receiver may ask again on the same connection."""
    heard = told(answer)

    assert len(ends(heard)) == 1
    assert heard.index(ends(heard)[0]) == heard.index(("released", True)) + 1


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_before_the_request_went_out_whole_ends_the_connection(answer: bytes) -> None:
    side = Side()
    side.send(whole=False)
    side.feed(answer)

    assert ("released", False) in side.told


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_request_that_was_finished_in_time_leaves_the_connection_usable(answer: bytes) -> None:
    side = Side()
    side.send(whole=False)
    side.connection.upload(b" and", whole=False)
    side.connection.upload(b" its end", whole=True)
    side.feed(answer)

    assert side.transport.written == b"the request and its end"
    assert ("released", True) in side.told


def test_ten_answers_on_one_connection_do_not_mix() -> None:
    side = Side()
    for answer in ANSWERS * 3:
        side.told.clear()
        side.send()
        side.feed(answer)

        assert side.told == told(answer)
    assert side.connection.served == len(ANSWERS) * 3


def test_the_answer_to_head_ends_with_its_head() -> None:
    for framing in (b"Content-Length: 9", b"Transfer-Encoding: chunked", b"X: y"):
        heard = told(OK + framing + b"\r\n\r\n", method=b"HEAD")

        assert heard == [("released", False), (200, b"")]


def test_bytes_nobody_asked_for_end_the_connection() -> None:
    side = Side()
    side.connection.data_received(b"HTTP/1.1 200 OK\r\n")

    assert side.transport.closed
    assert not side.connection.usable
    assert side.told == []


def test_a_slow_receiver_leaves_a_connection_that_reads() -> None:
    side = Side(slow=True)
    side.send()
    side.feed(OK + b"Content-Type: text/event-stream\r\nContent-Length: 4\r\n\r\nda")
    assert not side.transport.reading

    side.feed(b"ta")

    assert side.told[-2:] == [("released", True), "end"]
    assert side.transport.reading


def test_a_body_is_told_whole_up_to_the_buffer_and_in_pieces_beyond() -> None:
    for size, streamed in ((REPLY_BUFFER, False), (REPLY_BUFFER + 1, True)):
        body = b"x" * size
        for head, tail in (
            (b"Content-Length: %d\r\n\r\n" % size, b""),
            (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size, b"\r\n0\r\n\r\n"),
        ):
            heard = told(OK + head, body[:1000], body[1000:], tail)

            assert (("stream", 200) in heard) is streamed
            assert heard[-2 if not streamed else -3] is not None
            assert (body in heard) or ((200, body) in heard)


def test_an_abandoned_request_ends_the_connection_and_tells_nobody() -> None:
    side = Side()
    side.send()
    side.feed(OK + b"Content-Length: 5\r\n\r\nhe")
    side.connection.abandon()
    side.connection.abandon()
    side.lose()

    assert side.transport.closed
    assert side.told == [("released", False), "lost"]


@pytest.mark.parametrize(
    ("said", "exc", "failure"),
    [
        (b"", None, (Reason.RESET, False)),
        (b"", ConnectionResetError(), (Reason.RESET, False)),
        (b"HTTP/1.1 2", None, (Reason.RESET, True)),
        (OK + b"Content-Length: 5\r\n\r\nhell", None, (Reason.RESET, True)),
        (OK + b"\r\nhell", ConnectionResetError(), (Reason.RESET, True)),
        (b"SMTP ready\r\n", None, (Reason.BAD_RESPONSE, True)),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nxx", None, (Reason.BAD_RESPONSE, True)),
    ],
)
def test_a_failure_is_told_once_with_its_reason(
    said: bytes, exc: Exception | None, failure: tuple[Reason, bool]
) -> None:
    side = Side()
    side.send()
    if said:
        side.feed(said)
    side.lose(exc)

    assert ends(side.told) == [failure]
    assert side.told[0] == ("released", False)


def test_a_body_without_framing_ends_with_the_connection() -> None:
    side = Side()
    side.send()
    side.feed(OK + b"\r\nhel")
    side.feed(b"lo")
    assert side.told == []

    side.lose()

    assert side.told == [("released", False), (200, b"hello")]


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Some answers with some bytes replaced, inserted or left out."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from((*ANSWERS, *CLOSING)), max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        new = draw(
            st.sampled_from([b"", b"\r\n", b"\n", b" ", b":", b"0", b"9", b"\x00", b"\xff", b"H"])
        )
        data[place : place + gone] = new
    return bytes(data)


@given(
    mutilated() | st.binary(max_size=100),
    st.lists(st.integers(0, 1000), max_size=6),
    st.sampled_from([b"POST", b"HEAD"]),
    st.booleans(),
)
@example(OK + b"Content-Length: 5\r\n\r\nhello" * 2, [30], b"POST", False)
def test_whatever_a_worker_says_a_request_ends_exactly_once(
    data: bytes, places: list[int], method: bytes, reset: bool
) -> None:
    side = Side()
    side.send(method)
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for a, b in pairwise(borders):
        side.feed(data[a:b])
    side.lose(ConnectionResetError() if reset else None)

    assert len(ends(side.told)) == 1
    assert [one for one in side.told if type(one) is tuple and one[0] == "released"] in (
        [("released", True)],
        [("released", False)],
    )


def heard(*pieces: bytes, method: bytes, whole: bool, remember: bool) -> list[Any]:
    side = Side()
    side.send(method, whole=whole)
    for piece in pieces:
        if not remember:
            known.forget()
        side.feed(piece)
    side.lose()
    return side.told


@given(
    mutilated() | st.sampled_from((*ANSWERS, *CLOSING)),
    st.lists(mutilated(), max_size=3),
    st.lists(st.integers(0, 1000), max_size=3),
    st.sampled_from([b"POST", b"HEAD"]),
    st.booleans(),
)
@example(ANSWERS[0], [], [], b"HEAD", True)
@example(ANSWERS[0] + b"x", [ANSWERS[0]], [], b"POST", True)
@example(ANSWERS[0], [ANSWERS[0]], [30], b"POST", True)
@example(ANSWERS[5], [ANSWERS[5]], [], b"POST", True)
def test_what_was_read_before_never_matters(
    data: bytes, before: list[bytes], places: list[int], method: bytes, whole: bool
) -> None:
    known.forget()
    for answer in (*ANSWERS, *CLOSING, *before, data) * 2:
        told(answer)
        told(answer, method=b"HEAD")
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    pieces = [data[a:b] for a, b in pairwise(borders)]
    with_memory = heard(*pieces, method=method, whole=whole, remember=True)

    assert with_memory == heard(*pieces, method=method, whole=whole, remember=False)


def test_only_ordinary_answers_of_known_length_are_remembered() -> None:
    known.forget()
    for _ in range(3):
        told(ANSWERS[0] + b"surplus")
        told(ANSWERS[0], method=b"HEAD")
    assert not known
    for answer in (*ANSWERS, *CLOSING) * 2:
        told(answer)

    assert [(head.status, head.length) for head in known.values()] == [
        (200, 5),
        (200, 0),
        (500, 4),
    ]


@given(mutilated(), st.lists(st.integers(0, 1000), max_size=6))
def test_a_connection_that_is_used_again_said_exactly_one_answer(
    data: bytes, places: list[int]
) -> None:
    side = Side()
    side.send()
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for a, b in pairwise(borders):
        side.feed(data[a:b])
    if ("released", True) in side.told and not side.transport.closed:
        side.told.clear()
        side.send()
        side.feed(ANSWERS[0])

        assert side.told == told(ANSWERS[0])


def test_an_answer_without_framing_was_read_when_its_connection_ended() -> None:
    side = Side()
    side.send()
    times = iter((1.0, 2.0))
    side.clock = lambda: next(times)
    side.feed(b"HTTP/1.0 200 OK\r\n\r\nbody")
    assert side.read_at == 1.0

    side.lose()
    assert side.read_at == 2.0
    assert side.told[-1] == (200, b"body")
