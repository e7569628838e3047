"""Requests that say which trace they are part of, beside those that do not.

Who listens takes this kind of connection for clients where somebody wants to know. A request
without a trace is the same :class:`Exchange` as anywhere; looking for one is a look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.answers.observe import Outcome
from gateway.clients.exchange import Exchange
from gateway.clients.inbound import InboundConnection
from gateway.errors import Reason
from gateway.traces.tracing import read_traceparent

if TYPE_CHECKING:
    from gateway.clients.client import Client
    from gateway.clients.live import Live
    from gateway.counting.exemplars import Exemplars
    from gateway.http.request import Request


class TracedExchange(Exchange):
    """One of a trace that is kept: ``trace`` is its id."""

    __slots__ = ("_exemplars", "_trace")

    def __init__(
        self, client: Client, request: Request, live: Live, exemplars: Exemplars, trace: str
    ) -> None:
        super().__init__(client, request, live)
        self._exemplars = exemplars
        self._trace = trace

    def _observe(
        self, status: int, reason: Reason | None, body: bytes | None = None, worked: float = 0.0
    ) -> Outcome:
        outcome = super()._observe(status, reason, body, worked)
        if outcome.status or outcome.gone:  # else another version takes over
            self._exemplars.note(outcome.decision, outcome.seconds, self._trace)
        return outcome


class TracedConnection(InboundConnection):
    """Notes in ``exemplars`` what its client's traces waited."""

    __slots__ = ("_exemplars",)

    def __init__(
        self, exemplars: Exemplars, live: Live, connections: set[InboundConnection]
    ) -> None:
        super().__init__(live, connections)
        self._exemplars = exemplars

    def _begin(self, request: Request) -> None:
        if b"traceparent" in request.head.fields:
            self._exchange = self._traced(request, request.head.fields[b"traceparent"])
        else:
            self._exchange = Exchange(self, request, self._live)
        self._exchange.start()

    def _traced(self, request: Request, said: bytes) -> Exchange:
        # Most are not sampled, and need not be read.
        trace = None if said[53:] == b"00" else read_traceparent(said)
        if trace is None or not trace.sampled:
            return Exchange(self, request, self._live)
        return TracedExchange(self, request, self._live, self._exemplars, trace.id)
