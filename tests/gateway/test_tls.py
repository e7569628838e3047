"""A TLS connection without a network: its other side is OpenSSL in memory."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from gateway.security.tls import PIECE, TlsConnection, server_context
from tests import certificates

DATA = Random(7).randbytes(5 * PIECE + 123)


class Lower:
    """The loop's side: notes what is done to it."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.done: list[str] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "close" in self.done or "abort" in self.done

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)


class App(asyncio.Protocol):
    """Our side: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    @property
    def data(self) -> bytes:
        return b"".join(one for one in self.told if isinstance(one, bytes))


class Pair:
    """A connection and its other side; what that one says arrives ``step`` bytes at a time."""

    def __init__(self, step: int = 1 << 20, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3):
        self.step = step
        self.app, self.lower = App(), Lower()
        self.shaken: list[Exception | None] = []
        context = server_context(certificates.pem_of(certificates.issued()))
        self.connection = TlsConnection(self.app, context, self.shaken.append)
        trust = certificates.trusting()
        trust.maximum_version = newest
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer = trust.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.connection.connection_made(self.lower)  # type: ignore[arg-type]

    def carry(self) -> None:
        """Bring both what the other has said."""
        said = self.outgoing.read()
        for at in range(0, len(said), self.step):
            self.connection.data_received(said[at : at + self.step])
        self.incoming.write(bytes(self.lower.written))
        self.lower.written.clear()

    def shake(self) -> Pair:
        while True:
            try:
                self.peer.do_handshake()
                self.carry()
                return self
            except ssl.SSLWantReadError:
                self.carry()

    def say(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self.peer.write(data[at : at + PIECE])
        self.carry()

    def hears(self) -> bytes:
        """What the other side can read, up to our farewell."""
        self.carry()
        found = b""
        with suppress(ssl.SSLWantReadError):
            while piece := self.peer.read(1 << 16):
                found += piece
            return found + b" farewell"
        return found


def in_a_loop(test: Callable[[], None]) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("step", [1, 7, 16_384, 1 << 20])
def test_what_is_said_arrives_however_it_is_cut(step: int, newest: ssl.TLSVersion) -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair(step, newest).shake()
        assert pair.shaken == [None]
        assert pair.app.told == ["made"]
        pair.say(DATA)
        assert pair.app.data == DATA
        pair.connection.write(DATA)
        assert pair.hears() == DATA


def test_what_arrives_in_one_piece_is_told_in_one_piece() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.say(DATA)

        assert pair.app.told == ["made", DATA]


def test_a_request_in_the_last_piece_of_the_handshake_is_told() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair()
        with suppress(ssl.SSLWantReadError):
            pair.peer.do_handshake()
        pair.carry()
        pair.peer.do_handshake()
        pair.peer.write(b"at once")
        pair.carry()

        assert pair.app.told == ["made", b"at once"]


def test_a_close_says_farewell_and_waits_for_nobody() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.connection.write(b"the end")
        pair.connection.close()
        pair.connection.close()
        pair.connection.write(b"not any more")

        assert pair.lower.done == ["close"]
        assert pair.connection.is_closing()
        assert pair.hears() == b"the end farewell"


def test_a_farewell_of_the_other_side_is_an_end_by_agreement() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.peer.write(b"last words")
        with suppress(ssl.SSLWantReadError):
            pair.peer.unwrap()
        pair.carry()
        assert pair.lower.done == ["close"]
        pair.connection.connection_lost(None)

        assert pair.app.told == ["made", b"last words", None]


def test_an_end_without_a_farewell_is_an_error() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.connection.eof_received()
        pair.connection.connection_lost(None)

        assert isinstance(pair.app.told[-1], ConnectionResetError)


def test_a_forged_byte_ends_the_connection() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.peer.write(b"genuine")
        pair.carry()
        pair.peer.write(b"forged")
        said = bytearray(pair.outgoing.read())
        said[-1] ^= 1
        pair.connection.data_received(bytes(said))
        assert pair.lower.done == ["close"]
        pair.connection.connection_lost(None)

        assert pair.app.told[1] == b"genuine"
        assert isinstance(pair.app.told[2], ssl.SSLError)
        assert len(pair.app.told) == 3


def test_after_our_farewell_what_comes_is_thrown_away() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair().shake()
        pair.connection.write(b"enough")
        pair.connection.write_eof()
        pair.peer.write(b"and more")
        assert pair.hears() == b"enough farewell"
        assert pair.lower.done == ["write_eof"]
        assert pair.app.told == ["made"]
        pair.connection.eof_received()
        pair.connection.connection_lost(None)

        assert pair.app.told == ["made", None]


def test_a_handshake_that_fails_is_told_to_nobody_but_who_waits_for_it() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair()
        pair.connection.data_received(b"GET / HTTP/1.1\r\n\r\n" * 5000)
        assert pair.lower.done == ["close"]
        pair.connection.connection_lost(None)

        assert pair.app.told == []
        assert isinstance(pair.shaken[0], ssl.SSLError)
        assert len(pair.shaken) == 1


def test_back_pressure_is_that_of_the_socket() -> None:
    @in_a_loop
    def _() -> None:
        pair = Pair()
        pair.connection.pause_writing()  # nobody is there yet
        pair.shake()
        pair.connection.write(DATA)
        assert pair.connection.get_write_buffer_size() == len(pair.lower.written) > len(DATA)
        pair.connection.pause_writing()
        pair.connection.resume_writing()
        pair.connection.pause_reading()
        pair.connection.resume_reading()

        assert pair.app.told == ["made", "pause", "resume"]
        assert pair.lower.done == ["pause_reading", "resume_reading"]


def test_nothing_is_renegotiated() -> None:
    context = server_context(certificates.pem_of(certificates.issued()))

    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
