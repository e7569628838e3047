"""The client of an exchange, as the exchange sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.errors import Refusal
    from gateway.http.request import Request


class Client(Protocol):
    """The connection a request came from; ``blocked``: it does not take what was written;
    ``read_at``: when the bytes came that made the request whole, or its turn.
    """

    blocked: bool
    read_at: float
    write: Callable[[bytes], None]

    def done(self, *, keep_alive: bool) -> None: ...
    def cut(self) -> None: ...
    def hold(self, held: bool) -> None: ...
    def unfinished(self, now: bool) -> None: ...
    def refuse(self, request: Request, refusal: Refusal) -> None: ...
