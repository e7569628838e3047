"""The certificate and the key of a port: read, judged, and read again when they change.

A new pair is taken whole or not at all. Two files cannot be replaced in one moment, so a pair that
does not fit is refused only if it is still the same at the next look. What was refused changes
nothing: the pair before goes on, the log and the metrics say so.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Final

from gateway.counting.report import CertificateStatus
from gateway.errors import CertificateRefused
from gateway.logs import Log
from gateway.security.tls import TlsConnection, server_context

LOOK_EVERY: Final = 0.1  # seconds, as the routing file is looked at
READ_ANYWAY: Final = 20  # looks: the content is compared at least every two seconds
MAX_BYTES: Final = 1024 * 1024

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_CONTEXT_0: Final = 0xA0  # tags of DER: the version of a certificate, if it is told,
_UTC_TIME: Final = 0x17  # and a time with two digits of the year

log = Log()


class Certificate:
    """One port's pair; ``pem`` and ``context`` are the ones in use. ``taken`` is called with each
    new ``pem``. Raises :class:`CertificateRefused` if there is no good pair to begin with.
    """

    def __init__(self, port: str, certificate: Path, key: Path) -> None:
        self.port = port
        self.taken: Callable[[bytes], object] = lambda pem: None
        self._files = (certificate, key)
        self._replaced = self._refused = 0
        self._doubt: tuple[str, bytes] | None = None  # why what stands there is no good pair
        self._refusal: tuple[str, bytes] | None = None  # the same, when it was told
        self._stamp = _stamp(self._files)
        self._outdated = b""  # the pair of which that was said
        self.pem = _read(*self._files)
        self.context, self._expires = _judge(self.pem)
        self._complain()

    def secure(self, plain: asyncio.Protocol) -> TlsConnection:
        """Puts TLS between a connection and the loop."""
        return TlsConnection(plain, self.context, lambda _: None)

    def status(self) -> CertificateStatus:
        """What is told of it."""
        in_use = self._refusal is None
        return CertificateStatus(self.port, self._expires, in_use, self._replaced, self._refused)

    async def watch(self) -> None:
        """Look at the files until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY)
            looks += 1
            stamp = await asyncio.to_thread(_stamp, self._files)
            self._complain()
            if stamp != self._stamp or looks % READ_ANYWAY == 0:
                settled = await self.look()
                self._stamp = stamp if settled else ()

    async def look(self) -> bool:
        """Judge what stands there now; False if it must be looked at once more to be sure."""
        pem = b""
        try:
            pem = await asyncio.to_thread(_read, *self._files)
            if pem != self.pem:
                self.context, self._expires = await asyncio.to_thread(_judge, pem)
        except CertificateRefused as error:
            return self._refuse((str(error), pem))
        self._doubt = self._refusal = None
        if pem != self.pem:
            self.pem = pem
            self._replaced += 1
            until = datetime.fromtimestamp(self._expires, UTC).isoformat()
            log.info("certificate taken", port=self.port, expires=until)
            self._complain()
            self.taken(pem)
        return True

    def _complain(self) -> None:
        """Once for each pair whose time is over. It is served all the same, as other servers do:
        no port at all would help nobody, and a client that does not verify still gets answers.
        """
        if self._expires < time() and self._outdated != self.pem:
            self._outdated = self.pem
            until = datetime.fromtimestamp(self._expires, UTC).isoformat()
            what = "clients that verify it go away; put a new one in its place"
            log.error("certificate expired", port=self.port, expired=until, problem=what)

    def _refuse(self, finding: tuple[str, bytes]) -> bool:
        if finding == self._refusal:
            return True  # said before
        if finding != self._doubt:
            self._doubt = finding
            return False
        self._refusal = finding
        self._refused += 1
        log.error("certificate refused", port=self.port, problem=finding[0], goes_on="the old one")
        return True


def _read(certificate: Path, key: Path) -> bytes:
    """Both in one text, the key first: a file of certificates may hold another key, too."""
    found = []
    for path in (key, certificate):
        try:
            if not path.is_file() and path.exists():
                raise OSError("it is not a regular file")
            with path.open("rb") as file:
                found.append(file.read(MAX_BYTES))
        except OSError as error:
            what = error.strerror or str(error)
            raise CertificateRefused(
                f"{path} cannot be read ({what}); name a readable file"
            ) from error
    key_text, certificate_text = found
    if b"PRIVATE KEY-----" not in key_text:
        raise CertificateRefused(f"{key} holds no private key; write one in PEM form")
    if b"ENCRYPTED" in key_text:
        raise CertificateRefused(f"the key in {key} has a passphrase; write one without")
    if b"-----BEGIN CERTIFICATE-----" not in certificate_text:
        raise CertificateRefused(f"{certificate} holds no certificate; write one in PEM form")
    return key_text + b"\n" + certificate_text


def _judge(pem: bytes) -> tuple[ssl.SSLContext, float]:
    """What new connections get, and the Unix time until which it is valid."""
    try:
        context = server_context(pem)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            sentence = "the key does not belong to the certificate; give the pair of both"
        else:
            why = (error.reason or str(error)).lower().replace("_", " ")
            sentence = f"the certificate or its key cannot be used ({why}); give both in PEM form"
        raise CertificateRefused(sentence) from error
    try:
        return context, expiry(pem)
    except (IndexError, ValueError) as error:
        sentence = "it cannot be told how long the certificate is valid; give one of X.509"
        raise CertificateRefused(sentence) from error


def expiry(pem: bytes) -> float:
    """The Unix time at which the first certificate ends (RFC 5280, section 4.1.2.5). Raises
    ValueError or IndexError.
    """
    found = _PEM.search(pem.decode("latin-1"))
    if found is None:
        raise ValueError("no certificate")
    [(_, certificate)] = _items(ssl.PEM_cert_to_DER_cert(found[0]))
    (_, to_be_signed), *_ = _items(certificate)
    fields = list(_items(to_be_signed))
    if fields[0][0] == _CONTEXT_0:
        del fields[0]
    # Serial number, algorithm, issuer, validity.
    tag, end = list(_items(fields[3][1]))[1]
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(end.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a DER value: tag and content (ITU-T X.690, section 8.1)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size]), at + size
        yield tag, der[at : at + length]
        at += length


def _stamp(files: tuple[Path, ...]) -> tuple[object, ...]:
    """What changes when one of them does, links followed."""
    found: list[object] = []
    for path in files:
        try:
            stat = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append(
                (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            )
    return tuple(found)
