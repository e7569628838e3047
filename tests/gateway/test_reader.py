"""Bytes from a client to requests, cut anywhere, mutilated anyhow."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.clients.reader import RequestReader, known
from gateway.clients.uploads import Uploads
from gateway.http.heads import MAX_HEAD, MAX_REMEMBERED
from gateway.http.request import UPLOAD_BUFFER, Request
from gateway.model import RoutingConfig
from gateway.routing.compiled import Fields
from gateway.routing.table import compile_table

LIMIT = 1000
MESSAGES = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /p?q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 4\r\n\r\nbody",
    b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"\r\nGET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
)
PIPELINE = b"".join(MESSAGES)
BROKEN = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;=b\r\nx\r\n0\r\n\r\n",
    b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r",
)

Told = tuple[str, str, int, bytes]


class Sink:
    """Writes down what it is told, in the order of the telling."""

    body_floor = limit = LIMIT

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.bodies = 0
        self._ids = count()
        self.uploads = Uploads(lambda: 0.0)
        self.reader = RequestReader(self, self, b"192.0.2.7")

    def on_expect(self, request: Request) -> None:
        assert not request.whole

    def on_body(self, request: Request) -> None:
        assert request.size <= LIMIT
        self.bodies += 1

    def on_request(self, request: Request) -> None:
        assert self.reader.ended is False
        assert request.whole
        assert request.size == sum(map(len, request.chunks))
        head = request.head.start.replace(b"Content-Length: %d\r\n" % request.size, b"")
        head = head[head.index(b"Host") : head.index(b"X-Forwarded-Host")].partition(b"\r\n")[2]
        method, target = request.head.method.decode(), request.head.target.decode("latin-1")
        data = head + b"".join(request.chunks)
        self.told.append((method, target, int(request.keep_alive), data))

    def on_refusal(self, request: Request) -> None:
        assert request.refusal is not None
        assert request.id
        self.told.append(("", "", request.refusal.status, b""))

    def new_id(self) -> bytes:
        return b"%d" % next(self._ids)

    def body_limit(self, path: bytes, fields: Fields) -> int:
        return self.limit


def told(*pieces: bytes) -> list[Told]:
    sink = Sink()
    for piece in pieces:
        sink.reader.feed(piece)
    return sink.told


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces; no piece is empty."""
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(borders)]


JUNK = (b"", b"\r\n", b"\r", b"\n", b";", b"=", b" ", b":", b"0", b"\x00", b"\xff", b"GET")
PLACES = st.lists(st.integers(0, 10_000), max_size=8)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Some messages with some bytes replaced, inserted or left out."""
    chosen = draw(st.lists(st.sampled_from((*MESSAGES, *BROKEN)), min_size=1, max_size=4))
    data = bytearray(b"".join(chosen))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        new = draw(st.sampled_from(JUNK))
        data[place : place + gone] = new
    return bytes(data)


def test_messages_in_one_piece_are_read() -> None:
    requests = told(PIPELINE)

    assert [(method, target) for method, target, _, _ in requests] == [
        ("GET", "/"),
        ("POST", "/p?q"),
        ("POST", "/p"),
        ("PUT", "/e"),
        ("POST", "/u"),
        ("GET", "/u"),
        ("POST", "/x"),
        ("GET", "/old"),
        ("HEAD", "/h"),
    ]
    assert [data for _, _, _, data in requests][1:5] == [b"X-A: b\r\nhello", b"abcde", b"", b"body"]
    assert all(keep_alive for _, _, keep_alive, _ in requests)


def test_messages_cut_at_any_one_place_are_the_same() -> None:
    whole = told(PIPELINE)
    for place in range(1, len(PIPELINE)):
        assert told(PIPELINE[:place], PIPELINE[place:]) == whole


def test_messages_byte_by_byte_are_the_same() -> None:
    assert told(*(PIPELINE[i : i + 1] for i in range(len(PIPELINE)))) == told(PIPELINE)


@given(mutilated(), PLACES)
@example(b"".join(BROKEN), [1])
def test_where_bytes_are_cut_never_matters(data: bytes, places: list[int]) -> None:
    assert told(*cut(data, places)) == told(data)


@given(mutilated(), PLACES, st.binary(max_size=50))
def test_after_a_refusal_nothing_more_is_told(data: bytes, places: list[int], more: bytes) -> None:
    sink = Sink()
    for piece in [*cut(data, places), more, PIPELINE]:
        sink.reader.feed(piece)
    refused = [i for i, (_, _, fact, _) in enumerate(sink.told) if fact > 1]

    assert len(refused) <= 1
    assert not refused or refused == [len(sink.told) - 1]
    assert sink.reader.ended == bool(refused)


def test_a_bad_request_is_refused_also_when_it_asks_for_an_upgrade() -> None:
    """The parser looks at nothing else of a head that asks for one; read again, it has to."""
    upgrade = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    for bad in (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, gzip"):
        head = b"POST / HTTP/1.1\r\nHost: a\r\n" + upgrade + bad + b"\r\n\r\n"

        [(*_, status, _)] = told(head + PIPELINE)
        assert status in (400, 501)
        assert told(head, PIPELINE) == told(head + PIPELINE)


# --- what stands between requests, and within chunks


@pytest.mark.parametrize("before", [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\n", b"\r\n\r"])
def test_half_an_empty_line_before_a_request_is_refused(before: bytes) -> None:
    good = MESSAGES[1]
    for between in (good, PIPELINE, MESSAGES[2]):
        whole = told(between + before + good)

        assert [status for *_, status, _ in whole[-2:]] == [1, 400]
        assert told(between, *(bytes([one]) for one in before), good) == whole


def test_half_an_empty_line_is_not_forgotten_when_a_head_was_read_before() -> None:
    told(MESSAGES[0])
    told(MESSAGES[0])
    assert MESSAGES[0] in known

    for before in ((b"\r",), (b"\r\n", b"\r"), (MESSAGES[0], b"\r"), (b"\r", b"\n\r")):
        [*_, (*_, status, _)] = told(*before, MESSAGES[0])
        assert status == 400
    assert len(told(b"\r", b"\n", MESSAGES[0])) == len(told(b"\r\n\r", b"\n", MESSAGES[0])) == 1


def test_half_an_empty_line_begins_a_message() -> None:
    sink = Sink()
    for piece, begun in ((b"\r", True), (b"\n", False), (b"\r\n\r", True), (b"\nGET", True)):
        sink.reader.feed(piece)

        assert sink.reader.in_head is begun


def test_a_request_line_in_a_body_excuses_no_sloppy_one_behind_it() -> None:
    line = b"GET /x HTTP/1.1\r\n\r\n"
    sloppy = b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    declared = head + b"Content-Length: %d\r\n\r\n" % len(line) + line
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(line), line)
    for message in (declared, chunked):
        for place in range(len(message)):
            data = message + sloppy
            pieces = (data[:place], data[place:]) if place else (data,)

            assert [status for *_, status, _ in told(*pieces)] == [1, 400]


def test_a_bad_line_of_a_chunk_is_refused_wherever_it_is_cut() -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1;a\r\r\n"
    for bad in (b"1;=b", b"1;a=", b"1;a;;b", b'1;a=b"c"', b"0;=", b"1;a=" + b"b" * 32_768):
        data = start + bad + b"\r\nx\r\n0\r\n\r\n" + PIPELINE
        for place in range(min(len(data), len(start) + 20)):
            [(*_, status, _)] = told(*cut(data, [place]))

            assert status in (400, 431)


# --- heads that were read before


def told_by_the_parser(*pieces: bytes) -> list[Told]:
    """What is told where nothing is remembered."""
    sink = Sink()
    for piece in pieces:
        known.forget()
        sink.reader.feed(piece)
    return sink.told


@given(
    st.lists(st.sampled_from((*MESSAGES, *BROKEN, *JUNK)) | mutilated(), max_size=6),
    st.lists(mutilated(), max_size=3),
    PLACES,
)
@example([MESSAGES[1], MESSAGES[1]], [], [])
@example([MESSAGES[1] + MESSAGES[0], MESSAGES[1][:-1], b"x"], [], [])
@example([b"\r\n" + MESSAGES[0], MESSAGES[0], b"\r\n", MESSAGES[0]], [], [])
@example([MESSAGES[3], MESSAGES[3] + b"GET", b" / HTTP/1.1\r\n\r\n"], [], [])
def test_what_was_read_before_never_matters(
    pieces: list[bytes], before: list[bytes], places: list[int]
) -> None:
    known.forget()
    for message in (*MESSAGES, *BROKEN, *before, *pieces) * 2:
        told(message)

    assert told(*pieces) == told_by_the_parser(*pieces)
    data = b"".join(pieces)
    assert told(*cut(data, places)) == told_by_the_parser(data)


def test_a_head_that_was_read_before_is_not_read_again() -> None:
    known.forget()
    told(MESSAGES[1])
    assert not known  # it may be the only one of its kind
    told(MESSAGES[1])

    [head] = known.values()
    assert [*known] == [MESSAGES[1].removesuffix(b"hello")]
    assert (head.target, head.declared) == (b"/p?q", 5)


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        MESSAGES[2],
        MESSAGES[6],
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        *BROKEN,
    ],
)
def test_what_is_not_remembered(message: bytes) -> None:
    """The last of a connection, bodies in chunks, expectations, long heads, what is refused."""
    known.forget()
    for _ in range(3):
        told(message)

    assert not known


def test_a_remembered_request_is_never_one_to_be_streamed() -> None:
    assert compile_table(RoutingConfig(())).body_floor <= UPLOAD_BUFFER


def test_a_body_over_the_limit_is_refused_also_when_its_head_was_read_before() -> None:
    message = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n" + b"x" * 20
    known.forget()
    sink = Sink()
    sink.reader.feed(message)
    sink.reader.feed(message)
    assert known
    sink.body_floor = 19
    sink.limit = 19
    sink.reader.feed(message)

    assert [status for _, _, status, _ in sink.told] == [1, 1, 413]


def test_memory_for_heads_is_bounded() -> None:
    known.forget()
    for i in range(3 * MAX_REMEMBERED):
        message = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i
        told(message, message)
        assert len(known) <= MAX_REMEMBERED
    assert known


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    sink = Sink()
    sink.reader.feed(data)

    assert len(sink.told) <= 1 + data.count(b"\n")


@pytest.mark.parametrize("message", MESSAGES)
def test_progress_tells_whether_a_message_is_here_whole(message: bytes) -> None:
    sink = Sink()
    message = message.lstrip()
    for i in range(len(message)):
        sink.reader.feed(message[i : i + 1])
        assert sink.reader.in_message == (i < len(message) - 1)
        assert sink.reader.in_head == (b"\r\n\r\n" not in message[: i + 1])


def test_memory_for_a_head_or_trailers_without_end_is_bounded() -> None:
    for start in (
        b"GET /",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ):
        sink = Sink()
        sink.reader.feed(start)
        fed = 0
        while not sink.reader.ended:
            sink.reader.feed(b"x" * 1000)
            fed += 1000
            assert fed < 100_000

        assert sink.told[-1][2] in (400, 414, 431)
