"""A loop that looks names up in time, and knows where traffic must not go.

The library's own lookups cannot be given up: its thread is waited for at the end of the process,
for as long as a dead name server takes. Here each has a thread that nobody waits for. And a name
is judged by what it stands for at that moment: what ``routing.yaml`` may not say, a name server may
not say either.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

from gateway.security.offlimits import literal, off_limits


class NotAllowed(OSError):
    """A name stands for nothing but addresses that traffic must not go to."""


class LookupLoop(asyncio.SelectorEventLoop):
    """An event loop in which whoever connects to a name connects to an allowed address."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """As ``socket.getaddrinfo``. Raises :class:`NotAllowed`, and other OSErrors."""
        found: asyncio.Future[Any] = self.create_future()

        def tell(addresses: Any, error: Exception | None) -> None:
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses, error = None, None
            try:
                addresses = socket.getaddrinfo(host, port, **options)
            except Exception as problem:
                error = problem
            with suppress(RuntimeError):  # the loop is closed: nobody waits for this any more
                self.call_soon_threadsafe(tell, addresses, error)

        try:
            threading.Thread(target=look_up, name="name lookup", daemon=True).start()
        except RuntimeError as problem:
            raise OSError(str(problem)) from problem
        addresses = await found
        allowed = [one for one in addresses if not _forbidden(str(one[4][0]))]
        if not allowed:
            raise NotAllowed("its name stands for an address that traffic must not go to")
        return allowed


def _forbidden(text: str) -> bool:
    address = literal(text)
    return address is None or off_limits(address)
