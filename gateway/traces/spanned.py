"""Requests that are told of in spans: what is noted of them on their way.

Nothing of it is on the way of a request that is not sampled: it is an ordinary :class:`Exchange`.
"""

from __future__ import annotations

import re
from copy import copy
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING, Final

from gateway.answers.observe import Outcome
from gateway.clients.exchange import Exchange
from gateway.clients.inbound import InboundConnection
from gateway.errors import Reason
from gateway.http.headers import ReplyHead
from gateway.traces.span import Attempt, Visit
from gateway.traces.traced import TracedExchange
from gateway.traces.tracing import SAMPLED, Trace, read_traceparent

if TYPE_CHECKING:
    from gateway.clients.client import Client
    from gateway.clients.live import Live
    from gateway.counting.exemplars import Exemplars
    from gateway.http.request import Request
    from gateway.routing.decision import Decision
    from gateway.traces.sampling import Sampling
    from gateway.traces.spool import Spool
    from gateway.workers.upstream import UpstreamConnection

# Within the start of a head: each field is a line, and ends as one.
_PARENT: Final = re.compile(rb"\r\ntraceparent:[^\r\n]*", re.IGNORECASE)
_BOTH: Final = re.compile(rb"\r\ntrace(?:parent|state):[^\r\n]*", re.IGNORECASE)


class SpannedExchange(TracedExchange):
    """``parent`` is the client's trace; None: it begins here, with the id ``trace``."""

    __slots__ = (
        *("_answered", "_attempts", "_began", "_cause", "_line", "_opened", "_over", "_own"),
        *("_parent", "_rest", "_span", "_spool"),
    )

    def __init__(
        self,
        client: Client,
        request: Request,
        live: Live,
        exemplars: Exemplars,
        spool: Spool,
        trace: str,
        parent: Trace | None,
    ) -> None:
        super().__init__(client, request, live, exemplars, trace)
        self._began = time_ns() - round((live.clock() - self._started) * 1e9)
        self._spool = spool
        self._parent = parent
        self._own = Trace(trace, new_span(), SAMPLED if parent is None else parent.flags)
        self._attempts: list[Attempt] = []
        self._opened: float | None = None  # since when the present attempt lasts
        self._span = ""  # its id
        self._answered = 0  # the status it got
        self._cause: Reason | None = None  # why it is not the first
        self._over = False
        # The client's span is not the worker's parent. A head may be shared: this is one's own.
        without = _BOTH if parent is None else _PARENT
        request.head = copy(request.head)
        self._line, _, self._rest = without.sub(b"", request.head.start).partition(b"\r\n")

    def start(self) -> None:
        super().start()
        refusal = self._request.refusal
        if refusal is not None:
            self._end(refusal.status, refusal.reason)

    def _forward(self, decision: Decision) -> None:
        self._open()
        super()._forward(decision)

    def send_on(self, connection: UpstreamConnection) -> None:
        parent = self._own._replace(span=self._span).render()
        self._request.head.start = b"%b\r\ntraceparent: %b\r\n%b" % (
            self._line,
            parent,
            self._rest,
        )
        super().send_on(connection)

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        self._answered = head.status
        super().on_reply(head, body)

    def on_stream(self, head: ReplyHead) -> None:
        self._answered = head.status
        super().on_stream(head)

    def _recovers(
        self, reason: Reason, *, sent: bool, began: bool = True, stale: bool = False
    ) -> bool:
        self._close(reason)
        self._cause = reason
        self._open()
        found = super()._recovers(reason, sent=sent, began=began, stale=stale)
        if not found:
            self._opened = None
        return found

    def _observe(
        self, status: int, reason: Reason | None, body: bytes | None = None, worked: float = 0.0
    ) -> Outcome:
        outcome = super()._observe(status, reason, body, worked)
        if outcome.status or outcome.gone:
            self._close(outcome.reason)
            self._end(outcome.status, outcome.reason or "", outcome.decision, gone=outcome.gone)
        return outcome

    def _open(self) -> None:
        """Another attempt begins, perhaps: the last one that does before it ends counts."""
        self._opened = self._live.clock()
        self._span = new_span()
        self._answered = 0

    def _close(self, reason: Reason | None) -> None:
        """The attempt is over; what was never meant for a worker is none."""
        opened, self._opened = self._opened, None
        if opened is None or reason is Reason.SHED:
            return
        started, pool = self._started, self.endpoint_pool
        self._attempts.append(
            Attempt(
                self._span,
                self._decision,
                None if pool is None else pool.endpoint,
                opened - started,
                self._live.clock() - started,
                self._answered,
                reason,
                self._cause,
            )
        )

    def _end(
        self, status: int, reason: str, decision: Decision | None = None, *, gone: bool = False
    ) -> None:
        """Tell of it, once."""
        if self._over:
            return
        self._over = True
        request, parent = self._request, self._parent
        state = b"" if parent is None else request.head.fields.get(b"tracestate", b"")
        self._spool.put(
            Visit(
                self._own,
                "" if parent is None else parent.span,
                state,
                request.head,
                request.origin,
                request.id,
                self._began,
                self._live.clock() - self._started,
                status,
                decision,
                str(reason),
                gone,
                tuple(self._attempts),
            )
        )


class SpannedConnection(InboundConnection):
    """Puts into ``spool`` what becomes of the requests that ``sampling``, or their trace, keeps."""

    __slots__ = ("_exemplars", "_sampling", "_spool")

    def __init__(
        self,
        exemplars: Exemplars,
        spool: Spool,
        sampling: Sampling,
        live: Live,
        connections: set[InboundConnection],
    ) -> None:
        super().__init__(live, connections)
        self._exemplars = exemplars
        self._spool = spool
        self._sampling = sampling

    def _begin(self, request: Request) -> None:
        said = request.head.fields.get(b"traceparent")
        parent = None if said is None else read_traceparent(said)
        if parent is not None:
            trace = parent.id if parent.sampled else ""
        else:
            number = getrandbits(128)
            trace = f"{number:032x}" if self._sampling.keeps(number) else ""
        if trace:
            shared = self._live, self._exemplars, self._spool
            self._exchange = SpannedExchange(self, request, *shared, trace, parent)
        else:
            self._exchange = Exchange(self, request, self._live)
        self._exchange.start()


def new_span() -> str:
    """The id of a span, in hexadecimal; never 0, which is none."""
    return f"{getrandbits(64) or 1:016x}"
