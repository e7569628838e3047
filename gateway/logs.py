"""How log lines look: JSON, one object a line, or readable ones on a terminal. Always on stderr."""

from __future__ import annotations

import sys

import structlog


def configure_logs(*, json: bool = False) -> None:
    """Set up structlog for this process; ``json`` asks for JSON on a terminal, too. Control
    characters in values are escaped either way.
    """
    readable = sys.stderr.isatty() and not json
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
