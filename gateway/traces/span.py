"""A request that was served, as spans: one of the gateway, and one of each call to a worker.

Names and attributes follow OpenTelemetry's semantic conventions for HTTP (1.41); what they have no
word for begins with ``canary.``. Values in, values out: who serves only notes what was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.errors import Reason
from gateway.http.headers import RequestHead
from gateway.model import Endpoint
from gateway.protocols import in_container
from gateway.routing.decision import Decision
from gateway.traces.tracing import Trace, read_tracestate

Value = str | int | bool

# What a span is named after: any other method is of a stranger's making.
_METHODS: Final = {
    *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"),
}
_OTHER: Final = "_OTHER"


class Attempt(NamedTuple):
    """One call to a worker. ``began`` and ``ended`` are seconds since the request began;
    ``status`` is 0 if no answer began; ``cause`` is why there was a call before this one and it did
    not do.
    """

    span: str
    decision: Decision
    endpoint: Endpoint | None
    began: float
    ended: float
    status: int
    reason: Reason | None
    cause: Reason | None


class Visit(NamedTuple):
    """What became of one request. ``own`` is the trace with the span of the gateway, ``parent``
    the client's span (empty: it has none), ``state`` its `tracestate`; ``began`` is Unix time in
    nanoseconds, ``seconds`` how long it took; ``status`` is 0 if the client left (``gone``);
    ``decision`` is None, and ``reason`` a word for the refusal, if no version was asked.
    """

    own: Trace
    parent: str
    state: bytes
    head: RequestHead
    origin: bytes
    id: bytes
    began: int
    seconds: float
    status: int
    decision: Decision | None
    reason: str
    gone: bool
    attempts: tuple[Attempt, ...]


class Span(NamedTuple):
    """``began`` and ``ended`` are Unix time in nanoseconds; ``error`` is empty if it is none."""

    name: str
    trace: Trace
    parent: str
    remote: bool  # the parent is another's
    state: dict[str, str]
    serves: bool  # else it asks
    began: int
    ended: int
    error: str
    attributes: dict[str, Value]


def spans_of(visit: Visit) -> Iterator[Span]:
    """That of the gateway first."""
    method, given = _method(visit.head)
    yield _served(visit, method, given)
    for number, attempt in enumerate(visit.attempts):
        yield _called(visit, attempt, number, method, given)


def _served(visit: Visit, method: str, given: dict[str, Value]) -> Span:
    head, decision = visit.head, visit.decision
    address, _, _ = visit.origin.partition(b"\r\n")
    attributes: dict[str, Value] = {
        **given,
        "url.path": _text(head.path),
        "url.scheme": _text(visit.origin.rpartition(b" ")[2]),
        "network.protocol.version": head.version,
        "client.address": _text(address),
        "server.address": _text(head.fields.get(b"host", b"")),
        "canary.request_id": _text(visit.id),
    }
    name = method
    if decision is not None:
        route = decision.route.match.path
        name = f"{method} {route}"
        attributes |= {"http.route": route, **_chosen(decision)}
    if visit.gone:
        attributes["canary.client_gone"] = True
    else:
        attributes["http.response.status_code"] = visit.status
    if visit.reason:
        attributes["error.type"] = visit.reason
    error = (visit.reason or f"status {visit.status}") if visit.status >= 500 else ""
    ended = visit.began + _nanoseconds(visit.seconds)
    began, remote = visit.began, visit.parent != ""
    facts = remote, read_tracestate(visit.state), True, began, ended, error, attributes
    return Span(name, visit.own, visit.parent, *facts)


def _called(
    visit: Visit, attempt: Attempt, number: int, method: str, given: dict[str, Value]
) -> Span:
    attributes: dict[str, Value] = {**given, **_chosen(attempt.decision)}
    endpoint = attempt.endpoint
    if endpoint is not None:
        # Without what the client asks for in its query, which may be nobody else's business.
        path = visit.head.path
        asked = in_container(path) if attempt.decision.container else path
        attributes["url.full"] = f"{endpoint.url}{_text(asked)}"
        attributes["server.address"] = endpoint.host or endpoint.socket
        if endpoint.port:
            attributes["server.port"] = endpoint.port
    if attempt.status:
        attributes["http.response.status_code"] = attempt.status
    error = ""
    if attempt.reason is not None:
        error = attributes["error.type"] = attempt.reason.value
    elif attempt.status >= 400:
        error = attributes["error.type"] = str(attempt.status)
    if number:
        attributes["http.request.resend_count"] = number
    if attempt.cause is not None:
        attributes["canary.cause"] = attempt.cause.value
    began = visit.began + _nanoseconds(attempt.began)
    ended = visit.began + _nanoseconds(attempt.ended)
    own = visit.own._replace(span=attempt.span)
    facts = False, read_tracestate(visit.state), False, began, ended, error, attributes
    return Span(method, own, visit.own.span, *facts)


def _chosen(decision: Decision) -> dict[str, Value]:
    return {
        "canary.route": decision.route.name,
        "canary.version": decision.version,
        "canary.role": decision.role.value,
        "canary.assignment": decision.assignment.value,
    }


def _method(head: RequestHead) -> tuple[str, dict[str, Value]]:
    """What it is called, and the attributes that say so."""
    method = _text(head.method)
    if method in _METHODS:
        return method, {"http.request.method": method}
    return "HTTP", {"http.request.method": _OTHER, "http.request.method_original": method}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
