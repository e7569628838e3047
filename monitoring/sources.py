"""Where evidence comes from: the admin ports of the gateways, asked over HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx2

from gateway.tls import client_context

if TYPE_CHECKING:
    from ssl import SSLContext

# Names the file of who may vouch for an admin port at https://. Default: whom the system trusts.
AUTHORITY_VARIABLE: Final = "CANARY_ADMIN_CA"
TIMEOUT: Final = 2.0  # seconds for a whole answer of an admin port on the same machine or network


class SourceError(Exception):
    """No evidence could be had. Never a reason to roll back."""


class EvidenceSource(Protocol):
    """The seam: tests put fixed documents behind it."""

    def evidence(self) -> Mapping[str, Any]: ...


class GatewaySource:
    """The counts of one gateway."""

    def __init__(self, admin_url: str, transport: httpx2.BaseTransport | None = None) -> None:
        # trust_env off: a proxy from the environment has no business between us and the gateway.
        self._admin_url = admin_url.rstrip("/")
        if "://" not in self._admin_url:
            self._admin_url = f"http://{self._admin_url}"
        self._client = httpx2.Client(
            base_url=self._admin_url,
            verify=_verified_by(self._admin_url),
            timeout=TIMEOUT,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )

    def evidence(self) -> Mapping[str, Any]:
        """What ``GET /api/evidence`` says. Raises :class:`SourceError`."""
        return self._get("/api/evidence")

    def status(self) -> Mapping[str, Any]:
        """What ``GET /api/status`` says. Raises :class:`SourceError`."""
        return self._get("/api/status")

    def _get(self, path: str) -> Mapping[str, Any]:
        try:
            answer = self._client.get(path)
            answer.raise_for_status()
            document = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            why = str(error).partition("\n")[0]  # the rest is advice about HTTP in general
            raise SourceError(
                f"{self._admin_url}{path} gave no answer to work with: {why}"
            ) from error
        if not isinstance(document, dict):
            raise SourceError(f"{path} gave {type(document).__name__} where an object was expected")
        return document


def _verified_by(url: str) -> SSLContext | bool:
    """What an admin port at https:// is verified with. Raises :class:`SourceError`."""
    if not url.startswith("https://"):
        return True
    authority = os.environ.get(AUTHORITY_VARIABLE, "")
    try:
        return client_context(authority)
    except OSError as error:
        sentence = f"{AUTHORITY_VARIABLE} names {authority}, which cannot be used: {error}"
        raise SourceError(sentence) from error
