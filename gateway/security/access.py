"""May this request to the admin port pass? Values in, a refusal or nothing out.

Two kinds of strangers are kept out. Programs on other machines, by a bearer token (RFC 6750,
section 2.1); without one the port is on loopback. And pages in a browser on this machine, which
reach loopback as well: by the Host they were made to believe in (DNS rebinding), and by Origin and
Sec-Fetch-Site on whatever changes state. A page cannot send a token that it does not know, so where
there is one, any Host will do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

from gateway.errors import Refusal

Fields = Iterable[tuple[bytes, bytes]]
"""Names in lower case, values as they came."""

# For whoever asks whether we live: it has no token, and learns one word.
PROBES: Final = frozenset({"/-/healthy", "/-/ready"})
_READING: Final = frozenset({"GET", "HEAD"})
_HOST: Final = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::[0-9]+)?")
_OWN_SITE: Final = frozenset({b"same-origin", b"none"})


def refusal(
    method: str,
    path: str,
    fields: Fields,
    token: str | None,
    open_below: Collection[str] = (),
) -> Refusal | None:
    """Why a request may not pass; None: it may. ``token`` is what it has to bring, None where none
    is demanded, which only a port on loopback may do. What lies below ``open_below`` (``/pages/``)
    everybody may read, as the probes.
    """
    if method in _READING and (path in PROBES or path.startswith(tuple(open_below))):
        return None
    known = by_name(fields)
    hosts = known.get(b"host", [])
    if token is not None and not brings(known, token):
        return Refusal(
            401, "unauthorized", "this needs the header 'Authorization: Bearer' with the token"
        )
    if len(hosts) != 1:
        return Refusal(400, "bad_request", "a request has one Host field (RFC 9112, section 3.2)")
    if token is None and not is_loopback(host_of(hosts[0])):
        return Refusal(
            403, "forbidden", "without a token this answers to localhost and loopback addresses"
        )
    if method in _READING:
        return None
    if from_another_site(known, hosts[0]):
        return Refusal(403, "forbidden", "a page of another origin may not change anything here")
    if _has_body(known) and not _is_json(known):
        return Refusal(415, "unsupported_media_type", "a body has to be application/json")
    return None


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written in an address, is this machine and cannot be another one."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(value: bytes) -> str:
    """The host in a Host field, without port and brackets; empty if it is none."""
    found = _HOST.fullmatch(value.decode("latin-1"))
    return "" if found is None else found[1] or found[2]


def by_name(fields: Fields) -> dict[bytes, list[bytes]]:
    """All values of each field, in their order."""
    known: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        known.setdefault(name, []).append(value)
    return known


def brings(known: dict[bytes, list[bytes]], token: str) -> bool:
    """Whether the fields hold the token, as RFC 6750 has it."""
    given = known.get(b"authorization", [])
    scheme, _, credentials = (given[0] if len(given) == 1 else b"").partition(b" ")
    # How long the right one is can be learned by timing, what it is cannot.
    right = compare_digest(credentials.strip(b" "), token.encode())
    return right and scheme.lower() == b"bearer"


def from_another_site(known: dict[bytes, list[bytes]], host: bytes) -> bool:
    """Whether a browser says so of a request to ``host``. Programs send neither of the two
    fields.
    """
    if not set(known.get(b"sec-fetch-site", [])) <= _OWN_SITE:
        return True
    own = {b"http://" + host.lower(), b"https://" + host.lower()}
    return not {origin.lower() for origin in known.get(b"origin", [])} <= own


def _has_body(known: dict[bytes, list[bytes]]) -> bool:
    return b"transfer-encoding" in known or known.get(b"content-length", [b"0"]) != [b"0"]


def _is_json(known: dict[bytes, list[bytes]]) -> bool:
    types = [value.partition(b";")[0].strip().lower() for value in known.get(b"content-type", [])]
    return types == [b"application/json"]
