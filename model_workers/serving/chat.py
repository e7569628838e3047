"""OpenAI's chat completions: ``/v1/...``, whole or as a stream of events.

A client that leaves ends the reply at once, in the middle of a stream too; ``/stats`` counts it as
``cancelled``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from time import time
from typing import Any, Final, NamedTuple
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from ..predictors.speaker import Speaker
from ..protocols import chat
from ..protocols.chat import Asked, BadChat, Chunks, Head
from ..protocols.ending import Ending
from ..revision import code_version
from .counts import Counts
from .faults import NO_FAULTS, Fault, Faults, Strike
from .openapi import ERRORS, Fragment, content, operation, ref
from .served import Served
from .threads import Threads
from .wire import CUT, at_once, client_gone, json_response, read_body, sentence, stoppable
from .worker import LIMITS

_PREFIX: Final = "/v1/"
_MODELS: Final = "/v1/models"


class ChatWorker(Served):
    """A version of a language model. Its predictions are why its replies ended."""

    def __init__(
        self,
        version: str,
        model: str,
        speaker: Speaker,
        faults: Faults = NO_FAULTS,
        timeout_s: float = LIMITS.timeout_s,
    ) -> None:
        super().__init__(model, version, Counts(chat.REASONS), faults, Threads(timeout_s))
        self.speaker = speaker
        self.since = int(time())
        self.completion_tokens = 0
        self.cancelled = 0

    def head(self) -> Head:
        """Of one more answer. Its fingerprint begins with the version that gave it."""
        fingerprint = f"{self.version}-{code_version()}"
        return Head(f"chatcmpl-{uuid4().hex}", int(time()), self.model, fingerprint)

    def ended(self, reason: str, used: int) -> None:
        """Count one reply that was said to its end."""
        self.counts.predicted([reason])
        self.completion_tokens += used

    def told(self) -> dict[str, Any]:
        """How much was said, too, and how many clients did not wait for the end."""
        more = {"completion_tokens": self.completion_tokens, "cancelled": self.cancelled}
        return super().told() | more


def routes(worker: ChatWorker) -> list[Route]:
    """The routes of the protocol, for the one model there is."""

    async def complete(request: Request) -> Response:
        asked = chat.decode(await read_body(request), worker.model)
        fault = await worker.meet(request)
        reply = Reply(worker, asked, fault)
        await reply.begin()
        if asked.stream:
            request.scope.pop(CUT, None)  # a stream is cut between two tokens
            return Stream(reply)
        return await reply.whole(request)

    async def models(request: Request) -> Response:
        return json_response(chat.models(worker.model, worker.since))

    async def model(request: Request) -> Response:
        if request.path_params["model"] != worker.model:
            raise chat.unknown_model(request.path_params["model"], worker.model)
        return json_response(chat.model_object(worker.model, worker.since))

    return [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route(_MODELS, models),
        Route("/v1/models/{model}", model),
    ]


class Event(NamedTuple):
    """A part of a stream; ``paced`` says that the fault plan may hold it back."""

    data: bytes
    paced: bool = False


def openapi(worker: ChatWorker) -> Fragment:
    """These routes, described."""
    anything = content({"type": "object"})
    hello = {"model": worker.model, "messages": [{"role": "user", "content": "Hello!"}]}
    answer = anything | content({"description": "Chunks, and [DONE]."}, media="text/event-stream")
    known = ref("ChatRefusal")
    refused = {
        status: {"description": ERRORS[status], "content": content(known)}
        for status in (400, 404, 413, 415, 500, 503)
    }
    complete = operation(
        "The reply to a conversation, whole or as a stream of events.",
        answer,
        body=content(ref("Chat"), hello),
        more=refused,
    )
    models = {"get": operation("The one model there is.", anything)}
    return Fragment(
        {
            "/v1/chat/completions": {"post": complete},
            _MODELS: models,
            f"/v1/models/{worker.model}": models,
        },
        {**chat.schemas(worker.model), "ChatRefusal": {"type": "object", "required": ["error"]}},
    )


class Reply:
    """One reply while it is said."""

    def __init__(self, worker: ChatWorker, asked: Asked, fault: Fault) -> None:
        self._worker = worker
        self._asked = asked
        self._fault = fault
        self._ending = Ending(self._spoken(worker.ill(fault)), asked.max_tokens, asked.stop)
        self._parts = filter(None, self._ending)
        self._next: str | None = None
        self.cut = fault.strike is Strike.CUT

    def _spoken(self, suffer: Callable[[], None]) -> Iterator[str]:
        """In a thread, a token at a time."""
        suffer()
        asked = self._asked
        yield from self._worker.speaker.speak(asked.turns, asked.seed, asked.temperature)

    async def begin(self) -> None:
        """Up to its first word: a model that cannot say it is an error, not half an answer. Raises
        HTTPException.
        """
        self._next = await self._worker.run(self._take)

    def _take(self) -> str | None:
        """In a thread."""
        return next(self._parts, None)

    async def texts(self) -> AsyncIterator[str]:
        """Its words, each as soon as it is known; each has the deadline of a prediction. Raises
        HTTPException.
        """
        while self._next is not None:
            yield self._next
            self._next = await self._worker.run(self._take)

    async def whole(self, request: Request) -> Response:
        """The answer in one piece, once it is known. Raises ClientDisconnect, HTTPException."""
        texts = []
        async with leaving(request.receive) as left:
            async for text in self.texts():
                await self.pause(left, paced=True)
                texts.append(text)
        counts = self._asked.prompt_tokens, self._ending.used
        if not self.cut:
            self.ended()
        head = self._worker.head()
        return json_response(chat.whole(head, "".join(texts), self._reason(), *counts))

    async def events(self) -> AsyncIterator[Event]:
        """The same as a stream of events, each as soon as it is known; of one that is to be cut
        only the first half. Raises HTTPException.
        """
        chunks = Chunks(self._worker.head(), self._asked.usage)
        yield Event(chunks.role())
        if self.cut:
            known = [text async for text in self.texts()]
            for text in known[: len(known) // 2]:
                yield Event(chunks.text(text), paced=True)
            return
        paced = False
        async for text in self.texts():
            yield Event(chunks.text(text), paced)
            paced = True
        yield Event(chunks.finish(self._reason()))
        if self._asked.usage:
            yield Event(chunks.usage(self._asked.prompt_tokens, self._ending.used))

    async def pause(self, left: asyncio.Task[None], paced: bool) -> None:
        """As long as the fault plan says; raises ClientDisconnect once the client has left."""
        with stoppable():
            await asyncio.wait([left], timeout=self._fault.pace_s if paced else 0)
        if left.done():
            self._worker.cancelled += 1
            raise ClientDisconnect

    def ended(self) -> None:
        """It was said to its end: count it."""
        self._worker.ended(self._reason(), self._ending.used)

    def _reason(self) -> str:
        return self._fault.constant or self._ending.reason


class Stream(Response):
    """An answer of server-sent events."""

    media_type = "text/event-stream"

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["http_version"] == "1.0":
            send = at_once(send)
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        with suppress(ClientDisconnect):
            try:
                async with leaving(receive) as left:
                    async for event in self._reply.events():
                        await self._reply.pause(left, event.paced)
                        await send(_part(event.data))
            except HTTPException as error:  # the status is with the client already
                failed = chat.event(chat.refusal(error.detail, error.status_code))
                await send({"type": "http.response.body", "body": failed})
                return
            if not self._reply.cut:
                self._reply.ended()
                await send({"type": "http.response.body", "body": chat.DONE})


def _part(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


@asynccontextmanager
async def leaving(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done once the client has left; the body has been read before."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(left())
    try:
        yield task
    finally:
        task.cancel()


# --- answers that are none


async def bad_chat(request: Request, error: Exception) -> Response:
    """The answer to BadChat."""
    assert isinstance(error, BadChat)
    body = chat.refusal(str(error), error.status, error.param, error.code)
    return json_response(body, error.status)


async def _in_their_shape(request: Request, error: Exception) -> Response:
    """What went wrong below ``/v1/`` in OpenAI's shape; elsewhere as in every worker."""
    if not isinstance(error, HTTPException):
        error = HTTPException(500, "the model failed; the worker's log says why")
    said = sentence(request, error, _MODELS)
    below = request.url.path.startswith(_PREFIX)
    content = chat.refusal(said, error.status_code) if below else {"error": said}
    return json_response(content, error.status_code, dict(error.headers or {}))


HANDLERS: Final = {
    BadChat: bad_chat,
    HTTPException: _in_their_shape,
    Exception: _in_their_shape,
    ClientDisconnect: client_gone,
}
