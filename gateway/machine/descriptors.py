"""What the kernel says of files and sockets: how many there may be."""

from __future__ import annotations

import resource
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


def room_for_clients() -> int:
    """Connections of clients that leave enough descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - min(_RESERVED, soft // 4)
