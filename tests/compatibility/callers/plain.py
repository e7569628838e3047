"""HTTP libraries against a plain ``POST /predict``: the same questions to each, in its words."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from told import ROW, Told, classes, label, row, run

JSON = {"Content-Type": "application/json"}
CHUNKED = "chunked upload"


@dataclass
class Answer:
    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def predicted(self) -> list[int]:
        assert self.status == 200, (self.status, self.body[:200])
        return classes(json.loads(self.body)["predictions"])


class Library:
    """How a library sends a request; pieces are a body whose length it does not know."""

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        fields: Mapping[str, str] = JSON,
        pieces: list[bytes] | None = None,
    ) -> Answer:
        raise NotImplementedError


def body_of(*rows: list[float]) -> bytes:
    return json.dumps({"instances": rows}).encode()


def ask_everything(told: Told, library: Library) -> None:
    """What everyday clients do, and then the load."""

    def predict(url: str, number: int) -> Mapping[str, str]:
        answer = library.send("POST", f"{url}/predict", body_of(row(number)))
        assert answer.predicted == [label(number)], answer
        return answer.fields

    def chunked(url: str) -> list[int]:
        whole = body_of(*[ROW] * 100)
        pieces = [whole[start : start + 500] for start in range(0, len(whole), 500)]
        return library.send("POST", f"{url}/predict", pieces=pieces).predicted

    def large(url: str) -> list[int]:
        """A body over the MiB up to which a gateway holds it whole, and a large answer."""
        padded = body_of(*[ROW] * 100)[:-1] + b" " * 2_000_000 + b"}"
        return library.send("POST", f"{url}/predict", padded).predicted

    def closed(url: str) -> list[int]:
        fields = {**JSON, "Connection": "close"}
        return library.send("POST", f"{url}/predict", body_of(ROW), fields).predicted

    def zipped(url: str) -> list[int]:
        fields = {**JSON, "Accept-Encoding": "gzip"}
        return library.send("POST", f"{url}/predict", body_of(*[ROW] * 150), fields).predicted

    def head(url: str) -> tuple[int, bytes, bool]:
        answer = library.send("HEAD", f"{url}/ready", fields={})
        return answer.status, answer.body, "content-length" in _lower(answer.fields)

    def refused(url: str) -> tuple[int, bytes]:
        # Each version may say it in its own words.
        fields = {**JSON, "X-Model-Version": told.stable}
        answer = library.send("POST", f"{url}/predict", b'{"instances": ["x"]}', fields)
        return answer.status, answer.body

    def forced(url: str) -> None:
        fields = {**JSON, "x-MODEL-version": told.candidate}
        answer = library.send("POST", f"{url}/predict", body_of(ROW), fields)
        assert answer.predicted == [0]
        seen = _lower(answer.fields)
        assert seen["x-model-version"] == told.candidate, seen
        assert seen["x-assignment"] == "forced", seen

    told.same("JSON", lambda url: library.send("POST", f"{url}/predict", body_of(ROW)).predicted)
    told.same(CHUNKED, chunked)
    told.same("body of 2 MB", large)
    told.same("gzip answer", zipped)
    told.same("Connection: close", closed)
    told.same("HEAD", head)
    told.same("4xx of the model", refused)
    told.holds("version named by header", forced)
    told.load("JSON", predict)


def _lower(fields: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in fields.items()}


# --- the libraries


class Requests(Library):
    def __init__(self) -> None:
        import requests

        self.session = requests.Session()

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        data = iter(pieces) if pieces else body
        answer = self.session.request(method, url, data=data, headers=fields, timeout=60)
        return Answer(answer.status_code, answer.headers, answer.content)


class Httpx(Library):
    def __init__(self) -> None:
        import httpx

        self.client = httpx.Client(timeout=60)

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        content = iter(pieces) if pieces else body
        answer = self.client.request(method, url, content=content, headers=fields)
        return Answer(answer.status_code, answer.headers, answer.content)


class Urllib3(Library):
    def __init__(self) -> None:
        import urllib3

        self.pool = urllib3.PoolManager(retries=False, timeout=60)

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        data = iter(pieces) if pieces else body
        answer = self.pool.request(method, url, body=data, headers=fields, chunked=bool(pieces))
        return Answer(answer.status, answer.headers, answer.data)


class StandardLibrary(Library):
    """One ``http.client`` connection for each address, used again and again."""

    def __init__(self) -> None:
        self.connections: dict[str, http.client.HTTPConnection] = {}

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        import gzip

        parts = urlsplit(url)
        connection = self.connections.setdefault(
            parts.netloc, http.client.HTTPConnection(parts.netloc, timeout=60)
        )
        data = iter(pieces) if pieces else body
        connection.request(method, parts.path, data, fields, encode_chunked=bool(pieces))
        answer = connection.getresponse()
        read = answer.read()
        if answer.getheader("Content-Encoding") == "gzip":
            read = gzip.decompress(read)
        return Answer(answer.status, dict(answer.getheaders()), read)


@dataclass
class Aiohttp(Library):
    """One session on one loop, asked step by step."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    session: Any = None

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(self._send(method, url, body, fields, pieces))

    async def _send(self, method, url, body, fields, pieces):  # type: ignore[no-untyped-def]
        import aiohttp

        async def flowing() -> Any:
            for piece in pieces:
                yield piece

        if self.session is None:
            self.session = aiohttp.ClientSession()
        data = flowing() if pieces else body
        # It waits for `100 Continue` before it sends a body.
        expect = method == "POST"
        async with self.session.request(
            method, url, data=data, headers=fields, expect100=expect
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


class Curl(Library):
    """A process for each request; with a body over 1 MiB it expects `100 Continue` by itself."""

    options: tuple[str, ...] = ()

    def send(self, method, url, body=None, fields=JSON, pieces=None):  # type: ignore[no-untyped-def]
        words = ["curl", "-sS", "--max-time", "60", "--compressed", *self.options, url]
        words += [word for name, value in fields.items() for word in ("-H", f"{name}: {value}")]
        with tempfile.TemporaryDirectory() as folder:
            words += ["-D", f"{folder}/head", "-o", f"{folder}/body"]
            if method == "HEAD":
                words += ["--head"]
            if pieces:
                words += ["-H", "Transfer-Encoding: chunked"]
            data = b"".join(pieces) if pieces else body
            if data is not None:
                words += ["--data-binary", "@-", "-X", method]
            subprocess.run(words, input=data or b"", check=True, timeout=90)
            blocks = (
                (Path(folder) / "head").read_bytes().decode("latin-1").strip().split("\r\n\r\n")
            )
            lines = blocks[-1].split("\r\n")  # the last: an interim answer may come before it
            pairs = [line.split(":", 1) for line in lines[1:]]
            fields_seen = {name: value.strip() for name, value in pairs}
            file = Path(folder) / "body"
            # With --head curl writes the head of the answer where its body would be.
            content = file.read_bytes() if file.exists() and method != "HEAD" else b""
            return Answer(int(lines[0].split(" ")[1]), fields_seen, content)


class Expecting(Curl):
    options = ("-H", "Expect: 100-continue", "--expect100-timeout", "50")


class Upgrading(Curl):
    """It asks to go on in HTTP/2; who does not want to goes on in HTTP/1.1."""

    options = ("--http2",)


class Old(Curl):
    options = ("--http1.0",)


def curl(told: Told) -> None:
    """Everything in its own ways, and the load in one process on one connection."""
    ask_some(told, Expecting(), "Expect: 100-continue")
    ask_some(told, Upgrading(), "asking for HTTP/2")
    ask_some(told, Old(), "HTTP/1.0")
    told.count, count = 20, told.count
    ask_everything(told, Curl())
    told.count = count
    words = ["curl", "-sS", "-D", "-", "-o", "/dev/null", "-H", "Content-Type: application/json"]
    words += ["--data-binary", body_of(ROW).decode(), f"{told.gateway}/predict?[1-{count}]"]

    def many(url: str) -> None:
        heads = subprocess.run(words, capture_output=True, check=True, text=True).stdout
        found = [
            line.split(":", 1)[1].strip()
            for line in heads.splitlines()
            if line.lower().startswith("x-model-version:")
        ]
        assert len(found) == count, len(found)
        told.versions.update(found)

    told.due += count
    told.holds(f"{count} on one connection", many)


def ask_some(told: Told, library: Library, what: str) -> None:
    def predicted(url: str) -> list[int]:
        return library.send("POST", f"{url}/predict", body_of(ROW)).predicted

    def large(url: str) -> list[int]:
        padded = body_of(*[ROW] * 100)[:-1] + b" " * 2_000_000 + b"}"
        return library.send("POST", f"{url}/predict", padded).predicted

    told.same(what, predicted)
    told.same(f"{what}, 2 MB", large)


if __name__ == "__main__":
    run(
        requests=lambda told: ask_everything(told, Requests()),
        httpx=lambda told: ask_everything(told, Httpx()),
        aiohttp=lambda told: ask_everything(told, Aiohttp()),
        urllib3=lambda told: ask_everything(told, Urllib3()),
        http_client=lambda told: ask_everything(told, StandardLibrary()),
        curl=curl,
    )
