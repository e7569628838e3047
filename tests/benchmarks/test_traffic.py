"""What the load sends and the worker answers: what changes with each message, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bodies import SMALL_REPLY, SMALL_REQUEST
from benchmarks.traffic import (
    FRESH_REQUESTS,
    PLAIN,
    VARIED_REPLIES,
    VARIED_REQUESTS,
    Heads,
    Traffic,
    write_ring,
)

PATH = "/predict/model-0"


def parts(message: bytes) -> tuple[list[bytes], bytes]:
    """Lines of the head, and the body."""
    head, _, body = message.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


@pytest.mark.parametrize(
    "traffic", [PLAIN, Traffic(large=True), Traffic(Heads.VARIED), Traffic(Heads.FRESH)]
)
def test_every_message_is_whole(traffic: Traffic) -> None:
    for message in traffic.requests([PATH])[:100]:
        lines, body = parts(message)

        assert lines[0] == b"POST /predict/model-0 HTTP/1.1"
        assert lines[-1] == b"Content-Length: %d" % len(body)


def test_plain_traffic_is_one_message_for_each_path_and_one_answer() -> None:
    assert len(PLAIN.requests([PATH, "/other"])) == 2
    assert [len(parts(message)[1]) for message in PLAIN.requests([PATH])] == [SMALL_REQUEST]
    assert [len(reply) for reply in PLAIN.replies()] == [SMALL_REPLY]


def test_no_two_fresh_heads_are_alike() -> None:
    messages = Traffic(Heads.FRESH).requests([PATH])
    heads = [parts(message)[0] for message in messages]
    ids = [line for lines in heads for line in lines if line.startswith(b"X-Request-Id: ")]
    traces = [line for lines in heads for line in lines if line.startswith(b"traceparent: ")]

    assert len(messages) == FRESH_REQUESTS
    assert len(ids) == len(set(ids)) == len(traces) == len(set(traces)) == FRESH_REQUESTS
    assert {(len(lines), sum(map(len, lines))) for lines in heads} == {(6, sum(map(len, heads[0])))}


def test_varied_heads_differ_in_their_length_field_alone() -> None:
    traffic = Traffic(Heads.VARIED)
    messages = [parts(message) for message in traffic.requests([PATH])]

    assert [len(body) for _, body in messages] == list(VARIED_REQUESTS)
    assert len({tuple(lines[:-1]) for lines, _ in messages}) == 1
    assert [len(reply) for reply in traffic.replies()] == list(VARIED_REPLIES)


def test_every_path_is_asked_equally_often() -> None:
    paths = [f"/predict/model-{i}" for i in range(100)]
    for heads in Heads:
        targets = [parts(m)[0][0].split()[1].decode() for m in Traffic(heads).requests(paths)]

        assert len({targets.count(path) for path in paths}) == 1


def test_the_ring_has_each_message_after_its_size(tmp_path: Path) -> None:
    write_ring(tmp_path / "ring", [b"one\n", b"three"])

    assert (tmp_path / "ring").read_bytes() == b"4\none\n5\nthree"
