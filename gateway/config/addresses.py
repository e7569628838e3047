"""The addresses in ``routing.yaml``: hosts, endpoints of versions, webhooks.

Like ``quantities``: a text in, a value out, or ValueError with a sentence for the operator. Only
what was written is judged; no name is resolved.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gateway.config.quantities import quoted
from gateway.model import Endpoint, Tls
from gateway.security.offlimits import METADATA_HOSTS, off_limits

_HOST_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*")
# Resolvers take `2852039166`, `0xa9fea9fe` and `169.254.43518` for addresses, too.
_NUMERIC_HOST: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([1-9][0-9]{0,4}))?")
_PORTS: Final = {"http": 80, "https": 443}
_WEBHOOK: Final = re.compile(r"https?://([^/?#]*)(?:[/?][!-\"$-~]*)?")


def host(text: str) -> str:
    """The name or address a client asks for, lower-case."""
    if re.fullmatch(r"[^:]+:[0-9]*|\[.*\]:[0-9]*", text):
        raise ValueError(f"{quoted(text)} has a port; write the host alone")
    return _host(text)[0]


def endpoint(text: str) -> Endpoint:
    """``http://host:port``, ``https://host:port`` or ``unix:/absolute/path``."""
    if text.startswith("unix:"):
        return _socket(text)
    if "@" in text:
        raise ValueError(f"{quoted(text)} carries credentials; write only http://host:port")
    scheme, separator, authority = text.partition("://")
    if not separator or scheme not in _PORTS:
        raise ValueError(
            f"{quoted(text)} is not an address; "
            "write http://host:port, https://host:port or unix:/absolute/path"
        )
    for mark, what in (("/", "a path"), ("?", "a query"), ("#", "a fragment")):
        if mark in authority:
            raise ValueError(
                f"{quoted(text)} has {what}; write only {scheme}://host:port, "
                "the client's own is passed on"
            )
    bracketed, port = _authority(authority, _PORTS[scheme])
    tls = Tls() if scheme == "https" else None
    return Endpoint(f"{scheme}://{bracketed}:{port}", bracketed.strip("[]"), port, tls=tls)


def certificate_file(text: str) -> str:
    """The absolute path of a file; whether it can be used is not judged here."""
    if not text.startswith("/") or text.endswith("/"):
        raise ValueError(f"{quoted(text)} is no absolute path; write such as /etc/canary/ca.pem")
    return text


def log_file(text: str) -> str:
    """The absolute path of a file of lines."""
    if not text.startswith("/") or text.endswith("/"):
        example = "/var/log/canary/predictions.jsonl"
        raise ValueError(f"{quoted(text)} is no absolute path; write such as {example}")
    return text


def server_name(text: str) -> str:
    """The name or address that stands in a certificate, lower-case and without brackets."""
    return host(text).strip("[]")


def webhook(text: str) -> str:
    """The URL that is told of events. It is often a secret: no message quotes it."""
    found = re.fullmatch(_WEBHOOK, text)
    if found is None or "@" in found[1]:
        raise ValueError(
            "this is not the URL of a webhook; write http:// or https:// and a host, "
            "without credentials, spaces and fragment"
        )
    _authority(found[1])
    return text


def _socket(text: str) -> Endpoint:
    place = text.removeprefix("unix:")
    if not place.startswith("/") or place.startswith("//"):
        raise ValueError(f"{quoted(text)} names no absolute path; write such as unix:/run/v1.sock")
    if len(place.encode()) > 107:
        raise ValueError(f"{quoted(text)} is too long for a socket; write at most 107 bytes")
    return Endpoint(f"unix:{place}", socket=place)


def _authority(text: str, default: int = 0) -> tuple[str, int]:
    """Host (in brackets if IPv6) and port of a URL, if a connection may go there."""
    found = re.fullmatch(_AUTHORITY, text)
    port = int(found[2] or default) if found else 0
    if found is None or port > 65535:
        raise ValueError(
            f"{quoted(text)} is not a host and port; write host:port, [IPv6]:port or a host, "
            "the port from 1 to 65535"
        )
    host, address = _host(found[1])
    if host in METADATA_HOSTS or (address and off_limits(address)):
        raise ValueError(
            f"{quoted(host)} is a link-local, metadata, multicast or unspecified address, "
            "which traffic must not go to; write the address of a server"
        )
    return host, port


def _host(text: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    """A host, lower-case, and its address if it is one."""
    lower = text.lower()
    try:
        if lower.startswith("[") and lower.endswith("]") and "%" not in lower:
            address = IPv6Address(lower[1:-1])
            return f"[{address}]", address
        if _NUMERIC_HOST.fullmatch(lower):
            return lower, IPv4Address(lower)
    except ValueError:
        pass
    else:
        if _HOST.fullmatch(lower) and len(lower) <= 253:
            return lower, None
    remedy = "write a name, an IPv4 address, or an IPv6 address in brackets"
    raise ValueError(f"{quoted(text)} is not a host; {remedy}")
