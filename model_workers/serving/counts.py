"""What a worker answered, counted where the answer leaves: ``GET /stats``.

Acceptance tests compare these numbers with the gateway's, to the request. So an answer is counted
under its status only once its last byte was handed over; one that broke off is ``cut``; and one
whose client was seen to leave is 499, as nginx calls it. Whoever leaves while the model works is
not seen: that goes on, and is counted as it ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Asked by operators and probes, directly and not through a gateway: these are no traffic.
UNCOUNTED = frozenset(
    [
        "/contract",
        "/docs",
        "/openapi.json",
        "/healthy",
        "/ready",
        "/ping",
        "/stats",
        "/faults",
        "/v2/health/live",
        "/v2/health/ready",
    ]
)
# What is not the client's fault: a prediction that raised, that hung, whose answer broke the
# contract, or that was not begun because too many others wait or hang.
FAILURES = ("raised", "hung", "broken", "overloaded")


class Counts:
    """Requests by status, predictions by label, failures of the model by kind; every known label
    and kind exists at 0 from the start.
    """

    def __init__(self, labels: Collection[str]) -> None:
        self.requests: Counter[str] = Counter()
        self.predictions: Counter[str] = Counter(dict.fromkeys(labels, 0))
        self.failures: Counter[str] = Counter(dict.fromkeys(FAILURES, 0))

    def predicted(self, labels: Iterable[str]) -> None:
        self.predictions.update(labels)


class CountAnswers:
    """ASGI middleware, to be put outermost so that it also sees the answer to a crash."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        status = "cut"
        counted = "cut"

        async def watched(message: Message) -> None:
            nonlocal status, counted
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                counted = status

        try:
            await self._app(scope, receive, watched)
        finally:
            self._counts.requests[counted] += 1
