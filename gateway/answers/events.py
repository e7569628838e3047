"""Reading the prediction out of an event stream while it is passed on.

Lines end with LF, CR or CRLF, and may be cut anywhere; an event is what stands before an empty
line, its ``data`` fields joined (WHATWG HTML, sections 9.2.5, "Parsing an event stream", and 9.2.6,
"Interpreting an event stream"). Each event is an answer of its own: what is read of a later one
counts, as far as it is there. A model that fails after its 200 says so in an event. Reading never
raises, and keeps one event at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.answers.compression import Inflation, TooLarge
from gateway.answers.predictions import Missing, Reading

MAX_EVENT: Final = 64 * 1024  # bytes of a line, and of an event; what is longer is not read
# A piece of a compressed stream may stand for so many times its size, and MAX_EVENT bytes more:
# this runs on the request path's own loop, and a thousand times would be possible.
MAX_RATIO: Final = 32
_DONE: Final = b"[DONE]"  # the last event of a chat, which is no JSON
_MAY_FAIL: Final = b'"error"'  # a key or a value; within a text its quotes would be escaped
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # may stand before the first line


class EventReader:
    """Of one answer. ``read`` reads an event as it would a whole answer; None: nobody looks for a
    prediction. ``inflation`` decompresses the stream, where it is compressed. ``failed``: the model
    has said that it failed; ``over``: its last event has come, and who leaves now misses nothing.
    """

    __slots__ = (
        *("_begins", "_data", "_error", "_inflation", "_label", "_line", "_lost", "_missing"),
        *("_read", "_return", "_score", "_size", "_skips", "_value", "failed", "over"),
    )

    def __init__(
        self, read: Callable[[bytes], Reading] | None, inflation: Inflation | None = None
    ) -> None:
        self._read = read
        self._inflation = inflation
        self._lost = False  # what comes now cannot be decompressed any more
        self._begins = True  # no line has ended yet
        self._return = False  # the last piece ended with CR: an LF now is the other half of it
        self._line = bytearray()  # the beginning of one that has not ended
        self._skips = False  # that one is too long
        self._data: list[bytes] = []  # of the event that has not ended
        self._size = 0  # of its lines of data, in bytes
        self._error = False  # that is its name
        self._label: str | None = None
        self._score: float | None = None
        self._value: float | None = None
        self._missing: Missing | None = Missing.ABSENT
        self.failed = self.over = False

    @property
    def reading(self) -> Reading | None:
        """What has been found so far; None if nobody looks for it."""
        if self._read is None:
            return None
        return self._label, self._score, self._value, self._missing

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._inflation is not None:
            data = self._inflated(data, self._inflation)
        if self._return and data:
            data = data.removeprefix(b"\n")
            self._return = False
        if b"\r" in data:
            self._return = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        if lines and (self._line or self._skips):
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
            if self._skips:
                self._skips = False
                del lines[0]
        if lines and self._begins:
            self._begins = False
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        for line in lines:
            if not line:
                self._end()
            elif line.startswith(b"data:"):
                self._add(line)
            elif line.startswith(b"event:"):
                self._error = line[6:].strip() == b"error"
        if rest and not self._skips:
            self._line += rest
            if len(self._line) > MAX_EVENT:
                if self._line.removeprefix(_BYTE_ORDER_MARK).startswith(b"data:"):
                    self._size = MAX_EVENT + 1
                self._line.clear()
                self._skips, self._begins = True, False

    def _inflated(self, data: bytes, inflation: Inflation) -> bytes:
        """What was compressed; nothing from where that cannot be known."""
        if not self._lost:
            try:
                return inflation.feed(data, MAX_EVENT + MAX_RATIO * len(data))
            except TooLarge:
                self._lost = True
                self._miss(Missing.TOO_LARGE)
            except ValueError:
                self._lost = True
                self._miss(Missing.UNREADABLE)
        return b""

    def _add(self, line: bytes) -> None:
        self._size += len(line)
        if self._size <= MAX_EVENT:
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])

    def _end(self) -> None:
        """The event is whole."""
        lines, size, is_error = self._data, self._size, self._error
        self._data, self._size, self._error = [], 0, False
        if is_error and size:
            self.failed = self.over = True
        elif size > MAX_EVENT:
            self._miss(Missing.TOO_LARGE)
        elif event := b"\n".join(lines):  # one without data is none
            if event == _DONE:
                self.over = True
            elif _MAY_FAIL in event and _says_error(event):
                self.failed = self.over = True
            elif self._read is not None:
                self._look(*self._read(event))

    def _look(
        self, label: str | None, score: float | None, value: float | None, missing: Missing | None
    ) -> None:
        if label is not None:
            self._label = label
        if score is not None:
            self._score = score
        if value is not None:
            self._value = value
        if missing is None:
            self._missing = None
        elif missing is not Missing.ABSENT:
            self._miss(missing)

    def _miss(self, reason: Missing) -> None:
        """An event could not be read, which matters as long as no other one had what is looked for.
        What is our limit is no failure of the model.
        """
        if self._missing is not None and self._missing is not Missing.TOO_LARGE:
            self._missing = reason


def _says_error(event: bytes) -> bool:
    """Whether an event is an error, as OpenAI's interface and its kin tell of it: ``{"error":
    {..}}`` or ``{"object": "error", ..}``.
    """
    try:
        document = msgspec.json.decode(event)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    if type(document) is not dict:
        return False
    error = document.get("error")
    return document.get("object") == "error" or (isinstance(error, str | dict) and bool(error))
