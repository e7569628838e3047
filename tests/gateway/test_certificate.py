"""A pair of certificate and key: what is taken, what is refused, and what is told of it."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.counting.report import CertificateStatus
from gateway.errors import CertificateRefused
from gateway.security import certificate as module
from gateway.security.certificate import Certificate, expiry
from tests import certificates


def pair_of(folder: Path, *names: str) -> tuple[Certificate, list[bytes]]:
    """One that is in use, and what it has told of since."""
    certificate = Certificate("data", *certificates.write_pair(folder, certificates.issued(*names)))
    taken: list[bytes] = []
    certificate.taken = taken.append
    return certificate, taken


def look(certificate: Certificate) -> bool:
    return asyncio.run(certificate.look())


def numbers(status: CertificateStatus) -> tuple[bool, int, int]:
    return status.in_use, status.replaced, status.refused


def test_a_new_pair_is_taken(tmp_path: Path) -> None:
    certificate, taken = pair_of(tmp_path)
    before = certificate.pem
    certificates.write_pair(tmp_path, certificates.issued("other"))

    assert look(certificate)
    assert taken == [certificate.pem] != [before]
    assert numbers(certificate.status()) == (True, 1, 0)


def test_an_unchanged_pair_is_left_alone(tmp_path: Path) -> None:
    certificate, taken = pair_of(tmp_path)

    assert look(certificate)
    assert taken == []
    assert numbers(certificate.status()) == (True, 0, 0)


def test_a_pair_seen_between_its_two_saves_is_no_failure(tmp_path: Path) -> None:
    certificate, taken = pair_of(tmp_path)
    _, key = certificates.write_pair(tmp_path, certificates.issued("other"))
    late = key.read_bytes()
    key.write_bytes(certificates.issued().private_key_pem.bytes())

    assert not look(certificate)
    key.write_bytes(late)
    assert look(certificate)
    assert len(taken) == 1
    assert numbers(certificate.status()) == (True, 1, 0)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nno\n"])
def test_a_broken_pair_is_refused_once_and_the_old_one_stays(
    content: bytes | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, taken = pair_of(tmp_path)
    before, context = certificate.pem, certificate.context
    chain = tmp_path / "tls.crt"
    if content is None:
        chain.unlink()
    else:
        chain.write_bytes(content)

    assert [look(certificate) for _ in range(4)] == [False, True, True, True]
    assert (certificate.pem, certificate.context, taken) == (before, context, [])
    assert numbers(certificate.status()) == (False, 0, 1)
    assert capfd.readouterr().err.count("certificate refused") == 1

    certificates.write_pair(tmp_path, certificates.issued())
    assert look(certificate)
    assert numbers(certificate.status()) == (True, 0, 1)  # the one in use stands there again


def test_a_pair_whose_time_is_over_is_served_and_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate = Certificate("admin", *certificates.write_pair(tmp_path, certificates.outdated()))
    told = capfd.readouterr().err
    assert told.count("certificate expired") == 1
    assert "admin" in told
    assert "2020-01-02T00:00:00+00:00" in told

    for _ in range(3):
        assert look(certificate)
        certificate._complain()
    assert "certificate expired" not in capfd.readouterr().err
    certificates.write_pair(tmp_path, certificates.outdated("another"))
    assert look(certificate)
    assert capfd.readouterr().err.count("certificate expired") == 1
    certificates.write_pair(tmp_path, certificates.issued())
    assert look(certificate)
    assert "certificate expired" not in capfd.readouterr().err


def test_a_pair_whose_time_ends_while_it_is_served_is_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.001)
    certificate, _ = pair_of(tmp_path)
    monkeypatch.setattr(module, "time", lambda: certificate.status().expires + 1)

    async def watched() -> None:
        looks = 0

        async def look(stop: asyncio.Event) -> bool:
            nonlocal looks
            looks += 1
            if looks == 3:
                stop.set()
            return True

        stop = asyncio.Event()
        monkeypatch.setattr(certificate, "look", lambda: look(stop))
        watch = asyncio.create_task(certificate.watch())
        await asyncio.wait_for(stop.wait(), 60)
        watch.cancel()

    asyncio.run(watched())

    assert capfd.readouterr().err.count("certificate expired") == 1


def refusal(chain: Path, key: Path) -> str:
    with pytest.raises(CertificateRefused) as refused:
        Certificate("data", chain, key)
    return str(refused.value)


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    chain, key = certificates.write_pair(tmp_path, certificates.issued())
    other = tmp_path / "other.key"
    other.write_bytes(certificates.issued("other").private_key_pem.bytes())
    locked = tmp_path / "locked.key"
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    garbage = tmp_path / "garbage.crt"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    assert refusal(chain, other) == (
        "the key does not belong to the certificate; give the pair of both"
    )
    assert refusal(chain, locked) == f"the key in {locked} has a passphrase; write one without"
    assert refusal(chain, chain) == f"{chain} holds no private key; write one in PEM form"
    assert refusal(key, key) == f"{key} holds no certificate; write one in PEM form"
    assert refusal(chain, tmp_path / "none") == (
        f"{tmp_path / 'none'} cannot be read (No such file or directory); name a readable file"
    )
    assert refusal(tmp_path, key) == (
        f"{tmp_path} cannot be read (it is not a regular file); name a readable file"
    )
    assert "the certificate or its key cannot be used (" in refusal(garbage, key)


@pytest.mark.parametrize("year", [2030, 2049, 2050, 2999])
def test_the_end_of_a_certificate_is_told_to_the_second(year: int) -> None:
    """Before 2050 it is written with two digits of the year, from then on with four."""
    end = datetime.datetime(year, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    certificate = certificates.authority().issue_cert("127.0.0.1", not_after=end)

    assert expiry(certificates.pem_of(certificate)) == end.timestamp()


def test_what_is_no_certificate_has_no_end() -> None:
    for text in (b"", b"-----BEGIN CERTIFICATE-----\nMAMwATA=\n-----END CERTIFICATE-----"):
        with pytest.raises((ValueError, IndexError)):
            expiry(text)
