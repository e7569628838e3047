"""Spans to a collector, by OTLP over HTTP: the one place that knows OpenTelemetry's libraries.

They are the extra ``otel``, and imported only where spans are exported. Where to and how is told by
their own variables, OTEL_EXPORTER_OTLP_ENDPOINT and its like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gateway.errors import TracesRefused
from gateway.traces.span import Span, Visit, spans_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_SERVICE = "canary-gateway"


def check_installed() -> None:
    """Raises :class:`TracesRefused` if the extra is missing."""
    try:
        missing = [name for name in _NEEDED if find_spec(name) is None]
    except ModuleNotFoundError:
        missing = [*_NEEDED]
    if missing:
        raise TracesRefused(
            "--traces needs OpenTelemetry's SDK and its OTLP exporter, which are not installed: "
            "pip install 'canary-gateway[otel]'"
        )


def exporting() -> Callable[[Sequence[Visit]], bool]:
    """Exports requests as spans and says whether they arrived. Raises :class:`TracesRefused`."""
    check_installed()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    try:
        exporter = OTLPSpanExporter()
        readable = _translating()
    except (ValueError, OSError) as error:
        raise TracesRefused(f"OTEL_EXPORTER_OTLP_*: {error}") from error

    def export(visits: Sequence[Visit]) -> bool:
        spans = [readable(span) for visit in visits for span in spans_of(visit)]
        return exporter.export(spans) is SpanExportResult.SUCCESS

    return export


def _translating() -> Callable[[Span], ReadableSpan]:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
    from opentelemetry.trace.status import Status, StatusCode

    own = Resource({SERVICE_NAME: _SERVICE})
    told = Resource.create()  # what the environment says
    unnamed = str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    resource = told.merge(own) if unnamed else told
    scope = InstrumentationScope(_SERVICE)

    def context(span: Span, number: str, *, remote: bool) -> SpanContext:
        state = TraceState(list(span.state.items())) if span.state else None
        flags = TraceFlags(span.trace.flags)
        return SpanContext(int(span.trace.id, 16), int(number, 16), remote, flags, state)

    def readable(span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context(span, span.trace.span, remote=False),
            context(span, span.parent, remote=span.remote) if span.parent else None,
            resource,
            span.attributes,
            kind=SpanKind.SERVER if span.serves else SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=scope,
        )

    return readable
