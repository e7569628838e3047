"""Ports of this machine for what has to be told a number beforehand."""

from __future__ import annotations

import socket
from contextlib import suppress
from random import SystemRandom
from typing import Final

# Below those that the kernel gives to connections, of which the tests have thousands: one that was
# free a moment ago may be the near end of a connection by the time somebody listens.
_ELSEWHERE: Final = range(15_000, 32_000)
_random: Final = SystemRandom()  # other processes look for some, too


def free_port() -> int:
    """One that nobody listens at."""
    while True:
        port = _random.choice(_ELSEWHERE)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
