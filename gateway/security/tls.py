"""TLS between the loop and a protocol of ours: what is below it is encrypted, what is above is not.

It does not use the loop's own TLS, because that one is not a transport like the others:

1. Its ``close`` waits for the other side's farewell, and what was not taken by then is cut. Here a
   close says farewell, lets everything go out and waits for nobody, as over plain TCP.
2. What it has encrypted it forgets: 8 MiB that a slow client has not taken count as none. Here
   back-pressure and ``get_write_buffer_size`` are those of the socket.
3. It does not tell an end that was announced from one that was cut. Here the latter is an error, so
   that a worker's shortened answer is never taken for a whole one (RFC 9112, section 9.8).

Whatever arrives in one piece is told in one piece, and memory is bounded by ``PIECE``: OpenSSL's
buffers never shrink.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final, cast

HANDSHAKE_TIMEOUT: Final = 10.0  # seconds; as long as a head may take
PIECE: Final = 16 * 1024  # bytes: what one record holds at most (RFC 8446, section 5.1)

_ALPN: Final = ["http/1.1"]
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all as good


def server_context(pem: bytes) -> ssl.SSLContext:
    """For connections of clients: TLS 1.2 or newer, forward secrecy, HTTP/1.1 only.

    ``pem`` holds the private key and the certificate with its chain. Raises ssl.SSLError if they
    are not, or do not belong together, and OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(_ALPN)
    # OpenSSL reads files only. In memory, the key is what was judged, and lies on no disk.
    descriptor = os.memfd_create("canary-certificate", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        # A key with a passphrase would be asked for at the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: "")
    return context


def client_context(authority: str) -> ssl.SSLContext:
    """For connections to workers, who must prove their name: to the holder of this file, or, if it
    is empty, of the system's store. Raises OSError (ssl.SSLError included).
    """
    context = ssl.create_default_context(cafile=authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(_ALPN)
    return context


def unusable_authority(path: str) -> str | None:
    """Why nobody can be verified with this file; None if they can."""
    try:
        context = client_context(path)
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return error.strerror or str(error)
    return None if context.cert_store_stats()["x509_ca"] else "it holds no CA certificate"


class _State(IntEnum):
    SHAKING = 0  # hands
    OPEN = 1
    SAID = 2  # farewell; what comes is thrown away
    CLOSING = 3
    LOST = 4


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """A protocol to the loop, a transport to ``app``, which hears of the connection only when it is
    verified and ready.

    ``shaken`` is called once: with None then, or with the reason why it never came to that.
    Without ``server_name`` this is the server's side.
    """

    __slots__ = (
        *("_app", "_cause", "_incoming", "_lower", "_made", "_outgoing", "_shaken", "_ssl"),
        *("_state", "_timer"),
    )

    _lower: asyncio.Transport
    _timer: asyncio.TimerHandle

    def __init__(
        self,
        app: asyncio.Protocol,
        context: ssl.SSLContext,
        shaken: Callable[[Exception | None], object],
        server_name: str | None = None,
    ) -> None:
        self._app = app
        self._shaken = shaken
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_name is None, server_name
        )
        self._state = _State.SHAKING
        self._made = False  # the app has been told of the connection
        self._cause: Exception | None = None  # why it ends, if not by agreement

    def __repr__(self) -> str:
        return f"<TlsConnection {self._state.name.lower()} of {self._app!r}>"

    # --- asyncio.Protocol, towards the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lower = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_TIMEOUT, self._too_late)
        self._shake()

    def data_received(self, data: bytes) -> None:
        if self._state > _State.OPEN:
            return
        found: list[bytes] = []
        if len(data) <= PIECE:
            self._incoming.write(data)
            going_on = self._take(found)
        else:
            view, going_on = memoryview(data), True
            for at in range(0, len(data), PIECE):
                self._incoming.write(view[at : at + PIECE])
                going_on = going_on and self._take(found)
        if self._state is _State.OPEN:
            if self._outgoing.pending:  # an alert, or an answer to a change of keys
                self._lower.write(self._outgoing.read())
            if found:
                self._app.data_received(found[0] if len(found) == 1 else b"".join(found))
        if not going_on:
            self._end()

    def eof_received(self) -> None:
        """An end that nobody announced. The loop closes the connection."""
        if self._state <= _State.OPEN:
            self._cause = ConnectionResetError("the connection ended without a farewell")

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = _State.LOST
        self._timer.cancel()
        cause = self._cause or exc
        if self._made:
            self._app.connection_lost(cause)
        else:
            self._shaken(cause or ConnectionResetError("the connection ended in the handshake"))
        del self._app, self._shaken  # they refer to this one as well
        self._forget()

    def pause_writing(self) -> None:
        if self._made:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._made:
            self._app.resume_writing()

    # --- asyncio.Transport, towards the app

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._state is not _State.OPEN or not data:
            return
        try:
            if len(data) <= PIECE:
                self._ssl.write(data)
                self._lower.write(self._outgoing.read())
                return
            pieces: list[bytes] = []
            view, at = memoryview(data), 0
            while at < len(view):
                at += self._ssl.write(view[at : at + PIECE])
                pieces.append(self._outgoing.read())
            # Hundreds of pieces that wait for a slow client would leave holes in memory for good.
            self._lower.write(b"".join(pieces))
        except ssl.SSLError as error:
            self._cause = error
            self.abort()

    def write_eof(self) -> None:
        """Say farewell and listen on, though not to what is said."""
        if self._state is _State.OPEN:
            self._say_farewell()
            self._state = _State.SAID
            self._lower.write_eof()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if self._state < _State.CLOSING:
            if self._state is _State.OPEN:
                self._say_farewell()
            self._state = _State.CLOSING
            self._lower.close()
            self._forget()

    def abort(self) -> None:
        if self._state < _State.LOST:
            self._state = _State.CLOSING
            self._lower.abort()

    def is_closing(self) -> bool:
        return self._state >= _State.CLOSING or self._lower.is_closing()

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._lower.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return getattr(self, "_ssl", default)
        return self._lower.get_extra_info(name, default)

    # --- the handshake

    def _shake(self) -> bool:
        """Go on with it; whether the connection can be used now."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._lower.write(self._outgoing.read())
            return False
        except OSError as error:  # all of TLS's own are
            self._cause = error
            return False
        self._timer.cancel()
        if self._outgoing.pending:
            self._lower.write(self._outgoing.read())
        self._state = _State.OPEN
        self._made = True
        self._app.connection_made(self)
        self._shaken(None)
        return True

    def _too_late(self) -> None:
        self._cause = TimeoutError(f"no TLS handshake within {HANDSHAKE_TIMEOUT:g} s")
        self.abort()

    # --- small parts

    def _take(self, found: list[bytes]) -> bool:
        """Add what can be read by now; False if nothing more will come."""
        if self._state is _State.SHAKING and not self._shake():
            return self._cause is None
        if self._state is not _State.OPEN:
            return False
        try:
            while True:
                piece = self._ssl.read(PIECE)
                if not piece:
                    return False  # the other side's farewell
                found.append(piece)
                if not self._incoming.pending and not self._ssl.pending():
                    return True  # asking again would cost an exception
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError as error:
            self._cause = error
            return False

    def _end(self) -> None:
        """There is nothing more to hear: as when a plain connection is closed by the other side."""
        if self._state > _State.OPEN:
            return
        if self._cause is not None and self._outgoing.pending:
            self._lower.write(self._outgoing.read())  # an alert that says why
        self.close()

    def _say_farewell(self) -> None:
        with suppress(OSError):  # it would like to wait for the other side's
            self._ssl.unwrap()
        if self._outgoing.pending:
            self._lower.write(self._outgoing.read())

    def _forget(self) -> None:
        """A connection on its way out needs no keys; there are kilobytes of them."""
        if hasattr(self, "_ssl"):
            del self._ssl, self._incoming, self._outgoing
