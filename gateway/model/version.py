"""Who may answer: versions, the addresses of their workers, and how a request comes to one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FULL_WEIGHT = 10_000  # basis points: 100 %


class Role(StrEnum):
    """What a version is in its route; the metric label ``role``."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    SHADOW = "shadow"


class Assignment(StrEnum):
    """How a request came to its version; the metric label and the header ``X-Assignment``."""

    WEIGHTED = "weighted"
    STICKY = "sticky"
    FORCED = "forced"
    FALLBACK = "fallback"


def in_place_of(version: str) -> str:
    """The way of an answer given in place of this version's; of all others it is the assignment."""
    return f"{Assignment.FALLBACK}/{version}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a worker must prove to be: ``ca`` is the file of who may vouch for it (empty: whom the
    system trusts), ``server_name`` the name in its certificate (empty: the host of its URL).
    """

    ca: str = ""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a version: ``http://host:port``, ``https://host:port`` (then with ``tls``) or
    ``unix:/path`` (then ``host`` is empty and ``port`` 0).
    """

    url: str
    host: str = ""
    port: int = 0
    socket: str = ""
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One model version. ``weight`` is 0 for stable, whose share is whatever the candidates
    leave; ``readiness`` is the path at which an endpoint says that it is ready (empty: nobody
    asks).
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    weight: int = 0
    readiness: str = ""
