"""A run's certificate, and the load that shakes hands with it for each request."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.certificate import CIPHER, VERSION, Certificate, check_agreed, make_certificate
from benchmarks.checks import ask
from benchmarks.connects import closing
from benchmarks.traffic import PLAIN

ROOT = Path(__file__).parent.parent.parent
REQUEST = PLAIN.requests(["/predict"])[0]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")


@contextmanager
def server(context: ssl.SSLContext | None, seen: list[tuple[object, bool]]) -> Iterator[int]:
    """Answers one request on each connection; ``seen`` has the cipher of each, and whether its
    session was resumed.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                if context is None:
                    answer(connection)
                    continue
                with context.wrap_socket(connection, server_side=True) as secured:
                    seen.append((secured.cipher(), bool(secured.session_reused)))
                    answer(secured)

    def answer(connection: socket.socket) -> None:
        got = b""
        while data := connection.recv(65536):
            got += data
            if len(got) >= len(REQUEST):
                connection.sendall(ANSWER)
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


def serving(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.both)
    return context


def load(port: int, message: Path, certificate: Certificate | None) -> dict[str, float]:
    """What the program says of a short load on two connections at a time."""
    words = [sys.executable, "-m", "benchmarks.connects", str(port), "0.3", "2", str(message)]
    words += [str(certificate.chain)] if certificate else []
    environment = certificate.environment() if certificate else None
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def test_every_request_shakes_hands_anew_with_the_agreed_cipher(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    message, seen = tmp_path / "request", list[tuple[object, bool]]()
    message.write_bytes(REQUEST)
    with server(serving(certificate), seen) as port:
        told = load(port, message, certificate)

    assert told["requests"] == len(seen) > 2
    assert told["failed"] == 0
    assert {(cipher[:2], reused) for cipher, reused in seen} == {((CIPHER, VERSION), False)}


def test_a_connection_can_be_new_without_tls_and_what_is_no_answer_is_a_failure(
    tmp_path: Path,
) -> None:
    message = tmp_path / "request"
    message.write_bytes(REQUEST)
    with server(None, []) as port:
        plain = load(port, message, None)
        refused = load(port, message, make_certificate(tmp_path))

    assert plain["failed"] == 0 < plain["requests"]
    assert refused["failed"] == refused["requests"] > 0


def test_the_last_request_of_a_connection_says_so() -> None:
    head, _, body = closing(REQUEST).partition(b"\r\n\r\n")

    assert head.endswith(b"\r\nConnection: close")
    assert body == REQUEST.partition(b"\r\n\r\n")[2]


def test_a_target_is_measured_only_with_the_agreed_version_cipher_and_certificate(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    older = serving(certificate)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with server(serving(certificate), []) as port:
        assert ask(port, [REQUEST], certificate.trusting()) == [b"ok"]
        check_agreed("it", port, certificate)
        with pytest.raises(RuntimeError, match="it does not speak"):
            check_agreed("it", port, other)
    with server(older, []) as port, pytest.raises(RuntimeError, match="it does not speak"):
        check_agreed("it", port, certificate)
