"""What one process writes down of its requests, and where: everything about it put together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from secrets import token_hex
from time import time
from typing import Final

from gateway.counting.ledger import Ledger
from gateway.writing.logbook import Logbook, Write
from gateway.writing.logfile import Files
from gateway.writing.scribe import AccessLog, Scribe

SECRET: Final = "CANARY_LOG_KEY"
"""The variable with what users' keys are hashed with."""


def secret_of(environment: Mapping[str, str]) -> str:
    """What the operator says, or else one that nobody knows and that ends with this gateway."""
    return environment.get(SECRET) or token_hex(32)


class Records:
    """One per serving process. ``number`` is its own, where there are several; ``write`` is what
    its lines are written with, files by default.
    """

    def __init__(
        self,
        secret: str,
        access: AccessLog | None = None,
        number: int | None = None,
        write: Write | None = None,
    ) -> None:
        self._book = Logbook(write or Files(time, number).write)
        self.scribe = Scribe(self._book, _now, secret.encode("utf-8", "surrogateescape"), access)

    def sweep(self, ledger: Ledger) -> None:
        """Have written what has come, and count what was lost."""
        self._book.sweep(ledger)

    async def close(self) -> None:
        """Write what waits, with a deadline."""
        await self._book.close()


def _now() -> datetime:
    return datetime.now(UTC)
