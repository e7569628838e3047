"""Reading the prediction out of an event stream while it is passed on.

Lines end with LF or CRLF, and may be cut anywhere; an event is what stands before an empty line,
its ``data`` fields joined (WHATWG HTML, section 9.2.6, "Interpreting an event stream"). Each event
is an answer of its own: what is read of a later one counts, as far as it is there. A model that
fails after its 200 says so in an event. Reading never raises, and keeps one event at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.answers.predictions import Missing, Reading

MAX_EVENT: Final = 64 * 1024  # bytes of a line, and of an event; what is longer is not read
_DONE: Final = b"[DONE]"  # the last event of a chat, which is no JSON
_MAY_FAIL: Final = b'"error"'  # a key or a value; within a text its quotes would be escaped


class EventReader:
    """Of one answer. ``read`` reads an event as it would a whole answer. ``failed``: the model has
    said that it failed; ``over``: its last event has come, and who leaves now misses nothing.
    """

    __slots__ = (
        *("_data", "_error", "_label", "_line", "_missing", "_read", "_score", "_size"),
        *("_skips", "_value", "failed", "over"),
    )

    def __init__(self, read: Callable[[bytes], Reading]) -> None:
        self._read = read
        self._line = bytearray()  # the beginning of one that has not ended
        self._skips = False  # that one is too long
        self._data: list[bytes] = []  # of the event that has not ended
        self._size = 0  # of it, in bytes
        self._error = False  # that is its name
        self._label: str | None = None
        self._score: float | None = None
        self._value: float | None = None
        self._missing: Missing | None = Missing.ABSENT
        self.failed = self.over = False

    @property
    def reading(self) -> Reading:
        """What has been found so far."""
        return self._label, self._score, self._value, self._missing

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *lines, rest = data.split(b"\n")
        if lines and (self._line or self._skips):
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
            if self._skips:
                self._skips = False
                del lines[0]
        for line in lines:
            if len(line) > MAX_EVENT:
                self._size = MAX_EVENT + 1
                continue
            if line.endswith(b"\r"):
                line = line[:-1]
            if not line:
                self._end()
            elif line.startswith(b"data:"):
                self._add(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                self._error = line[6:].strip() == b"error"
        if rest and not self._skips:
            self._line += rest
            if len(self._line) > MAX_EVENT:
                self._line.clear()
                self._skips = True
                self._size = MAX_EVENT + 1

    def _add(self, data: bytes) -> None:
        self._size += len(data) + 1
        if self._size <= MAX_EVENT:
            self._data.append(data)

    def _end(self) -> None:
        """The event is whole."""
        lines, size, is_error = self._data, self._size, self._error
        self._data, self._size, self._error = [], 0, False
        if size > MAX_EVENT:
            self._miss(Missing.TOO_LARGE)
        elif lines:
            event = lines[0] if len(lines) == 1 else b"\n".join(lines)
            if event == _DONE:
                self.over = True
            elif is_error or (_MAY_FAIL in event and _says_error(event)):
                self.failed = self.over = True
            else:
                self._look(event)

    def _look(self, event: bytes) -> None:
        label, score, value, missing = self._read(event)
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
