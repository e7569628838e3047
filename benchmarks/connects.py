"""A load that opens a new connection for each request: ``python -m benchmarks.connects PORT SECONDS
CONNECTIONS MESSAGE [CERTIFICATE]``, the last two are files. Every TLS handshake is a whole one: no
session is ever resumed, as with clients that were never here before.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from statistics import quantiles

_TIMEOUT = 5.0


class Client:
    """One after the other, until the end; ``took`` in microseconds, from the connect to the last
    byte.
    """

    def __init__(self, port: int, message: bytes, context: ssl.SSLContext | None) -> None:
        self._port = port
        self._message = message
        self._context = context
        self.took: list[float] = []
        self.failed = 0

    def run(self, end: float) -> None:
        while (start := time.perf_counter()) < end:
            try:
                good = self._ask().startswith(b"HTTP/1.1 200 ")
            except OSError:
                good = False
            self.took.append((time.perf_counter() - start) * 1e6)
            self.failed += not good

    def _ask(self) -> bytes:
        """The whole answer, after which the other side closes."""
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT)
        with plain if self._context is None else self._secured(plain) as connection:
            connection.sendall(self._message)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def _secured(self, plain: socket.socket) -> ssl.SSLSocket:
        assert self._context is not None
        with plain:  # which holds nothing any more once it is wrapped
            return self._context.wrap_socket(plain, server_hostname="127.0.0.1")


def closing(message: bytes) -> bytes:
    """The request, but as the last one on its connection."""
    return message.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def main(port: str, seconds: str, connections: str, message: str, certificate: str = "") -> None:
    context = ssl.create_default_context(cafile=certificate) if certificate else None
    request = closing(Path(message).read_bytes())
    clients = [Client(int(port), request, context) for _ in range(int(connections))]
    start = time.perf_counter()
    threads = [
        threading.Thread(target=client.run, args=(start + float(seconds),)) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = [one for client in clients for one in client.took]
    hundredths = quantiles(took, n=100)
    print(
        json.dumps(
            {
                "requests": len(took),
                "seconds": time.perf_counter() - start,
                "p50": hundredths[49],
                "p99": hundredths[98],
                "failed": sum(client.failed for client in clients),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
