"""Request targets (RFC 9112, section 3.2): what a client asked for, in any of their forms."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.errors import Refusal

_END_OF_AUTHORITY: Final = re.compile(rb"[/?#]")

# What some servers take for the end of a segment, and for a segment of dots: RFC 3986, 3.3 and 6.2;
# "\\" where files have it; ";" where parameters are cut off before dots are looked at.
_BORDER: Final = rb"(?:/|\\|%2[Ff]|%5[Cc])"
_DOTS: Final = re.compile(
    _BORDER + rb"(?:\.|%2[Ee]){1,2}(?:(?:;|%3[Bb]).*?)?(?:" + _BORDER + rb"|\Z)", re.DOTALL
)
# No part of a URL has these (RFC 3986, appendix A); "[", "]" and a lonely "%" in a query, which it
# does not have either, are what too many clients write.
_RAW: Final = re.compile(rb'["<>\\^`{|}]')
_NO_PATH: Final = re.compile(rb"\\|%00|%(?![0-9A-Fa-f]{2})")


def path_of(target: bytes) -> bytes:
    """The path, without the query; absolute form included."""
    if not target.startswith(b"/"):
        target = without_authority(target) or target
    return target.partition(b"?")[0]


def path_matches(prefix: bytes, path: bytes) -> bool:
    """Prefix match at a segment border, as Gateway API's PathPrefix."""
    if not path.startswith(prefix):
        return False
    return len(path) == len(prefix) or prefix.endswith(b"/") or path[len(prefix)] == 0x2F


def authority_of(target: bytes) -> bytes | None:
    """The host and port of an absolute-form target, which stand above the Host field (RFC 9112,
    section 3.2.2); None for a path.
    """
    if target.startswith(b"/"):
        return None
    _, separator, rest = target.partition(b"://")
    return _END_OF_AUTHORITY.split(rest, maxsplit=1)[0] if separator else None


def origin_form(target: bytes) -> bytes:
    """The target a worker gets: path and query. Raises :class:`Refusal` for anything else."""
    if 0x23 in target:  # "#"; as bytes it costs 0.13 us more
        raise Refusal(400, "bad_request", "a request target has no fragment (RFC 9112, 3.2)")
    if _is_raw(target):
        check_characters(target)
    if target.startswith(b"/"):
        return target
    bare = without_authority(target)
    if bare is None or not authority_of(target):
        sentence = "the request target must be a path, or a URL with a host"
        raise Refusal(400, "bad_request", sentence)
    return bare


@lru_cache(maxsize=1024)
def _is_raw(target: bytes) -> bool:
    return _RAW.search(target) is not None


def check_characters(target: bytes) -> None:
    """What clients must write as a percent sign and two digits. Raises :class:`Refusal`."""
    found = _RAW.search(target)
    if found is not None:
        raw = found[0].decode()
        sentence = f"a request target has no {raw} (RFC 3986): percent-encode it, %{ord(raw):02X}"
        raise Refusal(400, "bad_request", sentence)


def check_path(path: bytes) -> None:
    """A path that a worker may take for another one cannot be matched: ``/public/..%2fadmin``.
    Raises :class:`Refusal`.
    """
    if _NO_PATH.search(path):
        sentence = "a path has no backslash, no %00, and two hexadecimal digits after a percent"
        raise Refusal(400, "bad_request", sentence)
    if _DOTS.search(path):
        raise Refusal(400, "bad_request", "the path has a dot segment; send it resolved")


def without_authority(target: bytes) -> bytes | None:
    """Path and query of ``http://host/path?query``; None for anything else."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return None
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    bare = rest[end:]
    return bare if bare.startswith(b"/") else b"/" + bare
