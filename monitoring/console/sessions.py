"""Who has shown the token, as a cookie that only this process can write.

A session is ``EXPIRES.NONCE.MAC``: HMAC-SHA-256 (RFC 2104) under a key of the process, over the
token as well, so that sessions end where the process does, and where the token is exchanged.
"""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

LIFETIME: Final = 12 * 3600  # seconds
_FORM: Final = re.compile(r"(([0-9]{1,12})\.[0-9a-f]{32})\.([0-9a-f]{64})")


class Sessions:
    """Begun, checked and ended. Times are Unix time."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ended: dict[str, int] = {}  # by body, until when they would have lasted

    def begin(self, token: str, now: float, nonce: bytes) -> str:
        """A session for who has shown ``token``; ``nonce`` are 16 bytes that never came before."""
        body = f"{int(now) + LIFETIME}.{nonce.hex()}"
        return f"{body}.{self._mac('session', token, body)}"

    def lasts(self, session: str, token: str, now: float) -> bool:
        """Whether it was begun here with this token, and has not ended."""
        found = _FORM.fullmatch(session)
        if found is None or not compare_digest(found[3], self._mac("session", token, found[1])):
            return False
        return now < int(found[2]) and found[1] not in self._ended

    def end(self, session: str, now: float) -> None:
        """Of one that lasts: it does no longer, wherever its cookie is kept."""
        self._ended = {body: until for body, until in self._ended.items() if until > now}
        body = session.rpartition(".")[0]
        self._ended[body] = int(body.partition(".")[0])

    def form_token(self, session: str) -> str:
        """What a form has to bring that was made in this session; ``""``: in none."""
        return self._mac("form", session)

    def _mac(self, *parts: str) -> str:
        return digest(self._key, "\n".join(parts).encode(), sha256).hex()
