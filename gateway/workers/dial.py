"""Opens connections to workers: over TCP or a Unix socket, with TLS where the file says so, and
only to addresses that traffic may go to.

A name is judged by what it stands for at that moment, before anything is sent there: what
``routing.yaml`` may not say, a name server may not say either. Nothing here reads the environment,
follows a redirect, or leaves a certificate unverified.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from gateway.logs import Log
from gateway.model import Endpoint, Tls
from gateway.security.offlimits import literal, off_limits
from gateway.security.tls import TlsConnection, client_context
from gateway.workers.upstream import UpstreamConnection

if TYPE_CHECKING:
    from ssl import SSLContext

Dial = Callable[[Callable[[], UpstreamConnection], Endpoint], Awaitable[UpstreamConnection]]
"""Opens a connection; raises OSError. The seam that tests put a scripted worker behind."""

# Seconds, for who dials; a request's own deadline is what its client feels: this frees the socket.
CONNECT_TIMEOUT: Final = 10.0

log = Log()

# By the file of the authority ("" for the system's store): what the file was, and what was made of
# it. As many as the routing files have ever named.
_contexts: Final[dict[str, tuple[object, SSLContext]]] = {}
_said: Final[dict[str, str]] = {}  # by endpoint: why it is not trusted, as far as it was logged


class NotTrusted(OSError):
    """A worker is not who the file says, or is where no traffic may go."""


async def dial(factory: Callable[[], UpstreamConnection], endpoint: Endpoint) -> UpstreamConnection:
    """Connect, handshake included. Raises OSError."""
    try:
        connection = await _connect(factory, endpoint)
    except NotTrusted as error:
        why = str(error)
        if _said.get(endpoint.url) != why:  # once, not once a request
            _said[endpoint.url] = why
            log.error("worker not trusted", endpoint=endpoint.url, why=why)
        raise
    _said.pop(endpoint.url, None)
    return connection


async def _connect(
    factory: Callable[[], UpstreamConnection], endpoint: Endpoint
) -> UpstreamConnection:
    loop = asyncio.get_running_loop()
    if endpoint.socket:
        _, protocol = await loop.create_unix_connection(factory, endpoint.socket)
        return protocol
    connection = factory()
    if endpoint.tls is None:
        await _reach(lambda: connection, endpoint)
    else:
        await _secure(connection, endpoint, endpoint.tls)
    return connection


async def _secure(connection: UpstreamConnection, endpoint: Endpoint, tls: Tls) -> None:
    shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(error: Exception | None) -> None:
        if shaken.done():
            return
        if error is None:
            shaken.set_result(None)
        else:
            shaken.set_exception(error)

    name = tls.server_name or endpoint.host
    try:
        secured = TlsConnection(connection, context_of(tls.ca), tell, name)
    except (OSError, ValueError) as error:
        raise NotTrusted(f"its certificate cannot be verified: {error}") from error
    try:
        await _reach(lambda: secured, endpoint)
    except BaseException:
        shaken.cancel()  # nobody asks it any more what became of the handshake
        raise
    try:
        await shaken
    except BaseException as error:
        secured.abort()
        verdict = getattr(error, "verify_message", "")
        if verdict:
            raise NotTrusted(f"its certificate is not valid: {verdict}") from error
        raise


async def _reach(protocol: Callable[[], asyncio.BaseProtocol], endpoint: Endpoint) -> None:
    """Connect to the first address of the endpoint's host that can be reached."""
    loop = asyncio.get_running_loop()
    host, port = endpoint.host, endpoint.port
    addresses = [host]
    if literal(host) is None:
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # no name at all
            raise OSError(str(error)) from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    allowed = [one for one in addresses if not _forbidden(one)]
    if not allowed:
        where = ", ".join(addresses) or "no address"
        raise NotTrusted(f"its name stands for {where}, where traffic must not go to")
    for address in allowed[:-1]:
        try:
            await loop.create_connection(protocol, address, port)
        except OSError:
            continue
        return
    await loop.create_connection(protocol, allowed[-1], port)


def _forbidden(text: str) -> bool:
    address = literal(text)
    return address is None or off_limits(address)


def context_of(authority: str) -> SSLContext:
    """The one that all connections verified by this file share; a new one when the file is another.

    A file that cannot be used any more leaves the one before in use. Raises OSError if there was
    none.
    """
    known = _contexts.get(authority)
    stamp: object = None
    try:
        if authority:
            stat = os.stat(authority)
            stamp = stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        if known is None or known[0] != stamp:
            known = _contexts[authority] = stamp, client_context(authority)
    except OSError:
        if known is None:
            raise
    return known[1]
