"""The token of the admin port: where it comes from, and what keeps it out of sight.

From a file or from the environment, never from the command line, which everybody on a machine can
read (``ps``). A file is read anew when it has changed, so a token is exchanged without a restart.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError
from gateway.logs import Log

TOKEN_VARIABLE: Final = "CANARY_ADMIN_TOKEN"
FILE_VARIABLE: Final = "CANARY_ADMIN_TOKEN_FILE"
SHORTEST: Final = (
    16  # characters; `python -c 'import secrets; print(secrets.token_hex(32))'` has 64
)
_LONGEST: Final = 4096
_FORM: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token of RFC 6750, section 2.1

log = Log()


class TokenError(GatewayError):
    """There is no token where one is needed, or it is none; the message never shows it."""


class Token:
    """What a request to the admin port has to bring."""

    def __init__(self, value: str, file: Path | None = None) -> None:
        self._value = value
        self._file = file
        self._stat: tuple[int, ...] = ()
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<Token from {self._file or TOKEN_VARIABLE}>"

    def value(self) -> str:
        """The token as of now. While its file cannot be read, or holds none, the last one stays."""
        if self._file is None:
            return self._value
        try:
            stat = os.stat(self._file)
            seen = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen != self._stat:
                self._value = _read(self._file)
                self._stat = seen
                self._trouble = ""
        except (OSError, TokenError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("admin token kept as it was", why=self._trouble)
        return self._value


def find_token(file: Path | None, environment: MutableMapping[str, str]) -> Token | None:
    """The token of ``file``, else that of the environment, else None.

    The variable is taken out of the environment: processes started from here have no use for it,
    but for one (:mod:`gateway.processes.companion`), which is given it for itself.
    Raises :class:`TokenError`.
    """
    value = environment.pop(TOKEN_VARIABLE, None)
    if file is not None:
        try:
            return Token(_read(file), file)
        except OSError as error:
            what = error.strerror or str(error)
            raise TokenError(
                f"{file}: the token of the admin port cannot be read ({what}); "
                "put a readable file there"
            ) from error
    return None if value is None else Token(_checked(value, TOKEN_VARIABLE))


def _read(file: Path) -> str:
    """Raises OSError and :class:`TokenError`."""
    if file.exists() and not file.is_file():
        raise TokenError(f"{file}: it is not a regular file; put the token of the admin port there")
    with file.open("rb") as content:
        text = content.read(_LONGEST + 1).decode("latin-1").strip(" \t\r\n")
    return _checked(text, str(file))


def _checked(text: str, where: str) -> str:
    if len(text) < SHORTEST or len(text) > _LONGEST or not _FORM.fullmatch(text):
        raise TokenError(
            f"{where}: this is no token for the admin port: it has {len(text)} characters; write "
            f"{SHORTEST} or more of letters, digits and ._~+/- on one line, as "
            "`python3 -c 'import secrets; print(secrets.token_hex(32))'` does"
        )
    return text
