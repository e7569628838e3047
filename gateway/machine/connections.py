"""What of a connection only the kernel knows: what waits in it, and how its end looks to its other
side. Of connections that are not lost yet: then the descriptor may be somebody else's.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import termios
from fcntl import ioctl
from typing import Final

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger for 0 seconds (socket(7))
_ORDINARY: Final = struct.pack("ii", 0, 0)


def waiting_in(transport: asyncio.Transport) -> int:
    """Bytes written to the socket that its other side has not taken (tcp(7), SIOCOUTQ)."""
    wire = transport.get_extra_info("socket")
    if wire is None:
        return 0
    try:
        return int.from_bytes(ioctl(wire.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def resets_at_end(transport: asyncio.Transport, on: bool) -> None:
    """Whether the connection is reset when it ends, for whatever reason, this process's own end
    included: nobody takes that for the end of an answer.
    """
    wire = transport.get_extra_info("socket")
    if wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE if on else _ORDINARY)
