"""A controller that is told nothing it can use, over real sockets: the file stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gateway.model import generation_of
from monitoring.analysis.verdict import Kind
from monitoring.history import changes
from monitoring.readings.sources import GatewaySources
from tests.controllers import make_controller
from tests.sockets.peers import (
    Behaviour,
    Worker,
    answering,
    refusing,
    resetting,
    saying,
    url_of,
)
from tests.sockets.peers import (
    closing as hanging_up,
)

TEXT = """\
routes:
  iris:
    stable: v1
    analysis: {max_false_rollback: 1%, min_bad: 1}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # the new one
"""
GENERATION = generation_of(TEXT.encode())


def evidence(generation: str = GENERATION, **candidate: object) -> bytes:
    """What a gateway says; unless told otherwise that nobody asked."""
    versions = {
        "v1": {"role": "stable", "weight": 9000, "assigned": 0, "bad": 0},
        "v2": {"role": "candidate", "weight": 1000, "assigned": 0, "bad": 0, **candidate},
    }
    rows = [{"generation": generation, "routes": {"iris": versions}}]
    return json.dumps({"generation": generation, "generations": rows}).encode()


FAILING = evidence(assigned=500, bad=500)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWERS: dict[str, Behaviour] = {
    "nobody asked": answering(body=evidence()),
    "no body": answering(body=b""),
    "no JSON": answering(body=b"<html>"),
    "half of it": answering(body=FAILING[:-20]),
    "another type": answering(body=b"[]"),
    "a number": answering(body=b"1"),
    "null": answering(body=b"null"),
    "an empty document": answering(body=b"{}"),
    "no generations": answering(
        body=b'{"generation": "%b", "generations": []}' % GENERATION.encode()
    ),
    "deep": answering(body=b"[" * 200_000),
    "another file": answering(body=evidence("0" * 12, assigned=500, bad=500)),
    "not a number": answering(body=evidence(assigned=float("nan"), bad=500)),
    "no number of bad ones": answering(body=evidence(assigned=500, bad=float("nan"))),
    "infinite": answering(body=evidence(assigned=500, bad=float("inf"))),
    "negative": answering(body=evidence(assigned=500, bad=-500)),
    "more bad than asked": answering(body=evidence(assigned=5, bad=500)),
    "a text for a number": answering(body=evidence(assigned="500", bad="500")),
    "half a request": answering(body=evidence(assigned=500.5, bad=500.5)),
    "null for a number": answering(body=evidence(assigned=None, bad=None)),
    **{f"status {code}": answering(code, FAILING) for code in (401, 403, 404, 429, 500, 502, 503)},
    "a redirect": answering(302, FAILING, [("Location", "http://127.0.0.1:1/")]),
    "hangs up": hanging_up,
    "resets": resetting,
    "cut": saying(OK + b"Content-Length: %d\r\n\r\n" % (len(FAILING) + 1) + FAILING, "close"),
    "no HTTP": saying(b"nonsense\r\n\r\n", "close"),
    "an endless answer": saying(OK + b"\r\n" + b" " * (20 << 20), "close"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def source() -> Iterator[Callable[[str], GatewaySources]]:
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(GatewaySources([url]))


def check_nothing_is_done(file: Path, source: GatewaySources) -> None:
    """However often it looks."""
    controller = make_controller(file, source)
    for _ in range(3):
        told = controller.tick()
        assert {one.verdict.kind for one in told} <= {Kind.INCONCLUSIVE, Kind.ERROR}
    assert file.read_text() == TEXT
    assert changes.read(file) == []


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_evidence_edits_nothing(answer: str, file: Path, source: Any) -> None:
    with closing(Worker(ANSWERS[answer])) as admin:
        check_nothing_is_done(file, source(admin.url))

        assert admin.connections > 0


def test_a_gateway_that_is_not_there_edits_nothing(file: Path, source: Any) -> None:
    with closing(refusing()) as nobody:
        check_nothing_is_done(file, source(url_of(nobody)))


def test_what_is_evidence_does(file: Path, source: Any) -> None:
    """The others prove nothing unless this one is acted on."""
    body = FAILING.replace(b'"assigned": 0', b'"assigned": 4500', 1)
    with closing(Worker(answering(body=body))) as admin:
        (told,) = make_controller(file, source(admin.url)).tick()

    assert told.verdict.kind is Kind.FAILED
    assert file.read_text() == TEXT.replace("weight: 10}", "weight: 0}")
