"""Whose a request to the admin port is, by its first bytes: the gateway's, or the console's.

The console's is only what nobody can read otherwise: an origin-form target (RFC 9112, section
3.2.1) whose segments mean the same before and after decoding, in a head of whole lines, with a body
whose length is said in digits. The gateway answers everything else itself: with what it serves
there, or with the 400, 401 or 404 that it has for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote_to_bytes

LARGEST: Final = 64 * 1024  # bytes, head and body: as large as a request to the gateway may be

_BEGINNINGS: Final = (b"GET /", b"HEAD /", b"POST /")
_LINE: Final = re.compile(rb"(?:GET|HEAD|POST) (/[!-~]*) HTTP/1\.[01]")
_PATH: Final = re.compile(
    rb"/(?:([\w.~-]+)((?:/(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*))?", re.ASCII
)
_DOTS: Final = frozenset({b"", b".", b".."})
_PART: Final = re.compile(rb"[^/\\\x00-\x1f\x7f]+")
_FIELD: Final = re.compile(rb"([\w!#$%&'*+.^`|~-]+):([\t -~\x80-\xff]*)", re.ASCII)
_LENGTH: Final = re.compile(rb"[0-9]{1,6}")


def length_for_console(data: bytes, own: Collection[str]) -> int | None:
    """How long the request is that begins ``data``, in bytes with its body, if it is for the
    console; 0 if it is the gateway's; None if that cannot be said yet.

    ``own`` are the first segments of the gateway's paths, in lower case.
    """
    if not any(data.startswith(one) or one.startswith(data) for one in _BEGINNINGS):
        return 0
    unknown = None if len(data) <= LARGEST else 0
    line, ended, _ = data.partition(b"\r\n")
    if not ended:
        return unknown
    if not _is_for_console(line, own):
        return 0
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return unknown
    body = _length_of_body(data[len(line) + 2 : end])
    if body is None or end + 4 + body > LARGEST:
        return 0
    return end + 4 + body


def _is_for_console(line: bytes, own: Collection[str]) -> bool:
    """By a request line without its end."""
    found = _LINE.fullmatch(line)
    path = None if found is None else _PATH.fullmatch(found[1].partition(b"?")[0])
    if path is None:
        return False
    first, rest = path[1], path[2]
    if first is None:
        return True  # the root
    parts = [unquote_to_bytes(part) for part in rest.split(b"/")[1:]]
    if first in _DOTS or not all(_PART.fullmatch(part) for part in parts):
        return False
    return not _DOTS & {*parts} and first.decode().lower() not in own


def _length_of_body(fields: bytes) -> int | None:
    """None if it is not said in so many digits, or if this is not how fields are written."""
    lengths = []
    for line in fields.split(b"\r\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name, value = field[1].lower(), field[2].strip(b" \t")
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            lengths.append(value)
    if not lengths:
        return 0
    return int(lengths[0]) if len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]) else None
