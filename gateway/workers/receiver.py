"""Who is told what comes of a request to a worker, and whom its connection belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.errors import Reason
from gateway.http.headers import ReplyHead
from gateway.workers.gathering import Gathering

_Connection = TypeVar("_Connection", contravariant=True)


class Receiver(Protocol):
    """Who is told what comes of a request. Exactly one of on_reply, on_stream_end, on_failure ends
    it. ``read_at`` is set to what ``clock`` says whenever bytes of the answer have come.
    """

    clock: Callable[[], float]
    read_at: float

    def on_reply(self, head: ReplyHead, body: bytes) -> None: ...
    def on_stream(self, head: ReplyHead) -> None: ...
    def on_stream_data(self, chunk: bytes) -> None: ...
    def on_stream_end(self) -> None: ...
    def on_failure(self, reason: Reason, *, began: bool) -> None: ...
    def on_upload_blocked(self, blocked: bool) -> None: ...


class Owner(Protocol[_Connection]):
    """The pool a connection belongs to."""

    gathering: Gathering

    def released(self, connection: _Connection, reusable: bool) -> None: ...
    def lost(self, connection: _Connection) -> None: ...
