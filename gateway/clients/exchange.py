"""One request's way: resolve, forward, reply, observe; ``recovery`` says what follows a failure.

An exchange ends exactly once: with an answer written, a connection cut, or a client gone. Each
version that had a part in it is observed exactly once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.answers.observe import Outcome
from gateway.answers.recovery import CANDIDATE_PATIENCE, RETRIES, Move, next_move
from gateway.answers.stream import StreamedReply
from gateway.errors import Reason, Refusal
from gateway.http.headers import ReplyHead, to_container
from gateway.http.replies import connection_line, failure_reply, reply

if TYPE_CHECKING:
    from gateway.clients.client import Client
    from gateway.clients.live import Live, Serving
    from gateway.http.request import Request
    from gateway.routing.decision import Decision
    from gateway.workers.budget import Retry
    from gateway.workers.pool import EndpointPool
    from gateway.workers.upstream import UpstreamConnection


class Exchange:
    """From a whole request (or the beginning of a streamed one) to its one answer."""

    __slots__ = (
        *("_client", "_connection", "_cookie", "_deadline", "_decision", "_live", "_ours_from"),
        *("_patience", "_request", "_retried", "_sent_at", "_serving", "_started", "_streaming"),
        *("clock", "endpoint_pool", "read_at"),
    )

    _serving: Serving
    _decision: Decision

    def __init__(self, client: Client, request: Request, live: Live) -> None:
        self._client, self._request, self._live, self.clock = client, request, live, live.clock
        self._started = self._deadline = self._patience = self._sent_at = client.read_at
        self._ours_from = self.read_at = client.read_at  # the first grows by what workers had it
        self._connection: UpstreamConnection | None = None
        self._streaming: StreamedReply | None = None  # the answer that is on its way
        self._cookie = b""
        self._retried: Retry | bool = False  # this version is asked again; what a budget granted
        self.endpoint_pool: EndpointPool | None = None

    # --- resolve, forward

    def start(self) -> None:
        """Decide where the request goes, and send it there; also anew, within its deadline."""
        self._serving = self._live.serving
        try:
            decision, self._cookie = self._live.resolve(self._request.head)
        except Refusal as refusal:
            self._client.refuse(self._request, refusal)
            return
        self._deadline = self._started + decision.route.timeout
        self._forward(decision)

    def _forward(self, decision: Decision) -> None:
        self._decision = decision
        self._patience = self._deadline
        self.endpoint_pool = None
        if decision.fallback is not None and self._repeatable():
            now = self.clock()
            self._patience = now + (self._deadline - now) * CANDIDATE_PATIENCE
        self._serving.pools[decision.index].forward(self)

    def send_on(self, connection: UpstreamConnection) -> None:
        """The pool found a connection."""
        self._connection = connection
        request = self._request
        if request.streamed:
            self._client.hold(False)
        rendered = to_container(request.render()) if self._decision.container else request.render()
        self._sent_at = self.clock()
        connection.send(self, request.head.method, rendered, whole=request.whole)

    # --- reply, observe

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        """A whole answer."""
        self._connection = None
        worked, status = self.read_at - self._sent_at, head.status
        self._ours_from += worked
        failed = Reason.of_status(status) if status >= 500 else None
        if failed is not None and self._recovers(failed, sent=True):
            return
        keep_alive = self._keeps_alive()
        length: int | None = len(body)
        if head.bare or self._request.head.method == b"HEAD":
            length = None if status == 204 else head.length
        self._client.write(self._render(head, length, keep_alive, body))
        self._observe(status, failed, body if failed is None else None, worked)
        self._client.done(keep_alive=keep_alive)

    def on_stream(self, head: ReplyHead) -> None:
        """The head of an answer that is passed on as it comes."""
        connection, failed = self._connection, Reason.of_status(head.status)
        self._connection = None
        self._ours_from += self.read_at - self._sent_at
        if failed is not None:
            if self._recovers(failed, sent=True):
                if connection is not None:
                    connection.abandon()
                return
            self.endpoint_pool = None  # it knows of its failure, whatever comes of the rest
        self._connection, request = connection, self._request
        events = self._serving.counts[self._decision.index].events
        self._streaming = StreamedReply(head, http10=request.head.http10, events=events)
        self._patience = self._deadline  # nobody can take over any more
        # What the head says, the end does.
        request.keep_alive = self._keeps_alive() and not self._streaming.ends_connection
        if self._streaming.ends_connection:
            self._client.unfinished(True)
        self._client.write(self._render(head, head.length, request.keep_alive))
        self._streaming.overhead = self.clock() - self._ours_from

    def on_stream_data(self, chunk: bytes) -> None:
        """A piece of a streamed body."""
        streaming = self._streaming
        if streaming is not None:
            self._client.write(streaming.piece(chunk))
            if streaming.begins:
                streaming.begins = False
                self._serving.counts[self._decision.index].began(self.clock() - self._started)

    def on_stream_end(self) -> None:
        """The streamed body is whole."""
        self._connection, streaming, asked = None, self._streaming, self.endpoint_pool
        if streaming is not None:
            self._client.write(streaming.end)
            if streaming.ends_connection:
                self._client.unfinished(False)
            if streaming.failed is not None and asked is not None:
                asked.failed(self.clock(), sent=True)
            self._observe(streaming.head.status, streaming.failed)
            self._client.done(keep_alive=self._keeps_alive())

    def on_failure(self, reason: Reason, *, began: bool) -> None:
        """No answer: try again where allowed, give way to stable, or tell the client so."""
        connection, self._connection = self._connection, None
        if self._streaming is not None:  # half of it is with the client already: cut it visibly
            if self.endpoint_pool is not None:
                self.endpoint_pool.failed(self.clock(), sent=True)
            self._observe(self._streaming.head.status, reason)
            self._client.cut()
            return
        stale = connection is not None and connection.served > 0
        if connection is not None:
            self._ours_from += self.clock() - self._sent_at
        if not self._recovers(reason, sent=connection is not None, began=began, stale=stale):
            self._fail(reason)

    def _recovers(
        self, reason: Reason, *, sent: bool, began: bool = True, stale: bool = False
    ) -> bool:
        """Make the next move after a failed attempt; False if there is none but to fail."""
        decision, serving, now = self._decision, self._serving, self.clock()
        pool, counts = serving.pools[decision.index], serving.counts[decision.index]
        facts = partial(
            next_move,
            reason,
            sent=sent,
            began=began,
            stale=stale,
            endpoints=len(pool.members),
            repeatable=self._repeatable(),
            fallback=decision.fallback is not None,
            in_time=now < self._deadline,
        )
        move = facts(retried=bool(self._retried))
        if self.endpoint_pool is not None and reason is not Reason.SHED:
            self.endpoint_pool.failed(now, sent=sent, stale=move is Move.RETRY_FRESH)
        granted: Retry | bool = move in RETRIES
        if granted and sent:
            granted = pool.budget.grant(pool.in_flight + 1) or False
            if not granted:
                counts.retry_refused(reason)
                move = facts(retried=True)
        if move is Move.FAIL:
            return False
        self._retried = granted
        if granted:
            counts.retried(reason)
        else:
            self._observe(0, reason)
        if self.outdated():
            self.start()
        elif granted:
            fresh = move is Move.RETRY_FRESH
            pool.forward(self, fresh=fresh, avoid=None if fresh else self.endpoint_pool)
        else:
            self._forward(decision.fallback or decision)
        return True

    def _fail(self, reason: Reason) -> None:
        """The gateway's own answer: no version could give one."""
        request, keep_alive = self._request, self._keeps_alive()
        who, bodiless = self._decision.headers + self._cookie, request.head.method == b"HEAD"
        line = connection_line(keep_alive, request.head.http10)
        self._client.write(failure_reply(reason, request.id, who, line, head_only=bodiless))
        self._observe(reason.status, reason)
        self._client.done(keep_alive=keep_alive)

    def _observe(
        self, status: int, reason: Reason | None, body: bytes | None = None, worked: float = 0.0
    ) -> Outcome:
        now, decision, streaming = self.clock(), self._decision, self._streaming
        ours, read = (now - self._ours_from, None) if streaming is None else streaming.told
        took, worked, request = now - self._started, worked or now - self._sent_at, self._request
        gone, bound = reason is None and not status, streaming is not None or request.streamed
        outcome = Outcome(
            decision, status, reason, gone, took, worked, body, bound, ours, request, read
        )
        self._serving.counts[decision.index].record(outcome)
        return outcome

    # --- what the client and the clock do meanwhile

    def upload(self) -> None:
        """More of a streamed request body has come, or its end."""
        if self._connection is None:
            self._client.hold(True)  # until the pool has found one
        else:
            self._connection.upload(self._request.render_more(), whole=self._request.whole)

    def on_upload_blocked(self, blocked: bool) -> None:
        """The worker reads slower than the client sends, or has caught up."""
        if self._request.streamed:
            self._client.hold(blocked)

    def on_client_blocked(self, blocked: bool) -> None:
        """The client reads slower than the worker sends, or has caught up."""
        if self._streaming is not None and self._connection is not None:
            self._connection.pause(blocked)

    def abandon(self) -> bool:
        """The client has left: end the worker's work too. Says whether the answer had begun."""
        status, failed = (0, None) if self._streaming is None else self._streaming.left
        asked, now = self.endpoint_pool if self._connection is not None else None, self.clock()
        self._leave()
        if asked is not None:
            self._ours_from += now - self._sent_at
            if failed is not None:
                asked.failed(now, sent=True)
            elif not status:
                asked.left()
        self._observe(status, failed)
        return self._streaming is not None

    def sweep(self, now: float) -> None:
        """Fail what took too long; called every so often instead of a timer per request."""
        if now < self._patience:
            return
        connection, request = self._connection, self._request
        stalls = connection is not None and not request.whole and connection.caught_up
        if stalls or (self._streaming is not None and self._client.blocked):
            if self.abandon():  # it is the client that is late
                self._client.cut()
            else:
                self._client.refuse(request, Refusal(408, "timeout", "the body came too slowly"))
            return
        self._leave()
        self._connection = connection  # which has failed
        self.on_failure(Reason.TIMEOUT, began=True)

    def outdated(self) -> bool:
        """Whether a newer file may send it elsewhere (``weight: 0`` ends at once); a round not."""
        now, own = self._live.serving, self._serving
        return now is not own and now.table.config != own.table.config

    def _repeatable(self) -> bool:
        return self._decision.route.idempotent and not self._request.streamed

    def _leave(self) -> None:
        """End what is under way at the worker, or stop waiting for a connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()
        elif self.endpoint_pool is not None:
            self.endpoint_pool.give_up(self)

    def _keeps_alive(self) -> bool:
        """Whether the client's connection outlives this answer."""
        request = self._request
        return request.keep_alive and request.whole and not self._live.draining

    def _render(
        self, head: ReplyHead, length: int | None, keep_alive: bool, body: bytes = b""
    ) -> bytes:
        who = self._decision.headers + self._cookie if self._cookie else self._decision.headers
        line = connection_line(keep_alive, self._request.head.http10)
        chunked = self._streaming is not None and self._streaming.chunked
        return reply(head, who, self._request.id, line, length=length, chunked=chunked, body=body)
