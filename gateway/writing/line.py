"""What a request leaves in a log: one line of JSON, and which requests leave one.

A line is ASCII without control characters, whatever clients and models say: everything else is the
escape that JSON has for it, so that no value forges a line, whoever takes what for the end of one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

import msgspec

from gateway.model import FULL_WEIGHT
from gateway.routing.split import bucket_of

MAX_FEATURES: Final = 16 * 1024  # bytes of a body that is written down: compacting it takes 50 us
MAX_PATH: Final = 512  # characters of a path
MAX_TEXT: Final = 256  # characters of a prediction

_SALT: Final = b"log"
_UNSAFE: Final = re.compile("[^\x20-\x7e]")
_NETWORKS: Final = {4: 24, 6: 48}  # bits of an address that are told


class Features(StrEnum):
    """Why a line that should have them has no features."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"


class PredictionLine(msgspec.Struct, gc=False):
    """One request and its prediction. ``seconds`` is what the client waited, ``upstream_seconds``
    what the version took; what may be missing is null.
    """

    timestamp: datetime
    request_id: str
    route: str
    assigned: str
    version: str
    assignment: str
    user: str | None
    prediction: str | None
    score: float | None
    missing: str | None
    status: int
    reason: str | None
    cause: str | None
    seconds: float
    upstream_seconds: float
    generation: str
    value: float | msgspec.UnsetType = msgspec.UNSET
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    features_missing: str | msgspec.UnsetType = msgspec.UNSET


class AccessLine(msgspec.Struct, gc=False):
    """One request, whether a version was asked or not. ``client`` is a network and no address."""

    timestamp: datetime
    request_id: str
    client: str | None
    method: str | None
    path: str | None
    route: str | None = None
    assigned: str | None = None
    version: str | None = None
    assignment: str | None = None
    status: int = 0
    reason: str | None = None
    cause: str | None = None
    seconds: float | None = None
    upstream_seconds: float | None = None
    overhead_seconds: float | None = None
    request_bytes: int = 0
    response_bytes: int | None = None


_encode: Final = msgspec.json.Encoder().encode


def line_of(said: PredictionLine | AccessLine) -> bytes:
    """With its end. Half a character (a lone surrogate) is taken for no text: UnicodeEncodeError is
    raised.
    """
    line = _encode(said)
    if not line.isascii() or b"\x7f" in line:
        line = _UNSAFE.sub(_escape, line.decode()).encode()
    return line + b"\n"


def is_sampled(request_id: bytes, share: int) -> bool:
    """Whether this request is among ``share`` basis points of all: the same wherever it is asked,
    and who is in a smaller share is in each larger one.
    """
    return share == FULL_WEIGHT or bucket_of(_SALT, request_id) < share


def features_of(
    chunks: Sequence[bytes], *, streamed: bool = False
) -> tuple[msgspec.Raw | None, Features | None]:
    """The body of a request as it came but for the space between its parts; or why it is not
    written down.
    """
    if streamed or sum(map(len, chunks)) > MAX_FEATURES:
        return None, Features.TOO_LARGE
    try:
        compact = msgspec.json.format(b"".join(chunks), indent=-1)
        compact.decode()  # in texts anything may stand so far
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None, Features.NOT_JSON
    return msgspec.Raw(compact), None


def rounded(seconds: float) -> float:
    """To the microsecond; round() costs twice as much."""
    return int(seconds * 1e6 + 0.5) / 1e6


def text_of(value: bytes, most: int = MAX_TEXT) -> str:
    """The beginning of what a stranger wrote."""
    return value[:most].decode("latin-1")


@lru_cache(maxsize=1024)
def network_of(origin: bytes) -> str | None:
    """Where a client is, without its last bits; ``origin`` is that of a request. None where nobody
    knows.
    """
    text = origin.partition(b"\r\n")[0].decode("latin-1")
    try:
        bits = _NETWORKS[6 if ":" in text else 4]
        return str(ip_network((text.partition("%")[0], bits), strict=False))
    except ValueError:
        return None


def _escape(found: re.Match[str]) -> str:
    """As JSON writes what stands beyond the Basic Multilingual Plane: a pair of surrogates."""
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
