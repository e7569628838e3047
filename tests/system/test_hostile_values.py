"""What strangers send and models answer does not blow up or break what the admin port tells."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import shutil
import socket
import string
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import httptools
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.system.conftest import get_text

BURST: Final = 20  # requests sent ahead on one connection
MOST_SERIES: Final = 200
VERSIONS: Final = 12  # each with labels of its own
TEXT = """\
routes:
  iris:
    stable: v1
    sticky: {{header: X-User-Id}}
    override: {{header: X-Model-Version}}
    prediction: {{label: /predictions/0, score: /scores/0}}
    versions:
      v1: {{url: "{url}"}}
      v2: {{url: "{url}", weight: 40}}
      v3: {{url: "{url}"}}
"""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "SEARCH", "MKCOL", "LINK")

# As they stand in an answer: not all are JSON, and not all JSON can be a label.
HOSTILE: Final = [
    *(r'"\ud800"', r'"a\udc00b"', r'"\n"', r'"a\nb{x=\"1\"} 1\n# EOF\n"', r'"\r\n"', r'"\u0000"'),
    *(r'"\""', r'"\\"', r'"\\\""', r'"\\n"', r'"a\\"', '"{le=\\"1\\"}"', r'"\u2028"', r'"\u202e"'),
    *('""', '" "', '"__other__"', '"+Inf"', '"# EOF"', '"# HELP a b"', '"\U0001f600"', '"\x85"'),
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "-0", "1" * 400, "1" * 5000),
    *("0.1", "1e-400", "true", "null", "[]", "{}", '["a"]', '{"a": "b"}', "[" * 2000 + "]" * 2000),
    *(
        '"%s"' % ("x" * 64),
        '"%s"' % ("x" * 65),
        '"%s"' % ("x" * 1_000_000),
        '"',
        "",
        "\x00",
        '"\xff"',
    ),
    '"%s"' % ("\U0001f600" * 64),
]


class Model(asyncio.Protocol):
    """A worker that answers each request with the next body, and may choose its status."""

    def __init__(self, answers: Iterator[tuple[int, bytes]]) -> None:
        self._answers = answers
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def end(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\r\n\r\n"):  # none of the requests has a body
            self._buffer = b""
            status, body = next(self._answers)
            head = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)


@contextmanager
def modelled(answers: Iterator[tuple[int, bytes]]) -> Iterator[str]:
    """A worker in a thread; its URL."""
    sock = socket.create_server(("127.0.0.1", 0))
    ready, loops = threading.Event(), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()
    models: list[Model] = []

    def model() -> Model:
        models.append(Model(answers))
        return models[-1]

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loops.append((loop, stop))
        server = await loop.create_server(model, sock=sock)
        ready.set()
        await stop.wait()
        server.close()
        for one in models:
            one.end()
        await asyncio.sleep(0)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)


class Answers:
    """Counts whole answers in a stream of bytes, by status."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self._parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.statuses.append(self._parser.get_status_code())

    def read(self, client: socket.socket, number: int) -> None:
        """Until so many more have come."""
        wanted = len(self.statuses) + number
        while len(self.statuses) < wanted:
            data = client.recv(1 << 20)
            assert data, "the gateway closed"
            self._parser.feed_data(data)


def send_all(port: int, requests: list[bytes]) -> list[int]:
    """All of them on one connection, some at a time; the statuses."""
    answers = Answers()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        for start in range(0, len(requests), BURST):
            some = requests[start : start + BURST]
            client.sendall(b"".join(some))
            answers.read(client, len(some))
    return answers.statuses


def request(method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *fields]
    if method in ("POST", "PUT", "PATCH"):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def distinct_requests(number: int) -> Iterator[bytes]:
    """No two alike: path, query, method, header value and name, user, and what is asked for."""
    draw = random.Random(3)
    for i in range(number):
        fields = [f"X-User-Id: user-{i}", f"X-{i}: {i}"]
        if i % 3 == 0:
            fields.append("X-Model-Version: v3")
        elif i % 101 == 0:
            fields.append(f"X-Model-Version: v{i}")
        word = "".join(draw.choices(string.ascii_letters, k=8))
        yield request(METHODS[i % len(METHODS)], f"/{word}/{i}?q={i}", *fields)


def body(label: str, score: str = "0.5") -> bytes:
    """An answer with this label and score, as they are; what Latin-1 can write is not UTF-8."""
    text = f'{{"predictions": [{label}], "scores": [{score}]}}'
    return text.encode("latin-1" if all(ord(one) < 256 for one in text) else "utf-8")


def series(text: str) -> int:
    return sum(bool(line) and not line.startswith("#") for line in text.splitlines())


def assert_readable(served: Any) -> str:
    """Everything the admin port tells is what it claims to be; the text of /metrics."""
    text = get_text(f"{served.admin}/metrics")
    assert len(text.encode()) < 1024 * 1024
    assert sum(len(family.samples) for family in parse_text(text)) == series(text)
    assert text.count("\n") == len(text.split("\n")) - 1
    openmetrics = get(served, "/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert list(parse_openmetrics(openmetrics))
    promtool = shutil.which("promtool")
    if promtool:
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    for path in ("/api/status", "/api/evidence"):
        json.loads(get(served, path), parse_constant=lambda word: pytest.fail(word))
    return text


def get(served: Any, path: str, fields: dict[str, str] | None = None) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", served.admin_port, timeout=60)) as client:
        client.request("GET", path, headers=fields or {})
        answer = client.getresponse()
        assert answer.status == 200
        return answer.read().decode()


@pytest.mark.parametrize(("processes", "distinct"), [("1", 100_000), ("2", 20_000)])
def test_ever_so_many_of_everything_stay_few_series(
    processes: str, distinct: int, system: Any, until: Callable[..., Any]
) -> None:
    labels = ((200, body(f'"label-{i}"', str(i / 7))) for i in range(distinct))
    with modelled(labels) as url:
        served = system.gateway(TEXT.format(url=url), "--processes", processes)
        before = series(assert_readable(served))
        statuses = send_all(served.data_port, list(distinct_requests(distinct)))
        text = until(lambda: counted(served, statuses.count(200)), "all are counted")

    assert set(statuses) == {200, 400}
    assert series(text) - before < MOST_SERIES


@pytest.mark.parametrize("processes", ["1", "2"])
def test_labels_of_many_versions_are_few_series_too(
    processes: str, system: Any, until: Callable[..., Any]
) -> None:
    labels = ((200, body(f'"label-{i}"')) for i in range(VERSIONS * 40))
    with modelled(labels) as url:
        more = "".join(f'      v{i}: {{url: "{url}"}}\n' for i in range(4, VERSIONS + 1))
        served = system.gateway(TEXT.format(url=url) + more, "--processes", processes)
        before = series(assert_readable(served))
        asked = [f"X-Model-Version: v{1 + i % VERSIONS}" for i in range(VERSIONS * 40)]
        statuses = send_all(served.data_port, [request("GET", "/", one) for one in asked])
        text = until(lambda: counted(served, len(asked)), "all are counted")

    assert set(statuses) == {200}
    assert series(text) - before < MOST_SERIES


def counted(served: Any, number: int) -> str | None:
    """The text of /metrics once it has all."""
    text = assert_readable(served)
    total = sum(
        sample.value
        for family in parse_text(text)
        if family.name == "canary_predictions"
        for sample in family.samples
    )
    return text if total == number else None


def test_hostile_labels_break_nothing(system: Any) -> None:
    bodies = [body(label, score) for label in HOSTILE for score in ("0.5", *HOSTILE[22:33])]
    with modelled((200, one) for one in bodies * 3) as url:
        served = system.gateway(TEXT.format(url=url))
        before = series(assert_readable(served))
        fields = [f"X-Model-Version: v{1 + i % 3}" for i in range(len(bodies) * 3)]
        statuses = send_all(served.data_port, [request("POST", "/", one) for one in fields])
        text = assert_readable(served)

    assert set(statuses) == {200}
    assert series(text) - before < MOST_SERIES
    assert get_text(f"{served.admin}/-/ready") == "ready\n"


def test_statuses_that_nobody_knows_are_few_series(system: Any) -> None:
    codes = [code for code in range(200, 1000) if code not in (204, 304)]
    with modelled((code, b"{}") for code in codes) as url:
        served = system.gateway(TEXT.format(url=url))
        before = series(assert_readable(served))
        asked = [request("POST", "/", "X-Model-Version: v3")] * len(codes)
        statuses = send_all(served.data_port, asked)
        text = assert_readable(served)

    assert statuses == codes
    assert series(text) - before < MOST_SERIES
    assert 'code="418"' in text
    assert 'code="999"' not in text
