"""Where to listen: an address as given, and ports that several processes share.

Processes share a port by SO_REUSEPORT, and so would a second gateway that was started on it by
mistake: each would get half of the clients. So whoever begins a group takes the port alone first,
then keeps it with a socket that lets only those in who ask for SO_REUSEPORT; and nobody asks for
that who has not had the port alone before.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 asks for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Ports kept for those who share them. Nobody listens on these sockets."""

    addresses: tuple[Address, ...]
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def reserve(wanted: Address) -> Reservation:
    """Keep every address the host stands for. Raises OSError if anybody has one of them."""
    found: list[Address] = []
    with ExitStack() as undo:
        kept: list[socket.socket] = []
        for host in _hosts(wanted):
            try:
                one, address = _reserve(host, wanted.port)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT and kept:
                    continue  # a name with an IPv6 address on a machine without IPv6
                raise
            undo.callback(one.close)
            kept.append(one)
            found.append(address)
        undo.pop_all()
    return Reservation(tuple(found), tuple(kept))


def shared(address: Address) -> socket.socket:
    """A socket bound to a reserved address. Raises OSError."""
    return _bind(address, alone=False, reuse_address=True)


def _hosts(wanted: Address) -> list[str]:
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _reserve(host: str, port: int) -> tuple[socket.socket, Address]:
    # Connections that a gateway before this one has closed still hold the port (TIME_WAIT), so the
    # first two must say SO_REUSEADDR. The third must not: it is what keeps out a stranger who says
    # it, while nobody listens (inet_csk_get_port of Linux; a test says so).
    with _bind(Address(host, port), alone=True, reuse_address=True) as first:
        bound = Address(host, int(first.getsockname()[1]))
        with _bind(bound, alone=False, reuse_address=True):
            return _bind(bound, alone=False, reuse_address=False), bound


def _bind(address: Address, *, alone: bool, reuse_address: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_address)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, not alone)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address.host, address.port))
    except OSError as error:
        one.close()
        what = f"error while attempting to bind on address ({address.host!r}, {address.port})"
        why = os.strerror(error.errno or 0).lower()
        raise OSError(error.errno, f"{what}: {why}") from None
    return one
