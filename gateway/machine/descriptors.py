"""What the kernel says of files and sockets: how many there may be, and what waits in one."""

from __future__ import annotations

import resource
import sys
import termios
from fcntl import ioctl
from typing import Final

# Kept from clients, for connections to workers, files and the admin port: a quarter, but no more.
_RESERVED: Final = 2048


def raise_limit() -> int:
    """Allow this process all that it may allow itself; the number. Processes it starts inherit it.

    The soft limit of most systems, 1,024, is there for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # a kernel that allows less than it says
            return soft
    return hard


def waiting_in(descriptor: int) -> int:
    """Bytes written to a socket that its other side has not taken (tcp(7), SIOCOUTQ)."""
    try:
        return int.from_bytes(ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def room_for_clients() -> int:
    """Connections of clients that leave enough descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - min(_RESERVED, soft // 4)
