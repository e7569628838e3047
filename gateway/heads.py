"""Heads that were read before, by their exact bytes.

Clients and workers write the same head again and again. What a head says is a function of its bytes
alone, so the second time it need not be read: 10 us a request, both directions together. Only a
head that was accepted, and whose message was exactly one piece of data, is remembered; only a whole
message in one piece is recognised. Anything else goes through the parser, always.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

# Bounds, as heads come from strangers: at most 1 MiB of bytes, forgotten all at once when full.
MAX_REMEMBERED: Final = 512
MAX_HEAD: Final = 2048  # bytes; a longer one is seldom sent twice


class Memorable(Protocol):
    """``raw`` are its bytes up to and with the empty line, once it is remembered."""

    raw: bytes


Head = TypeVar("Head", bound=Memorable)


class Heads(dict[bytes, Head], Generic[Head]):
    """What the bytes up to and with the first empty line said the last time."""

    def remember(self, data: bytes, body: int, head: Head) -> None:
        """Remember the head of a message that is exactly ``data``, its last ``body`` bytes being
        the body. Where the empty line is elsewhere, the head was not written as one that can be
        recognised.
        """
        size = data.find(b"\r\n\r\n") + 4
        if size != len(data) - body or size > MAX_HEAD:
            return
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        head.raw = data[:size]
        self[head.raw] = head

    def recall(self, data: bytes) -> Head | None:
        """The head these bytes begin with, if it was remembered."""
        return self.get(data[: data.find(b"\r\n\r\n") + 4])
