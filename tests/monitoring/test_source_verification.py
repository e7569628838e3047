"""Whom the controller and `canary status` ask: the gateway they were told of, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from monitoring.readings.sources import AUTHORITY_VARIABLE, GatewaySource, SourceError
from tests import certificates
from tests.sockets.peers import Worker, answering

Hire = Callable[..., Worker]
GOOD = answering(body=b'{"generations": []}', fields=[("Content-Type", "application/json")])


def evidence_of(url: str) -> Any:
    with GatewaySource(url) as source:
        return source.evidence()


@pytest.fixture
def hire() -> Iterator[Hire]:
    """Something that answers HTTP on loopback."""
    with ExitStack() as stack:
        yield lambda *behaviour, **more: stack.enter_context(closing(Worker(*behaviour, **more)))


def test_no_proxy_of_the_environment_is_asked(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = hire()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)

    assert evidence_of(hire(GOOD).url) == {"generations": []}
    assert proxy.connections == 0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int, hire: Hire) -> None:
    elsewhere = hire(GOOD)
    gateway = hire(answering(status, fields=[("Location", f"{elsewhere.url}/api/evidence")]))

    with pytest.raises(SourceError):
        evidence_of(gateway.url)
    assert elsewhere.connections == 0


def secured(hire: Hire) -> Any:
    return hire(GOOD, context=certificates.serving(certificates.issued()))


def test_an_admin_port_with_tls_is_verified(
    hire: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = secured(hire)
    monkeypatch.setenv(AUTHORITY_VARIABLE, str(certificates.write_authority(tmp_path)))

    assert evidence_of(gateway.url) == {"generations": []}


@pytest.mark.parametrize("authority", [None, "strangers"])
def test_an_admin_port_that_cannot_be_verified_is_not_asked(
    authority: str | None, hire: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = secured(hire)
    if authority is not None:
        file = certificates.write_authority(tmp_path, authority)
        monkeypatch.setenv(AUTHORITY_VARIABLE, str(file))

    with pytest.raises(SourceError, match=r"(?i)certificate verify failed"):
        evidence_of(gateway.url)
    assert gateway.requests == []


def test_an_authority_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTHORITY_VARIABLE, "/none.pem")

    with pytest.raises(SourceError, match=r"CANARY_ADMIN_CA names /none.pem, which cannot be used"):
        GatewaySource("https://127.0.0.1:1")
