"""Values of ``routing.yaml`` for tests: valid by default, override the one thing the test is about.

``make_config({"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", 10)})`` is one route with
stable v1 and a candidate of 10 percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.answers.observe import Outcome
from gateway.counting.report import ReloadStatus, Report, State, gather
from gateway.http.headers import RequestHead
from gateway.http.request import Request
from gateway.model import (
    Assignment,
    Endpoint,
    Prediction,
    Route,
    RoutingConfig,
    Sticky,
    StickyKind,
    Tls,
    Version,
)
from gateway.processes.plane import Solo
from gateway.protocols import Protocol
from gateway.routing.decision import Decision
from gateway.routing.table import compile_table

Urls = str | Sequence[str]
Versions = Mapping[str, Urls | tuple[Urls, float]]


def make_endpoint(url: str = "http://127.0.0.1:8101") -> Endpoint:
    """``http://host:port``, ``https://host:port`` or ``unix:/path``."""
    if url.startswith("unix:"):
        return Endpoint(url, socket=url.removeprefix("unix:"))
    scheme, _, authority = url.partition("://")
    host, _, port = authority.rpartition(":")
    return Endpoint(url, host.strip("[]"), int(port), tls=Tls() if scheme == "https" else None)


def make_version(name: str = "v1", urls: Urls = "http://127.0.0.1:8101", percent: float = 0):
    """A version; the weight in percent, as in the file."""
    urls = (urls,) if isinstance(urls, str) else urls
    return Version(name, tuple(make_endpoint(url) for url in urls), round(percent * 100))


def make_route(versions: Versions | None = None, **rules: Any) -> Route:
    """A route whose stable is its first version."""
    if versions is None:
        versions = {"v1": "http://127.0.0.1:8101", "v2": ("http://127.0.0.1:8102", 10)}
    made = tuple(
        make_version(name, *given) if _weighted(given) else make_version(name, given)
        for name, given in versions.items()
    )
    return Route(**{"name": "iris", "stable": made[0].name, "versions": made} | rules)


def make_config(
    versions: Versions | None = None, *more: Route, generation: str = "one", **rules: Any
) -> RoutingConfig:
    """A file with one route (and ``more`` after it)."""
    return RoutingConfig((make_route(versions, **rules), *more), generation=generation)


def with_readiness(config: RoutingConfig, path: str = "/ready") -> RoutingConfig:
    """The same file, each version with `readiness`."""
    routes = tuple(
        replace(route, versions=tuple(replace(each, readiness=path) for each in route.versions))
        for route in config.routes
    )
    return replace(config, routes=routes)


def make_sticky(name: str = "x-user-id", kind: StickyKind = StickyKind.HEADER, salt: str = "iris"):
    """By header; names of headers are lower-case, as ``config`` makes them."""
    return Sticky(kind, name, salt)


def make_cookie(name: str = "canary_id", salt: str = "iris") -> Sticky:
    return make_sticky(name, StickyKind.COOKIE, salt)


def make_prediction(
    label: str | None = "/predictions/0",
    score: str | None = None,
    labels: Sequence[str] = (),
    value: str | None = None,
    bounds: Sequence[float] = (),
    protocol: Protocol | None = None,
) -> Prediction:
    return Prediction(label, score, tuple(labels), value, tuple(bounds), protocol)


def make_value(*bounds: float) -> Prediction:
    """Of a regressor whose value stands at ``/v``."""
    return make_prediction(None, value="/v", bounds=bounds or (10.0, 20.0, 50.0))


def make_request(
    method: bytes = b"POST",
    target: bytes = b"/predict",
    headers: Sequence[tuple[bytes, bytes]] = ((b"Host", b"models.example"),),
    body: bytes | None = b"{}",
    *,
    whole: bool = True,
) -> Request:
    """A parsed request; ``body=None`` is one without a body."""
    if body is not None and not {b"content-length", b"transfer-encoding"} & {
        name.lower() for name, _ in headers
    }:
        headers = [*headers, (b"Content-Length", b"%d" % len(body))]
    head = RequestHead(headers, method, target)
    request = Request(head, b"192.0.2.7\r\nX-Forwarded-Proto: http", b"id-1")
    request.chunks = [body] if body else []
    request.size = len(body or b"")
    request.whole = whole
    return request


def make_decision(
    version: str = "v1",
    assignment: Assignment = Assignment.WEIGHTED,
    config: RoutingConfig | None = None,
) -> Decision:
    """A decision of the first route of ``config``."""
    return compile_table(config or make_config()).routes[0].decision(version, assignment)


def make_outcome(decision: Decision | None = None, **facts: Any) -> Outcome:
    """An answer 200 after 12 ms, of which the worker took 10."""
    usual: dict[str, Any] = {
        "decision": decision or make_decision(),
        "status": 200,
        "reason": None,
        "gone": False,
        "seconds": 0.012,
        "upstream_seconds": 0.010,
        "body": None,
        "bound": False,
        "overhead": 0.002,
    }
    return Outcome(**usual | facts)


def make_report(config: RoutingConfig) -> Report:
    """What the admin port tells of a gateway that has just begun to serve this."""
    plane = Solo(config)
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), plane.restarts)
    return gather(plane.archive, state)


def draws(*values: float) -> Iterator[float]:
    """Draws in this order, the last one for ever."""
    yield from values
    while True:
        yield values[-1]


def _weighted(given: object) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and not isinstance(given[1], str)
