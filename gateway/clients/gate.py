"""What a reader of requests asks while it reads, and whom it tells."""

from __future__ import annotations

from typing import Protocol

from gateway.clients.uploads import Uploads
from gateway.http.request import Request
from gateway.routing.compiled import Fields


class Sink(Protocol):
    """Who is told of requests."""

    def on_expect(self, request: Request) -> None: ...
    def on_body(self, request: Request) -> None: ...
    def on_request(self, request: Request) -> None: ...
    def on_refusal(self, request: Request) -> None: ...


class Gate(Protocol):
    """What is asked while a head is read. ``body_floor``: no route refuses or streams a body of so
    many bytes.
    """

    body_floor: int
    uploads: Uploads

    def new_id(self) -> bytes: ...
    def body_limit(self, path: bytes, fields: Fields) -> int: ...
