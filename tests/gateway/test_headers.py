"""Heads are rebuilt: what passes, what ends here, what the gateway says itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.headers import (
    _REPLY_NAMES,
    _REQUEST_NAMES,
    HOP_BY_HOP,
    ReplyHead,
    RequestHead,
    status_line,
)
from tests.builders import make_request

Pairs = list[tuple[bytes, bytes]]

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ-_!#$%0123456789", min_size=1, max_size=20)
NAMES = TOKEN.map(str.encode) | st.sampled_from(
    [*sorted(HOP_BY_HOP), b"Connection", b"X-Forwarded-For", b"Host", b"Cookie"]
)
VALUES = st.text('abc, xyz;="0123456789-', max_size=30).map(str.encode)


def passed_on(*pairs: tuple[bytes, bytes]) -> Pairs:
    """The fields of a request that reach the worker as they are."""
    lines = RequestHead(pairs).start.splitlines(keepends=True)[2:-1]  # without Host and X-Forwarded
    fields = [(line.partition(b": ")[0], line.partition(b": ")[2][:-2]) for line in lines[:-1]]
    return [field for field in fields if field[0] != b"Content-Length"]


def given_back(*pairs: tuple[bytes, bytes]) -> Pairs:
    """The fields of an answer that reach the client as they are."""
    lines = ReplyHead(200, pairs).start.splitlines(keepends=True)[1:]
    return [(line.partition(b": ")[0], line.partition(b": ")[2][:-2]) for line in lines]


def forwarded(*pairs: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    """The lines the gateway writes about where a request came from."""
    lines = make_request(headers=pairs, body=None).render().split(b"\r\n")[1:-2]
    return {line.partition(b": ")[0]: line.partition(b": ")[2] for line in lines}


# --- requests


def test_end_to_end_fields_pass_as_they_were_written_and_in_their_order() -> None:
    sent = [
        (b"content-TYPE", b"application/json"),
        (b"X-Twice", b"1"),
        (b"Authorization", b"Bearer \xe9"),
        (b"X-Twice", b"2"),
        (b"X-Empty", b""),
        (b"Cookie", b"a=b"),
        (b"Cookie", b"c=d"),
    ]

    assert passed_on(*sent) == sent


@pytest.mark.parametrize(
    "name",
    [
        *(b"Connection", b"Keep-Alive", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade"),
        *(b"Proxy-Connection", b"Proxy-Authorization", b"Proxy-Authenticate", b"HTTP2-Settings"),
        *(b"Proxy", b"Proxy-Anything", b"proxy-features"),
    ],
)
def test_what_concerns_only_this_connection_ends_here(name: bytes) -> None:
    assert passed_on((name, b"x"), (b"Accept", b"*/*")) == [(b"Accept", b"*/*")]


@pytest.mark.parametrize(
    "name",
    [
        *(b"Forwarded", b"X-Real-IP", b"X-Forwarded-Proto", b"X-Forwarded-Host"),
        *(b"X-Forwarded-Port", b"X-Forwarded-Server", b"X-Forwarded-Prefix", b"X-Forwarded-User"),
        *(b"x-forwarded-client-cert", b"X-FORWARDED-SSL"),
    ],
)
def test_what_strangers_claim_about_the_way_is_dropped(name: bytes) -> None:
    assert passed_on((name, b"x"), (b"Accept", b"*/*")) == [(b"Accept", b"*/*")]


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Expect", b"X-Request-Id"])
def test_what_the_gateway_writes_itself_is_not_copied(name: bytes) -> None:
    assert passed_on((name, b"1")) == []


@pytest.mark.parametrize(
    "connection",
    [
        [(b"Connection", b"X-Private")],
        [(b"Connection", b"close, x-private")],
        [(b"Connection", b"keep-alive ,\tX-PRIVATE , te")],
        [(b"Connection", b"X-Private"), (b"Connection", b"close")],
        [(b"Connection", b"close"), (b"Connection", b"X-Private")],
    ],
)
def test_fields_that_connection_names_end_here_too(connection: Pairs) -> None:
    assert passed_on(*connection, (b"X-private", b"1"), (b"X-Public", b"2")) == [
        (b"X-Public", b"2")
    ]
    assert given_back(*connection, (b"X-private", b"1"), (b"X-Public", b"2")) == [
        (b"X-Public", b"2")
    ]


def test_the_last_of_a_repeated_field_is_looked_at_but_all_cookies() -> None:
    head = RequestHead(
        [(b"X-User", b"a"), (b"x-user", b"b"), (b"Cookie", b"c=1"), (b"cookie", b"d=2")]
    )

    assert head.fields[b"x-user"] == b"b"
    assert head.fields[b"cookie"] == b"c=1; d=2"


def test_codings_that_come_in_two_fields_are_seen_together() -> None:
    head = RequestHead([(b"Transfer-Encoding", b"gzip"), (b"Transfer-Encoding", b"chunked")])

    assert head.fields[b"transfer-encoding"] == b"gzip, chunked"


def test_hosts_are_counted() -> None:
    assert RequestHead([]).hosts == 0
    assert RequestHead([(b"HOST", b"a"), (b"host", b"a")]).hosts == 2


def test_the_worker_is_told_where_a_request_came_from() -> None:
    assert forwarded((b"Host", b"models.example:8080")) == {
        b"Host": b"models.example:8080",
        b"X-Forwarded-For": b"192.0.2.7",
        b"X-Forwarded-Proto": b"http",
        b"X-Forwarded-Host": b"models.example:8080",
        b"X-Request-Id": b"id-1",
    }


def test_the_chain_of_addresses_ends_in_the_one_we_saw() -> None:
    chain = forwarded((b"X-Forwarded-For", b"203.0.113.9"), (b"x-forwarded-for", b"10.0.0.1"))

    assert chain[b"X-Forwarded-For"] == b"203.0.113.9, 10.0.0.1, 192.0.2.7"


@pytest.mark.parametrize("own", [b"a", b"x" * 128, b'weird "id" {}', b"c0ffee-1"])
def test_a_clients_own_id_is_kept(own: bytes) -> None:
    assert RequestHead([(b"X-Request-ID", own)]).id == own


@pytest.mark.parametrize("own", [b"", b"x" * 129, b"\xe9", b"a\tb", b"a\x7fb", b"a\nb"])
def test_an_id_that_cannot_stand_in_a_log_line_is_none(own: bytes) -> None:
    assert RequestHead([(b"X-Request-Id", own)]).id == b""


def test_sagemakers_word_for_an_id_is_one_where_no_other_is_given() -> None:
    inference, own = (b"X-Amzn-SageMaker-Inference-Id", b"i"), (b"X-Request-Id", b"r")

    assert RequestHead([inference]).id == b"i"
    assert RequestHead([inference, own]).id == RequestHead([own, inference]).id == b"r"
    assert RequestHead([inference, (own[0], b"\xe9")]).id == b""


LENGTH = st.tuples(st.just(b"Content-Length"), st.integers(0, 99).map(b"%d".__mod__))


@given(st.lists(st.tuples(NAMES, VALUES) | LENGTH, max_size=12))
def test_no_list_of_fields_brings_framing_or_hops_to_the_worker(pairs: Pairs) -> None:
    names = {name.lower() for name, _ in passed_on(*pairs)}
    nominated = {
        token.strip().lower()
        for name, value in pairs
        if name.lower() == b"connection"
        for token in value.split(b",")
    }

    assert not names & (HOP_BY_HOP | {b"content-length", b"host", b"x-forwarded-for"})
    assert not names & nominated


# --- answers


def test_an_answers_fields_pass_as_they_were_written_and_in_their_order() -> None:
    sent = [
        (b"Set-Cookie", b"a=b"),
        (b"content-type", b"application/json"),
        (b"Set-Cookie", b"c=d"),
        (b"Content-Encoding", b"gzip"),
        (b"Server", b"worker/1"),
        (b"Date", b"Sat, 21 Nov 2026 09:00:00 GMT"),
    ]

    assert given_back(*sent) == sent


@pytest.mark.parametrize(
    "name",
    [
        *(b"Connection", b"Keep-Alive", b"Transfer-Encoding", b"Trailer", b"Upgrade"),
        *(b"Proxy-Authenticate", b"Content-Length"),
        *(b"X-Model-Version", b"X-Model-Route", b"X-Assignment", b"X-Request-Id"),
        b"X-Amzn-Invoked-Production-Variant",
    ],
)
def test_a_worker_does_not_speak_for_the_gateway(name: bytes) -> None:
    assert given_back((name, b"7"), (b"X-Public", b"2")) == [(b"X-Public", b"2")]


def test_framing_of_an_answer_is_known() -> None:
    declared = ReplyHead(200, [(b"Content-Length", b"12")])
    chunked = ReplyHead(200, [(b"Transfer-Encoding", b"chunked")])
    neither = ReplyHead(200, [])

    assert (declared.length, declared.framed) == (12, True)
    assert (chunked.length, chunked.framed) == (None, True)
    assert (neither.length, neither.framed) == (None, False)


@pytest.mark.parametrize(
    ("content_type", "endless"),
    [
        (b"text/event-stream", True),
        (b"text/event-stream; charset=utf-8", True),
        (b"Text/Event-Stream", True),
        (b"application/json", False),
        (b"text/event-streams", False),
        (b"", False),
    ],
)
def test_an_event_stream_is_known_by_its_type(content_type: bytes, endless: bool) -> None:
    assert ReplyHead(200, [(b"Content-Type", content_type)]).endless is endless


def test_a_status_line_has_its_phrase() -> None:
    assert status_line(200) == b"HTTP/1.1 200 OK\r\n"
    assert status_line(503) == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert status_line(299) == b"HTTP/1.1 299 Unknown\r\n"


@pytest.mark.parametrize(
    ("status", "bare"),
    [(200, False), (404, False), (204, True), (304, True), (205, False), (103, True), (500, False)],
)
def test_answers_without_a_body_are_known(status: int, bare: bool) -> None:
    assert ReplyHead(status, [(b"Content-Length", b"7")]).bare is bare


def test_names_that_are_remembered_are_bounded() -> None:
    for i in range(3000):
        assert passed_on((b"X-%d" % i, b"1"), (b"Upgrade", b"x")) == [(b"X-%d" % i, b"1")]
        assert given_back((b"X-%d" % i, b"1"), (b"Upgrade", b"x")) == [(b"X-%d" % i, b"1")]
    assert len(_REQUEST_NAMES) < 1100
    assert len(_REPLY_NAMES) < 1100
