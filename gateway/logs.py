"""Log lines: JSON, one object a line, or readable ones on a terminal. Always on stderr.

Ours and not a library's: structlog brings rich, pygments and five megabytes into every process that
serves, for these two formats. A line is written in one piece and is never longer than PIPE_BUF, so
that lines of several processes (and threads) stay apart on a pipe, too: POSIX, write().
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from types import TracebackType
from typing import Any, Final

LONGEST_LINE: Final = 4096  # bytes with the line end: PIPE_BUF of Linux
_SHORTENED: Final = 40  # characters; a value is never cut to less
_MOST: Final = 12  # numbers by name in one value, so that a line stays short

_readable = False
# Re-entrant: a finalizer may log while this thread writes a line.
_writing = threading.RLock()


def configure_logs(*, json: bool = False) -> None:
    """Choose for this process; ``json`` asks for JSON on a terminal, too. Control characters in
    values are escaped either way.
    """
    global _readable
    _readable = sys.stderr.isatty() and not json


def json_wanted() -> bool:
    """What was chosen, for processes that this one starts."""
    return not _readable


@dataclass(frozen=True, slots=True)
class Log:
    """What happened, in a few words that never change, and the values that do."""

    values: tuple[tuple[str, Any], ...] = ()

    def bind(self, **values: Any) -> Log:
        """One that says these with every line."""
        return Log((*self.values, *values.items()))

    def info(self, event: str, /, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, /, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, /, **values: Any) -> None:
        self._write("error", event, values)

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        told = {**dict(self.values), **values}
        # Nobody's request ends with a log that cannot be written.
        with suppress(OSError, ValueError, RuntimeError):
            _put(_line(level, event, {name: _plain(value) for name, value in told.items()}))


def adopt_others() -> None:
    """From now on what libraries log, warnings, and exceptions that nobody caught are lines like
    the others: a traceback would be many.
    """
    root = logging.getLogger()
    root.handlers = [_Adopted()]
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(
        told.exc_type, told.exc_value, told.exc_traceback, getattr(told.thread, "name", "")
    )
    sys.unraisablehook = lambda told: _uncaught(
        told.exc_type, told.exc_value, told.exc_traceback, told.err_msg or ""
    )


class _Adopted(logging.Handler):
    """A record of :mod:`logging` as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # wrong arguments are a mistake of who logs, and no reason to be silent
            message = str(record.msg)
        level = "error" if record.levelno >= logging.ERROR else "warning"
        level = level if record.levelno >= logging.WARNING else "info"
        told = {"logger": record.name, "message": message}
        if record.exc_info and record.exc_info[1] is not None:
            told["traceback"] = _trace(record.exc_info[1])
        Log()._write(level, "told by a library", told)


def _uncaught(
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
    where: str = "",
) -> None:
    told = {"error": f"{kind.__name__}: {error}", "where": where}
    if error is not None:
        told["traceback"] = _trace(error.with_traceback(trace))
    Log().error("nobody caught this", **told)


def readable(lines: bytes) -> bytes:
    """Lines of JSON objects as a person reads them."""
    told = (json.loads(line) for line in lines.splitlines())
    shown = "".join(f"{_shown(one.pop('timestamp', ''))}{_pairs(_given(one))}\n" for one in told)
    return shown.encode("utf-8", "backslashreplace")


def _given(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


def _pairs(told: dict[str, Any]) -> str:
    return "".join(f" {_shown(name)}={_shown(value)}" for name, value in told.items())


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _line(level: str, event: str, told: dict[str, Any]) -> bytes:
    """The line, its longest values shortened until it fits."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    while True:
        if _readable:
            words = event if event.isprintable() else repr(event)
            text = f"{now} [{level:<7}] {words:<16}{_pairs(told)}"
        else:
            text = json.dumps({**told, "event": event, "level": level, "timestamp": now})
            text = text.replace("\x7f", "\\u007f")  # the one control character JSON lets through
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        excess = len(line) - LONGEST_LINE
        name, longest = max(
            ((name, value) for name, value in told.items() if isinstance(value, str)),
            key=lambda pair: len(pair[1]),
            default=("", ""),
        )
        if excess <= 0 or len(longest) <= 2 * _SHORTENED:
            return line
        told[name] = _shortened(longest, max(_SHORTENED, len(longest) - excess, len(longest) // 4))


def _shortened(text: str, size: int) -> str:
    """Beginning and end: that of a traceback says most."""
    left = max(_SHORTENED, size - 2 * _SHORTENED)
    head = left // 3
    return f"{text[:head]} [... of {len(text)} characters ...] {text[len(text) - (left - head) :]}"


def _plain(value: Any) -> Any:
    """What JSON has a form for; everything else as text."""
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is dict and len(value) <= _MOST and all(map(_is_plain, value.items())):
        return value
    if type(value) is float and isfinite(value):
        return value
    if isinstance(value, str):
        return str(value)
    try:
        return repr(value)
    except Exception as error:  # of somebody else's making
        return f"<{type(value).__name__} without a form: {type(error).__name__}>"


def _is_plain(pair: tuple[object, object]) -> bool:
    """A short name, and a number."""
    name, value = pair
    short = type(name) is str and len(name) <= 2 * _SHORTENED and name.isascii()
    return short and (type(value) is int or (type(value) is float and isfinite(value)))


def _put(line: bytes) -> None:
    """In one system call, where the stream is a file."""
    with _writing:
        stream = sys.stderr
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            stream.write(line.decode())
            stream.flush()
        else:
            stream.flush()  # what somebody else has left there comes first
            os.write(descriptor, line)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        value = ",".join(f"{name}:{number}" for name, number in value.items())
    text = str(value)
    return text if text.isprintable() and " " not in text and text else repr(text)
