"""One request's way: resolve, forward, reply, observe; and what happens when a version fails.

What is tried again, and when:

1. A connection that had answered before and is reset before the first byte of this answer was most
   likely idle too long: once more on a new one, if a prediction may be asked twice.
2. An endpoint that refuses or resets: once more on another endpoint of the same version, if there
   is one (after a reset only if a prediction may be asked twice).
3. A candidate that gives no good answer: stable answers in its place, within the same deadline, and
   the failure counts against the candidate. While stable could still be asked, a candidate gets
   ``CANDIDATE_PATIENCE`` of the deadline and no more.

A request whose body was streamed away can never be sent again. Rule 1 is no failure of the version:
nobody could know that the connection was stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gateway.errors import Reason, Refusal
from gateway.headers import ReplyHead, has_no_body
from gateway.observe import Outcome
from gateway.replies import error_reply, failure_sentence, reply_head

if TYPE_CHECKING:
    from gateway.live import Live, Serving
    from gateway.pool import EndpointPool
    from gateway.request import Request
    from gateway.table import Decision
    from gateway.upstream import UpstreamConnection

# Of the time that is left. A candidate that hangs leaves stable the other half.
CANDIDATE_PATIENCE: Final = 0.5
COOKIE_SECONDS: Final = 365 * 24 * 3600


class Client(Protocol):
    """The connection a request came from."""

    def write(self, data: bytes) -> None: ...
    def done(self, *, keep_alive: bool) -> None: ...
    def abort(self) -> None: ...
    def hold_upload(self, held: bool) -> None: ...
    def refuse(self, request: Request, refusal: Refusal) -> None: ...


class Exchange:
    """From a whole request (or the beginning of a streamed one) to its one answer."""

    __slots__ = (
        "_client",
        "_connection",
        "_cookie",
        "_deadline",
        "_decision",
        "_live",
        "_patience",
        "_request",
        "_retried",
        "_sent_at",
        "_serving",
        "_started",
        "_streaming",
        "endpoint_pool",
    )

    _serving: Serving
    _decision: Decision

    def __init__(self, client: Client, request: Request, live: Live) -> None:
        self._client = client
        self._request = request
        self._live = live
        self._started = self._deadline = self._patience = self._sent_at = live.clock()
        self._connection: UpstreamConnection | None = None
        self._streaming: ReplyHead | None = None  # the head of an answer that is on its way
        self._cookie = b""
        self._retried = False
        self.endpoint_pool: EndpointPool | None = None

    # --- resolve, forward

    def start(self) -> None:
        """Decide where the request goes, and send it there."""
        self._serving = self._live.serving
        try:
            decision = self._resolve()
        except Refusal as refusal:
            self._client.refuse(self._request, refusal)
            return
        self._deadline = self._started + decision.route.timeout
        self._forward(decision)

    def _resolve(self) -> Decision:
        request = self._request
        fields = request.head.fields
        route = self._serving.table.match(request.path, fields)
        key = route.key(fields)
        if key is None and route.sticky_cookie is not None:
            key = self._live.new_id().encode()
            self._cookie = b"Set-Cookie: %b=%b; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax\r\n" % (
                route.sticky_cookie,
                key,
                COOKIE_SECONDS,
            )
        return route.assign(fields, key, self._live.draw)

    def _forward(self, decision: Decision) -> None:
        self._decision = decision
        self._patience = self._deadline
        if decision.fallback is not None and self._repeatable():
            now = self._live.clock()
            self._patience = now + (self._deadline - now) * CANDIDATE_PATIENCE
        self._serving.pools[decision.index].forward(self)

    def send_on(self, connection: UpstreamConnection) -> None:
        """The pool found a connection."""
        self._connection = connection
        self._sent_at = self._live.clock()
        connection.send(self, self._request.method, self._request.render())

    # --- reply, observe

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        """A whole answer."""
        self._connection = None
        failed = Reason.UPSTREAM_5XX if head.status >= 500 else None
        if failed is not None and self._gives_way(failed, sent=True):
            return
        keep_alive = self._keeps_alive()
        if has_no_body(head.status, self._request.method):
            declared = None if head.status == 204 else head.length
            self._client.write(self._reply_head(head, declared, keep_alive))
        else:
            self._client.write(self._reply_head(head, len(body), keep_alive) + body)
        self._observe(head.status, failed, body if failed is None else None)
        self._client.done(keep_alive=keep_alive)

    def on_stream(self, head: ReplyHead) -> None:
        """The head of an answer that is passed on as it comes."""
        if head.status >= 500 and self._may_give_way(sent=True):
            self._leave()
            self._gives_way(Reason.UPSTREAM_5XX, sent=True)
            return
        self._streaming = head
        self._client.write(self._reply_head(head, head.length, self._keeps_alive()))

    def on_stream_data(self, chunk: bytes) -> None:
        """A piece of a streamed body."""
        self._client.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked() else chunk)

    def on_stream_end(self) -> None:
        """The streamed body is whole."""
        self._connection = None
        head = self._streaming
        if head is None:
            return
        if self._chunked():
            self._client.write(b"0\r\n\r\n")
        self._observe(head.status, Reason.UPSTREAM_5XX if head.status >= 500 else None)
        self._client.done(keep_alive=self._keeps_alive())

    def on_failure(self, reason: Reason, *, began: bool) -> None:
        """No answer: try again where allowed, give way to stable, or tell the client so."""
        connection, self._connection = self._connection, None
        if self._streaming is not None:  # half of it is with the client already: cut it visibly
            self._observe(self._streaming.status, reason)
            self._client.abort()
        elif not self._tries_again(reason, connection, began):
            self._settle(reason, sent=connection is not None)

    def _settle(self, reason: Reason, *, sent: bool) -> None:
        """This version gives no answer any more: stable does, or the gateway says so."""
        if self._gives_way(reason, sent=sent):
            return
        request, keep_alive = self._request, self._keeps_alive()
        reply = error_reply(
            reason.status,
            reason.value,
            failure_sentence(reason),
            request.id,
            headers=self._decision.headers + self._cookie,
            keep_alive=keep_alive,
            head_only=request.method == b"HEAD",
        )
        self._client.write(reply)
        self._observe(reason.status, reason)
        self._client.done(keep_alive=keep_alive)

    def _observe(
        self, status: int, reason: Reason | None, body: bytes | None = None, *, gone: bool = False
    ) -> None:
        now = self._live.clock()
        waited, worked = now - self._started, now - self._sent_at
        self._serving.observe(Outcome(self._decision, status, reason, gone, waited, worked, body))

    # --- what the client and the clock do meanwhile

    def upload(self) -> None:
        """More of a streamed request body has come, or its end."""
        if self._connection is not None:
            self._connection.upload(self._request.render_more())

    def on_upload_blocked(self, blocked: bool) -> None:
        """The worker reads slower than the client sends, or has caught up."""
        if self._request.streamed:
            self._client.hold_upload(blocked)

    def on_client_blocked(self, blocked: bool) -> None:
        """The client reads slower than the worker sends, or has caught up."""
        if self._streaming is not None and self._connection is not None:
            self._connection.pause(blocked)

    def abandon(self) -> None:
        """The client left: end the worker's work too. Nobody's failure."""
        self._leave()
        self._observe(0, None, gone=True)

    def sweep(self, now: float) -> None:
        """Fail what took too long; called every so often instead of a timer per request."""
        if now < self._patience:
            return
        sent = self._connection is not None
        self._leave()
        if self._streaming is not None:
            self.on_failure(Reason.TIMEOUT, began=True)
        else:
            self._settle(Reason.TIMEOUT, sent=sent)

    def outdated(self) -> bool:
        """Whether a newer file may send it elsewhere: ``weight: 0`` means not one more request."""
        return self._live.serving is not self._serving

    def restart(self) -> None:
        """Resolve anew under the present table, within the same deadline."""
        self.endpoint_pool = None
        self.start()

    # --- the rules of this module

    def _tries_again(
        self, reason: Reason, connection: UpstreamConnection | None, began: bool
    ) -> bool:
        """Rules 1 and 2; once per version asked."""
        repeatable = reason is Reason.CONNECT or (reason is Reason.RESET and self._repeatable())
        if self._retried or began or not repeatable:
            return False
        pool = self._serving.pools[self._decision.index]
        stale = connection is not None and connection.served > 0
        if not stale and len(pool.members) == 1:
            return False
        self._retried = True
        self._serving.counts[self._decision.index].retries[reason] += 1
        if self.outdated():
            self.restart()
        else:
            pool.forward(self, fresh=True, avoid=None if stale else self.endpoint_pool)
        return True

    def _gives_way(self, reason: Reason, *, sent: bool) -> bool:
        """Rule 3."""
        fallback = self._decision.fallback
        if fallback is None or not self._may_give_way(sent=sent):
            return False
        self._observe(0, reason)
        self._retried = False
        self.endpoint_pool = None
        self._forward(fallback)
        return True

    def _may_give_way(self, *, sent: bool) -> bool:
        if self._decision.fallback is None or (sent and not self._repeatable()):
            return False
        return self._live.clock() < self._deadline

    def _repeatable(self) -> bool:
        """Whether the worker may be asked a second time, having perhaps begun the first."""
        return self._decision.route.idempotent and not self._request.streamed

    # --- small parts

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
        streaming = self._streaming
        if streaming is not None and streaming.length is None and request.http10:
            return False  # the end of the connection is the end of the body
        return request.keep_alive and request.whole and not self._live.draining

    def _chunked(self) -> bool:
        head = self._streaming
        return head is not None and head.length is None and not self._request.http10

    def _reply_head(self, head: ReplyHead, length: int | None, keep_alive: bool) -> bytes:
        connection = b""
        if not keep_alive:
            connection = b"Connection: close\r\n"
        elif self._request.http10:
            connection = b"Connection: keep-alive\r\n"
        return reply_head(
            head,
            self._decision.headers + self._cookie,
            self._request.id,
            length=length,
            chunked=self._chunked(),
            connection=connection,
        )
