"""What a supervisor and its members say to each other: small JSON messages, descriptors attached.

Over a pair of Unix sockets that keep messages apart (SOCK_SEQPACKET). Nobody waits for the other:
what does not fit is lost, and who does not answer in time is ended. The end of the one is an end of
file for the other, however it ended.

    supervisor -> member    take  (serial, addresses, regions; ledger, config, marks)    drain ()
                            certify (; key and certificate)
    member -> supervisor    hello ()    taken (serial)    settled (serial)    drained (cut)
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec

from gateway.machine.port import Address
from gateway.model import RoutingConfig

_LARGEST: Final = 64 * 1024  # bytes of a message; they have a hundred
_DESCRIPTORS: Final = 3


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """``what`` is one of the words above. ``regions`` are where users are marked, for each route
    whose users stick, in the order of the file.
    """

    what: str
    serial: int = 0
    addresses: tuple[Address, ...] = ()
    cut: int = 0
    regions: tuple[int, ...] = ()


Heard = Callable[[Message, list[int]], object]
"""Takes a message and its descriptors, which are the hearer's to close."""


class Channel:
    """One end of the pair. ``ended`` is called once, when the other end is gone."""

    def __init__(self, sock: socket.socket, heard: Heard, ended: Callable[[], object]) -> None:
        self._sock = sock
        self._heard = heard
        self._ended = ended
        self._decoder = msgspec.json.Decoder(Message)
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)

    def send(self, message: Message, descriptors: Iterable[int] = ()) -> None:
        """Say it, if the other end can hear it."""
        with suppress(OSError):  # full, or gone: its silence, or its end, will be noticed
            socket.send_fds(self._sock, [msgspec.json.encode(message)], list(descriptors))

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._sock, _LARGEST, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if data:
            self._heard(self._decoder.decode(data), descriptors)
        else:
            self.close()
            self._ended()


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends, not connected to a loop yet."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def pack(config: RoutingConfig) -> int:
    """A checked file in a memory file; its descriptor, which the caller closes. What was parsed
    once is served everywhere, and a member needs no parser.
    """
    return write(msgspec.json.encode(config))


def unpack(descriptor: int) -> RoutingConfig:
    """What :func:`pack` put there."""
    content: Any = read(descriptor)
    return msgspec.json.decode(content, type=RoutingConfig)


def write(content: bytes) -> int:
    """A memory file that holds this; its descriptor, which the caller closes."""
    descriptor = os.memfd_create("canary-control", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return descriptor


def read(descriptor: int) -> bytes:
    """What :func:`write` put there."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
