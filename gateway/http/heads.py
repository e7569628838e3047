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
MAX_SEEN: Final = 4096
_SPOKEN: Final = b"HTTP/1."  # of an answer; the parser knows 0.9 and 2.0, too


class Memorable(Protocol):
    """``raw`` are its bytes up to and with the empty line, once it is remembered."""

    raw: bytes


Head = TypeVar("Head", bound=Memorable)


class Heads(dict[bytes, Head], Generic[Head]):
    """What the bytes up to and with the first empty line said the last time.

    A head is remembered when it comes for the second time: heads that are all different, with a
    trace id in each, would cost 3 us more each if they were kept for nothing.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[int] = set()  # hashes of heads that came once

    def remember(self, raw: bytes, head: Head) -> None:
        """Take note of a head and its bytes."""
        seen = hash(raw)
        if len(raw) > MAX_HEAD:
            return
        if seen not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(seen)
            return
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        head.raw = raw
        self[raw] = head

    def forget(self) -> None:
        """Everything."""
        self.clear()
        self._seen.clear()


def head_of(data: bytes) -> bytes:
    """The bytes up to and with the first empty line: of a message, its head. If there is none, too
    few bytes to be one.
    """
    return data[: data.find(b"\r\n\r\n") + 4]


def end_of_head(text: bytes, start: int) -> int:
    """Where the head of an answer ends that is known to be here whole and begins at ``start``; 0 if
    it is of no version of HTTP that is spoken here.
    """
    while text[start] == 0x0D and text[start + 1] == 0x0A:
        start += 2  # an empty line, which some write behind the answer before
    return text.find(b"\r\n\r\n", start) + 4 if text.startswith(_SPOKEN, start) else 0
