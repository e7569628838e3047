"""How the end of a connection looks to its other side."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger for 0 seconds (socket(7))
_ORDINARY: Final = struct.pack("ii", 0, 0)


def resets_at_end(transport: asyncio.Transport, on: bool) -> None:
    """Whether the connection is reset when it ends, for whatever reason, this process's own end
    included: nobody takes that for the end of an answer.
    """
    wire = transport.get_extra_info("socket")
    if wire is not None and not transport.is_closing():  # else it may be somebody else's descriptor
        option = _AT_ONCE if on else _ORDINARY
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
