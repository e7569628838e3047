"""Heads remembered by their bytes: when, and how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.headers import ReplyHead
from gateway.http.heads import MAX_HEAD, MAX_REMEMBERED, MAX_SEEN, Heads, head_of


def test_a_head_is_remembered_when_it_comes_again() -> None:
    heads: Heads[ReplyHead] = Heads()
    first, second = ReplyHead(200, []), ReplyHead(200, [])
    heads.remember(b"raw", first)
    assert b"raw" not in heads

    heads.remember(b"raw", second)
    assert heads[b"raw"] is second
    assert (first.raw, second.raw) == (b"", b"raw")


def test_a_long_head_is_not() -> None:
    heads: Heads[ReplyHead] = Heads()
    for size in (MAX_HEAD, MAX_HEAD + 1):
        for _ in range(3):
            heads.remember(b"x" * size, ReplyHead(200, []))

    assert [len(raw) for raw in heads] == [MAX_HEAD]


def test_heads_that_are_all_different_take_no_room() -> None:
    heads: Heads[ReplyHead] = Heads()
    head = ReplyHead(200, [])
    for i in range(3 * MAX_SEEN):
        heads.remember(b"%d" % i, head)

    assert not heads
    assert 0 < len(heads._seen) <= MAX_SEEN


def test_memory_is_bounded_and_goes_on_after_it_was_full() -> None:
    heads: Heads[ReplyHead] = Heads()
    for i in range(2 * MAX_REMEMBERED + 1):
        for _ in range(2):
            heads.remember(b"%d" % i, ReplyHead(200, []))
        assert len(heads) <= MAX_REMEMBERED

    assert [*heads] == [b"%d" % (2 * MAX_REMEMBERED)]


def test_forgetting_is_complete() -> None:
    heads: Heads[ReplyHead] = Heads()
    for raw in (b"a", b"b", b"b"):
        heads.remember(raw, ReplyHead(200, []))
    heads.forget()
    heads.remember(b"a", ReplyHead(200, []))

    assert not heads


@pytest.mark.parametrize("data", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_what_has_no_empty_line_has_no_head(data: bytes) -> None:
    assert len(head_of(data)) < len(b"\r\n\r\n")


@given(st.binary(), st.binary())
def test_a_head_ends_with_the_first_empty_line(start: bytes, rest: bytes) -> None:
    head = head_of(start + b"\r\n\r\n" + rest)

    assert (start + b"\r\n\r\n" + rest).startswith(head)
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
