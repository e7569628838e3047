"""Log lines: JSON, one object a line, or readable ones on a terminal. Always on stderr.

Ours and not a library's: structlog brings rich, pygments and five megabytes into every process that
serves, for these two formats.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_readable = False


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

    def info(self, event: str, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write("error", event, values)

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        told = {**dict(self.values), **values}
        if _readable:
            pairs = "".join(f" {name}={_shown(value)}" for name, value in told.items())
            line = f"{now} [{level:<7}] {event:<16}{pairs}"
        else:
            whole = {**told, "event": event, "level": level, "timestamp": now}
            line = json.dumps(whole, default=repr)
        # Written at once: several processes share the stream. Nobody's request ends with it.
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text and text else repr(value)
