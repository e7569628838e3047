"""Certificates for tests, made anew in each run: no private key is kept anywhere."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme


@cache
def authority(name: str = "ours") -> trustme.CA:
    """One that signs, by its name in the test."""
    return trustme.CA(organization_name=name)


@cache
def issued(*names: str, by: str = "ours") -> trustme.LeafCert:
    """A certificate for these names (``127.0.0.1`` if there are none)."""
    return authority(by).issue_cert(*(names or ("127.0.0.1", "localhost")))


def outdated(*names: str) -> trustme.LeafCert:
    """One whose time ended on 2 January 2020."""
    end = datetime(2020, 1, 2, tzinfo=UTC)
    begin = end - timedelta(days=1)
    return authority().issue_cert(*(names or ("127.0.0.1",)), not_before=begin, not_after=end)


def pem_of(certificate: trustme.LeafCert) -> bytes:
    """The key and the chain in one text."""
    return bytes(certificate.private_key_and_cert_chain_pem.bytes())


def write_pair(folder: Path, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    """Its files, certificate and key, replaced by renames if they exist."""
    chain, key = folder / "tls.crt", folder / "tls.key"
    for path, blob in (
        (key, certificate.private_key_pem.bytes()),
        (chain, b"".join(one.bytes() for one in certificate.cert_chain_pems)),
    ):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(blob)
        fresh.replace(path)
    return chain, key


def write_authority(folder: Path, name: str = "ours") -> Path:
    """The file of those who may vouch for a server."""
    path = folder / f"{name}.pem"
    authority(name).cert_pem.write_to_path(path)
    return path


def trusting(name: str = "ours") -> ssl.SSLContext:
    """What a client needs that trusts this authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority(name).configure_trust(context)
    return context


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """What a server needs that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
