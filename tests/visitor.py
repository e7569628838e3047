"""Somebody with a browser at a console: pages asked for, forms sent back as they were shown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from gateway.model import generation_of
from monitoring.console.app import create_console
from monitoring.console.context import Context
from monitoring.readings.sources import GatewaySources

ORIGIN = "http://127.0.0.1:8081"
_INPUT = re.compile(r"<(?:input|textarea)\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


class Visitor:
    """On loopback, of one console; redirects are not followed."""

    def __init__(self, application: Any) -> None:
        self.client = TestClient(application, base_url=ORIGIN, follow_redirects=False)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.client.get(path, headers=headers)

    def send(self, shown: httpx2.Response, /, **filled: str) -> httpx2.Response:
        """The form of a page, with these fields filled in."""
        form = hidden(shown.text) | filled
        return self.client.post(shown.url.path, data=form, headers={"Origin": ORIGIN})

    def act(self, path: str, /, **filled: str) -> httpx2.Response:
        """Ask for the page of an act, and send its form."""
        return self.send(self.get(path), **filled)


def hidden(page: str) -> dict[str, str]:
    """What a form sends of its own."""
    found = (dict(_ATTRIBUTE.findall(one)) for one in _INPUT.findall(page))
    return {
        one["name"]: html.unescape(one.get("value", ""))
        for one in found
        if one.get("type") == "hidden" and "name" in one
    }


def field(page: str, name: str) -> str:
    """The text of what carries this data-field, without tags."""
    found = re.search(rf'<(\w+)\b[^>]*data-field="{name}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found, f"no {name} in {page}"
    return html.unescape(re.sub(r"<[^>]*>", "", found[2])).strip()


def words(page: str) -> str:
    """What is read of a page."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


@contextmanager
def console(file: Path, status: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """A console of a file, whose one gateway says this of itself; None: it serves the file as it
    was when the console began. Gives the application.
    """
    if status is None:
        generation = generation_of(file.read_bytes()) if file.exists() else ""
        status = {"generation": generation, "file": {"in_force": True}}

    def answered(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=json.dumps(status))

    transport = httpx2.MockTransport(answered)
    with GatewaySources(["http://gateway"], transport=transport) as sources:
        yield create_console(Context(file, sources))
