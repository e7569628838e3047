"""Where evidence comes from: the admin ports of the gateways, asked over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import httpx2

from gateway.errors import GatewayError
from gateway.security.credential import TOKEN_VARIABLE, Token
from gateway.security.tls import client_context

if TYPE_CHECKING:
    from ssl import SSLContext

# Names the file of who may vouch for an admin port at https://. Default: whom the system trusts.
AUTHORITY_VARIABLE: Final = "CANARY_ADMIN_CA"
TIMEOUT: Final = 2.0  # seconds for a whole answer of an admin port on the same machine or network
LARGEST: Final = 32 * 1024 * 1024  # bytes of an answer; a large gateway's have a few hundred KiB


_Told = TypeVar("_Told")


class SourceError(GatewayError):
    """No evidence could be had. Never a reason to roll back."""


class EvidenceSource(Protocol):
    """The seam: tests put fixed documents behind it."""

    @property
    def silent(self) -> Sequence[str]:
        """Of those who said nothing the last time, why."""

    def evidence(self) -> Sequence[Mapping[str, Any] | None]:
        """A document of each gateway; None for one that says nothing, if another one does. Raises
        :class:`SourceError` if none does.
        """


class GatewaySource:
    """The counts of one gateway."""

    def __init__(
        self,
        admin_url: str,
        token: Token | None = None,
        transport: httpx2.BaseTransport | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._admin_url = admin_url.rstrip("/")
        if "://" not in self._admin_url:
            self._admin_url = f"http://{self._admin_url}"
        if "@" in self._admin_url:  # it would stand in messages and logs
            raise SourceError("the address of a gateway holds no credentials; give it a token")
        self._token = token
        self._clock = clock
        # trust_env off: a proxy from the environment has no business between us and the gateway,
        # nor have credentials of ~/.netrc. A redirect is an error: the token goes nowhere else.
        self._client = httpx2.Client(
            base_url=self._admin_url,
            verify=_verified_by(self._admin_url),
            timeout=TIMEOUT,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )

    @property
    def url(self) -> str:
        """Where it is asked, lower-case: two that are equal are one gateway."""
        return self._admin_url.lower()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def evidence(self) -> Mapping[str, Any]:
        """What ``GET /api/evidence`` says. Raises :class:`SourceError`."""
        return self._get("/api/evidence")

    def status(self) -> Mapping[str, Any]:
        """What ``GET /api/status`` says. Raises :class:`SourceError`."""
        return self._get("/api/status")

    def metrics(self) -> str:
        """What ``GET /metrics`` says, as Prometheus reads it. Raises :class:`SourceError`."""
        try:
            return self._content("/metrics").decode()
        except (httpx2.HTTPError, ValueError) as error:
            why = str(error).partition("\n")[0]
            raise self._error("/metrics", why) from error

    def _get(self, path: str) -> Mapping[str, Any]:
        try:
            document = json.loads(self._content(path))
        except (httpx2.HTTPError, ValueError, RecursionError) as error:
            why = str(error).partition("\n")[0]  # the rest is advice about HTTP in general
            raise self._error(path, why) from error
        if not isinstance(document, dict):
            raise self._error(path, f"{type(document).__name__} where an object was expected")
        return document

    def _content(self, path: str) -> bytes:
        """The body of a good answer, all of it in time: the timeout of the library begins anew
        with each byte.
        """
        deadline = self._clock() + TIMEOUT
        headers = {"Authorization": f"Bearer {self._token.value()}"} if self._token else {}
        content = bytearray()
        with self._client.stream("GET", path, headers=headers) as answer:
            if answer.status_code == 401:
                raise self._error(
                    path, f"it needs a token: give --admin-token-file or {TOKEN_VARIABLE}"
                )
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise self._error(path, f"more than {LARGEST} bytes")
                if self._clock() > deadline:
                    raise self._error(path, f"not whole within {TIMEOUT:g} s")
        return bytes(content)

    def _error(self, path: str, why: str) -> SourceError:
        return SourceError(f"{self._admin_url}{path} gave no answer to work with: {why}")


class GatewaySources:
    """The counts of several gateways, which serve one file between them.

    ``addresses`` may hold several each, with commas between them. One that is named twice would
    count twice, so that is refused. Raises :class:`SourceError`.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        token: Token | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        named = [one.strip() for several in addresses for one in several.split(",")]
        self.addresses = tuple(one for one in named if one)
        if not self.addresses:
            raise SourceError("no gateway is named; give the address of an admin port")
        self._silent: tuple[str, ...] = ()
        self._sources: dict[str, GatewaySource] = {}
        with ExitStack() as stack:
            for address in self.addresses:
                source = stack.enter_context(GatewaySource(address, token, transport))
                if source.url in self._sources:
                    raise SourceError(f"{address} is named twice; name each gateway once")
                self._sources[source.url] = source
            self._opened = stack.pop_all()
        self._threads = self._opened.enter_context(ThreadPoolExecutor(len(self._sources)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._opened.close()

    @property
    def silent(self) -> Sequence[str]:
        return self._silent

    def evidence(self) -> list[Mapping[str, Any] | None]:
        """What ``GET /api/evidence`` says at each, in the order they were named; None for one that
        says nothing, whose reason is in ``silent``. They are asked at the same time. Raises
        :class:`SourceError` if none says anything.
        """
        found = self.each(GatewaySource.evidence)
        reasons = [one for one in found if isinstance(one, SourceError)]
        self._silent = tuple(str(one) for one in reasons)
        if len(reasons) == len(found):
            raise SourceError("; ".join(self._silent))
        return [None if isinstance(one, SourceError) else one for one in found]

    def status(self) -> list[Mapping[str, Any]]:
        """What ``GET /api/status`` says at each. Raises :class:`SourceError`."""
        return list(self._threads.map(GatewaySource.status, self._sources.values()))

    def each(self, ask: Callable[[GatewaySource], _Told]) -> list[_Told | SourceError]:
        """What each tells whoever asks, or why it does not, in the order they were named. They are
        asked at the same time.
        """
        return list(self._threads.map(lambda one: _answer_of(one, ask), self._sources.values()))


def _answer_of(source: GatewaySource, ask: Callable[[GatewaySource], _Told]) -> _Told | SourceError:
    try:
        return ask(source)
    except SourceError as error:
        return error


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
