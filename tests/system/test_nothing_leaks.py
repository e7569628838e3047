"""What strangers get to see, and what they can write into logs and history."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.sockets.peers import Client, Ended, Worker, refusing, request, resetting, saying, url_of

TEXT = """\
routes:
  iris:
    stable: v1
    timeout: 300ms
    match: {{path: /predict}}
    override: {{header: X-Model-Version}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 0}}
      v3: {{url: "{v3}", weight: 0}}
"""
# Line ends, escape sequences, a forged line, half a character, and a way to hide the rest.
HOSTILE = 'x\r\n{"event": "forged", "level": "info"}\x1b[2J\x07\u202e\u2028\x9b31m"\\'
TELLING = re.compile(
    rb"traceback|\.py\b|line \d+|uvicorn|uvloop|starlette|httptools|llhttp|python|canary-gateway|"
    rb"canary/|/work|/root|0\.1\.0|errno|127\.0\.0\.1|unix:",
    re.IGNORECASE,
)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with closing(Worker(saying(b"no http at all\r\n\r\n", "close"))) as one:
        yield one


@pytest.fixture(params=["1", "2"])
def served(system: Any, worker: Worker, request: pytest.FixtureRequest) -> Iterator[Any]:
    """v1 talks nonsense, v2 resets, v3 is not there."""
    with closing(Worker(resetting)) as second, closing(refusing()) as nobody:
        text = TEXT.format(v1=worker.url, v2=second.url, v3=url_of(nobody))
        yield system.gateway(text, "--processes", request.param)


def raw(port: int, data: bytes) -> bytes:
    """Everything that is answered to these bytes."""
    with Client(("127.0.0.1", port)) as client:
        with suppress(OSError):  # what is too large is refused before it is here
            client.send(data.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:"))
        return client.rest()


PROVOCATIONS = [
    request(),
    request(fields=[("X-Model-Version", "v2")]),
    request(fields=[("X-Model-Version", "v3")]),
    request(fields=[("X-Model-Version", "\x80'\"")]),
    request(target="/nowhere/../%00%0d%0aX:y"),
    request(target="/predict/\x80"),
    request(target="/" + "x" * 9000),
    request(fields=[("X-Big", "x" * 40_000)]),
    request(fields=[("X-Request-Id", "a b\x80{}")]),
    request(fields=[("Content-Length", "1"), ("Transfer-Encoding", "chunked")]),
    request(fields=[("Expect", "nonsense")]),
    request(method="CONNECT"),
    request(version="2.0"),
    request(body=b"", fields=[("Content-Length", "2000000")]),
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\x1b\r\n\r\n",
]


def test_no_answer_tells_what_is_behind_it(served: Any) -> None:
    for data in PROVOCATIONS:
        for port in (served.data_port, served.admin_port):
            answer = raw(port, data)

            assert answer.startswith(b"HTTP/1.1 "), data
            assert not TELLING.search(answer), (data, answer)
            assert b"\r\nserver:" not in answer.lower()


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line is one object, without a character that moves anything."""
    found = []
    for line in log.read_bytes().splitlines():
        assert re.fullmatch(rb"[ -~]+", line), line
        found.append(json.loads(line))
        assert {"event", "level", "timestamp"} <= found[-1].keys()
    return found


def test_strangers_write_no_lines_into_the_log(served: Any) -> None:
    log = served.file.parent / "0.log"
    for data in PROVOCATIONS:
        for port in (served.data_port, served.admin_port):
            raw(port, data)
    hostile = HOSTILE.encode()
    raw(served.data_port, b"POST /predict HTTP/1.1\r\nHost: a\r\n\r\n" + hostile)
    raw(served.admin_port, b"GET /metrics HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n" + hostile)

    assert [line["event"] for line in lines_of(log)] == ["serving"]


def test_what_a_file_says_is_one_line_however_it_is_named(
    system: Any, worker: Worker, until: Callable[..., Any], tmp_path: Path
) -> None:
    name = os.fsencode("routing\n\x1b[2J\u2028.yaml") + b"\xff"
    folder = tmp_path / "files"
    folder.mkdir()
    os.symlink(b"target", os.fsencode(folder) + b"/" + name)
    target = folder / "target"
    good = TEXT.format(v1=worker.url, v2=worker.url, v3=worker.url)
    target.write_text(good)
    path = os.fsdecode(os.fsencode(folder) + b"/" + name)
    alone = ("--no-controller", "--no-console")
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *alone)
    process = system.start("monitoring", "serve", path, *free)
    log = tmp_path / "0.log"
    until(lambda: log.read_text() or process.poll() is not None, "it serves")
    told = lines_of(log)[0]
    assert told["file"].endswith(path[-8:])

    port = int(told["admin"].rpartition(":")[2])
    bad = good.replace("stable: v1", 'stable: "v1\\n\\e[2J\\u2028"').replace("300ms", '"\\e[1mx"')
    target.write_text(bad)
    until(lambda: "reload refused" in log.read_text(), "the file is refused")
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        client.request("GET", "/api/status")
        document = json.loads(client.getresponse().read())
        assert document["file"]["name"] == os.path.basename(path)
        client.request("POST", "/-/reload")
        assert client.getresponse().status == 400
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    events = [line["event"] for line in lines_of(log)]

    assert events[0] == "serving"
    assert set(events[1:]) == {"reload refused", "draining", "drained"}


def test_a_reason_forges_no_row_and_no_line(
    canary: Callable[..., Any], tmp_path: Path, worker: Worker
) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT.format(v1=worker.url, v2=worker.url, v3=worker.url))
    at = ("--file", str(file))
    reasons = [HOSTILE, os.fsdecode(b"\xff\xfe"), "\x7f" * 3, "x" * 100_000]
    for weight, reason in enumerate(reasons, 1):
        ended = canary("set-weight", "iris", "v2", str(weight), *at, "--reason", reason)
        assert ended.returncode == 0, ended.stderr
    rows = (tmp_path / "routing.history.jsonl").read_bytes().split(b"\n")[:-1]
    intents = [row for row in map(json.loads, rows) if row["row"] == "intent"]

    assert len(rows) == 2 * len(reasons)
    assert [row["reason"] for row in intents] == reasons
    told = canary("history", *at).stdout
    assert len(told.splitlines()) == len(reasons)
    assert all(line.isprintable() for line in told.split("\n"))
    as_json = canary("history", *at, "--json").stdout
    assert [entry["reason"] for entry in json.loads(as_json)] == reasons
    assert all(line.isprintable() for line in as_json.split("\n"))


def test_a_worker_that_ends_in_the_middle_is_not_blamed_by_address(served: Any) -> None:
    with Client(("127.0.0.1", served.data_port)) as client:
        for version, reason in (("v1", "bad_response"), ("v2", "reset"), ("v3", "connect")):
            try:
                answer = client.ask(fields=[("X-Model-Version", version)])
            except Ended:
                pytest.fail("no answer at all")
            assert answer.json()["reason"] == reason
            assert answer.json().keys() == {"error", "reason", "request_id"}
