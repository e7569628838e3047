"""What must hold for any bytes whatever: one function per target, bytes in, AssertionError out.

The fuzzer (``make fuzz``) looks for bytes that break one of them; ``test_corpus.py`` holds what it
found, and what it began with, against the same functions. How a stream is cut, and which edit is
tried, is drawn from the bytes themselves, so that a file of the corpus is nothing but a message.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from random import Random
from time import perf_counter
from typing import Any, Final

import h11
import msgspec

from gateway.answers.predictions import LONG, MAX_VALUE, Missing, PredictionReader
from gateway.clients import reader
from gateway.clients.reader import RequestReader
from gateway.clients.uploads import Uploads
from gateway.config import parse, warnings
from gateway.edit import Change, Promote, SetPaused, SetWeight, apply
from gateway.errors import ConfigError, EditRefused, Reason
from gateway.http.headers import HOP_BY_HOP, ReplyHead
from gateway.http.replies import reply
from gateway.http.request import Request
from gateway.http.target import origin_form
from gateway.model import FULL_WEIGHT, Prediction, Route, RoutingConfig
from gateway.routing.compiled import Fields
from gateway.routing.table import compile_table
from gateway.workers import upstream
from gateway.workers.backlog import Backlog
from gateway.workers.gathering import Gathering
from gateway.workers.upstream import UpstreamConnection

Oracle = Callable[[bytes], None]


def cut(data: bytes) -> list[bytes]:
    """The same bytes in pieces, some of them one byte by one byte."""
    draw = Random(zlib.crc32(data))
    if draw.random() < 0.2:
        return [data[i : i + 1] for i in range(len(data))]
    places = (draw.randrange(len(data) + 1) for _ in range(draw.randrange(1, 9)))
    borders = sorted({0, len(data), *places})
    return [data[a:b] for a, b in pairwise(borders)]


def heads_and_bodies(data: bytes) -> list[bytes]:
    """In pieces that end with each empty line, and in those that begin with each first line."""
    pieces = re.split(rb"(?<=\r\n\r\n)|(?=HTTP/1\.1 2)|(?=(?:GET|POST) )", data)
    return [piece for piece in pieces if piece]


# --- requests

LIMIT: Final = 1000
# What the gateway says itself, or what ends with the hop; the fields of a worker's request beside
# these are the client's.
_OWN: Final = HOP_BY_HOP | {b"content-length", b"expect", b"forwarded", b"x-real-ip", b"proxy"}
_OURS: Final = {b"x-request-id", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}


@dataclass
class _Client:
    """Sink and gate of a reader. ``told`` is everything in order: what a request was, or the status
    it was refused with.
    """

    told: list[tuple[Any, ...]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    body_floor: int = LIMIT
    uploads: Uploads = field(default_factory=lambda: Uploads(lambda: 0.0))

    def __post_init__(self) -> None:
        self.reader = RequestReader(self, self, b"192.0.2.7\r\nX-Forwarded-Proto: http")

    def on_expect(self, request: Request) -> None:
        assert not request.whole
        self.told.append(("expects",))

    def on_body(self, request: Request) -> None:
        raise AssertionError("a body within the limit is not streamed")

    def on_request(self, request: Request) -> None:
        assert not self.reader.ended
        assert request.whole
        assert request.size == sum(map(len, request.chunks)) <= LIMIT
        head = request.head
        assert request.size == head.size or head.declared is None
        facts = (head.method, head.target, head.version, head.start, request.keep_alive)
        self.told.append((*facts, b"".join(request.chunks)))
        self.requests.append(request)

    def on_refusal(self, request: Request) -> None:
        refusal = request.refusal
        assert refusal is not None
        assert 400 <= refusal.status < 600
        assert refusal.sentence.isascii()
        self.told.append((refusal.status, refusal.reason))

    def new_id(self) -> bytes:
        return b"id"

    def body_limit(self, path: bytes, fields: Fields) -> int:
        return LIMIT


def _asked(pieces: list[bytes], *, remembers: bool = False) -> _Client:
    client = _Client()
    for piece in pieces:
        if not remembers:
            reader.known.forget()
        client.reader.feed(piece)
    return client


def requests(data: bytes) -> None:
    """A stream of a client: read alike however it is cut and whatever was read before, and passed
    on as exactly the requests that were told.
    """
    whole = _asked([data])
    twice = _asked([data + data])
    assert _asked(cut(data)).told == whole.told
    reader.known.forget()
    for pieces in ([data], heads_and_bodies(data), [data], heads_and_bodies(data), cut(data)):
        again = _asked(pieces, remembers=True)
        assert _up_to_its_last(again.told) == _up_to_its_last(whole.told)
    told = _asked([data, data], remembers=True).told
    assert _up_to_its_last(told) == _up_to_its_last(twice.told)
    refused = [i for i, facts in enumerate(whole.told) if len(facts) == 2]
    assert refused in ([], [len(whole.told) - 1])
    assert whole.reader.ended == bool(refused)
    for request in (*whole.requests, *again.requests):
        _is_passed_on_as_itself(request)


def _up_to_its_last(told: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What was told up to the first request that ends the connection: whatever comes behind it is
    never served (tests/sockets/test_last_request.py), and may be told as a request or a refusal.
    """
    ends = (at for at, facts in enumerate(told, 1) if len(facts) == 6 and not facts[4])
    return told[: next(ends, len(told))]


def _is_passed_on_as_itself(request: Request) -> None:
    """What a worker gets is one request, the same one, for our own parser and for a stricter."""
    head, body = request.head, b"".join(request.chunks)
    sent = request.render()
    worker = _asked([sent])
    assert len(worker.told) == len(worker.requests) == 1, worker.told
    got = worker.requests[0]
    assert (got.head.method, got.head.target) == (head.method, origin_form(head.target))
    assert b"".join(got.chunks) == body
    assert got.head.fields[b"host"] == head.fields.get(b"host", b"")
    assert got.head.framed == head.framed
    ended = _OWN | {one.strip().lower() for one in head.fields.get(b"connection", b"").split(b",")}
    passed = {
        name: value
        for name, value in head.fields.items()
        if name not in ended | _OURS | {b"host"}
        and not name.startswith((b"x-forwarded-", b"proxy-"))
    }
    gotten = {
        name: value
        for name, value in got.head.fields.items()
        if name not in _OURS | {b"host", b"content-length"}
    }
    assert gotten == passed
    strict = h11.Connection(h11.SERVER)
    strict.receive_data(sent)
    events = list(_events(strict))
    assert type(events[0]) is h11.Request
    assert (events[0].method, events[0].target) == (got.head.method, got.head.target)
    assert b"".join(bytes(one.data) for one in events if type(one) is h11.Data) == body
    assert type(events[-1]) is h11.EndOfMessage
    assert strict.trailing_data[0] == b""


def _events(connection: h11.Connection) -> Iterator[Any]:
    while True:
        event = connection.next_event()
        if event in (h11.NEED_DATA, h11.PAUSED):
            return
        yield event
        if type(event) is h11.EndOfMessage:
            return


# --- answers


@dataclass(eq=False)
class _Worker:
    """Owner, receiver and transport of a connection to a worker; ``told`` is what they heard."""

    told: list[Any] = field(default_factory=list)
    closed: bool = False
    head: ReplyHead | None = None

    def __post_init__(self) -> None:
        self.gathering = Gathering(Backlog())
        self.clock, self.read_at = perf_counter, 0.0
        self.connection = UpstreamConnection(self)
        self.connection.connection_made(self)  # type: ignore[arg-type]

    def ask(self, method: bytes) -> None:
        self.told = []
        self.connection.send(self, method, b"", whole=True)

    def answer(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if not self.closed:
                self.connection.data_received(piece)

    def outcome(self) -> tuple[Any, ...]:
        """How the request ended, the connection with it if it had not, and whether it can be used
        again. ``released`` is told once, and before the end.
        """
        used_again = ("released", True) in self.told and not self.closed
        if not any(one[0] in ("reply", "end", "failed") for one in self.told):
            self.connection.connection_lost(None)
        names = [one[0] for one in self.told]
        assert names.count("released") == 1, names
        assert sum(name in ("reply", "end", "failed") for name in names) == 1, names
        assert names[-2] == "released", names
        heard = [one for one in self.told if one[0] != "released"]
        return (*heard, used_again)

    # --- transport

    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    # --- owner

    def released(self, connection: UpstreamConnection, reusable: bool) -> None:
        self.told.append(("released", reusable))

    def lost(self, connection: UpstreamConnection) -> None: ...

    # --- receiver

    def on_reply(self, head: ReplyHead, body: bytes) -> None:
        self.head = head
        self.told.append(("reply", head.status, head.start, head.length, body))

    def on_stream(self, head: ReplyHead) -> None:
        self.told.append(("stream", head.status, head.start, b""))

    def on_stream_data(self, chunk: bytes) -> None:
        *facts, before = self.told[-1]
        assert facts[0] == "stream"
        self.told[-1] = (*facts, before + chunk)

    def on_stream_end(self) -> None:
        self.told.append(("end",))

    def on_failure(self, reason: Reason, *, began: bool) -> None:
        self.told.append(("failed", reason, began))

    def on_upload_blocked(self, blocked: bool) -> None: ...


def _answered(pieces: list[bytes], method: bytes, *, remembers: bool = False) -> _Worker:
    if not remembers:
        upstream.known.forget()
    worker = _Worker()
    worker.ask(method)
    worker.answer(pieces)
    return worker


def answers(data: bytes) -> None:
    """A stream of a worker: one end of the request, the same however it is cut and whatever was
    read before; and a client reads the same answer again.
    """
    pieces = [data] if data else []  # no transport tells of no bytes
    for method in (b"POST", b"HEAD"):
        whole = _answered(pieces, method)
        outcome = whole.outcome()
        *heard, used_again = _answered(cut(data), method).outcome()
        assert heard == list(outcome[:-1])
        assert used_again == outcome[-1] or _ends_in_empty_lines(data, method)
        upstream.known.forget()
        for parts in (pieces, heads_and_bodies(data), pieces, heads_and_bodies(data), cut(data)):
            again = _answered(parts, method, remembers=True)
            assert again.outcome()[:-1] == outcome[:-1]
        again = _answered(pieces, method, remembers=True)
        assert again.outcome() == outcome
        if outcome[-1]:
            again.ask(method)
            again.answer(pieces)
            assert again.outcome() == outcome
        if whole.head is not None:
            _is_told_to_the_client(whole.head, outcome[0][-1], method)


def _ends_in_empty_lines(data: bytes, method: bytes) -> bool:
    """Whether there are empty lines after the answer: to a parser that gets them with it they are
    nothing, and so they are not to the connection.
    """
    while data.endswith((b"\r", b"\n")):
        data = data[:-1]
        pieces = [data[i : i + 1] for i in range(len(data))]
        if _answered(pieces, method).outcome()[-1] and _answered([data], method).outcome()[-1]:
            return True
    return False


def _is_told_to_the_client(head: ReplyHead, body: bytes, method: bytes) -> None:
    length: int | None = len(body)
    if head.bare or method == b"HEAD":
        length = None if head.status == 204 else head.length
    sent = reply(head, b"X-Model-Version: v1\r\n", b"id", b"", length=length, body=body)
    client = _answered([sent], method)
    found = client.outcome()
    assert found[0][0] == "reply", found
    assert found[0][1] == head.status
    assert found[0][-1] == body
    strict = h11.Connection(h11.CLIENT)
    strict.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    strict.send(h11.EndOfMessage())
    strict.receive_data(sent)
    if length is None and not head.bare and method != b"HEAD":
        strict.receive_data(b"")
    events = list(_events(strict))
    assert type(events[0]) is h11.Response
    assert events[0].status_code == head.status
    assert b"".join(bytes(one.data) for one in events if type(one) is h11.Data) == body
    assert type(events[-1]) is h11.EndOfMessage
    assert strict.trailing_data[0] == b""


# --- routing.yaml


def config(data: bytes) -> None:
    """A file: taken, or refused with problems that stand in it; and where it is taken, a machine's
    edit changes what it says and nothing else, or nothing at all.
    """
    try:
        found = parse(data)
    except ConfigError as error:
        _stand_in_the_file(error, data)
        return
    warnings(data)
    compile_table(found)
    draw = Random(zlib.crc32(data))
    route = draw.choice(found.routes)
    version = draw.choice(route.versions).name
    rollout = route.rollout(version)
    if rollout is not None and draw.random() < 0.5:
        paused = version != route.stable and not rollout.paused
        change: Change = SetPaused(route.name, version, paused)
    elif version == route.stable or draw.random() < 0.3:
        change = Promote(route.name, version)
    else:
        room = FULL_WEIGHT - sum(one.weight for one in route.candidates if one.name != version)
        change = SetWeight(route.name, version, draw.randint(0, room))
    try:
        after = apply(data, change)
    except EditRefused:  # by the rules of another key, or the layout is too odd
        return
    assert _plain(parse(after)) == _intended(found, change)
    assert apply(after, change) == after
    _differ_in_one_place(data.decode(), after.decode(), change)


def _stand_in_the_file(error: ConfigError, data: bytes) -> None:
    lines = re.split("\r\n|\r|\n", data.decode(errors="replace"))
    assert error.problems
    places = [(one.line, one.column) for one in error.problems]
    assert places == sorted(places)
    for problem in error.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.render("routing.yaml").isprintable()


def _plain(one: RoutingConfig) -> RoutingConfig:
    return replace(one, generation="")


def _intended(before: RoutingConfig, change: Change) -> RoutingConfig:
    weight = change.weight_bp if isinstance(change, SetWeight) else 0
    paused = isinstance(change, SetPaused) and change.paused

    def edited(route: Route) -> Route:
        if route.name != change.route:
            return route
        if not isinstance(change, SetWeight):
            rollouts = (
                replace(one, paused=paused) if one.candidate == change.version else one
                for one in route.rollouts
            )
            route = replace(route, rollouts=tuple(rollouts))
        if isinstance(change, SetPaused):
            return route
        stable = route.stable if isinstance(change, SetWeight) else change.version
        versions = (
            replace(one, weight=weight) if one.name == change.version else one
            for one in route.versions
        )
        return replace(route, stable=stable, versions=tuple(versions))

    return _plain(replace(before, routes=tuple(map(edited, before.routes))))


def _differ_in_one_place(before: str, after: str, change: Change) -> None:
    """A weight is one stretch of the text, and so is a pause; a promotion's is from `stable` to the
    weight or the pause.
    """
    room = min(len(before), len(after))
    start = next((i for i in range(room) if before[i] != after[i]), room)
    room -= start
    end = next((i for i in range(room) if before[-1 - i] != after[-1 - i]), room)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if isinstance(change, SetWeight):
        assert len(old) <= 80, (old, new)  # digits, which may be written as escapes
        assert len("".join(new.split())) <= 20, (old, new)  # digits, or a new entry
    elif isinstance(change, SetPaused) and change.paused:
        assert len("".join(new.split())) <= 20, (old, new)
    assert before.count("#") == after.count("#")


# --- predictions

_POINTERS: Final = (
    ("/predictions/0", "/probabilities/0"),
    ("/outputs/0/data/0", "/outputs/1/data/0"),
    ("/predictions/0", None),
    (None, "/a/b/1"),
    ("", None),
    ("/a~1b/0", "/a~1b/1"),
)
_READERS: Final = [
    (label, score, PredictionReader(Prediction(label, score, value=score)))
    for label, score in _POINTERS
]


def predictions(data: bytes) -> None:
    """An answer's body: never an exception, and what stands at the pointers or a word why not."""
    for label, score, one in _READERS:
        found = one.read(data)
        text, number, value, missing = found
        assert value is None or (value == number and abs(value) <= MAX_VALUE)
        assert text is None or text.encode() is not None
        assert number is None or isfinite(number)
        assert missing is None or missing in Missing
        try:
            document = json.loads(data.decode())
        except (ValueError, RecursionError):  # the other parser skips what it does not need
            continue
        long = one.read(b" " * LONG + data)
        if missing is not Missing.UNREADABLE:
            # A long array that ends before the pointer, or holds more than plain values, is looked
            # through with all that stands beside it: a number no float can hold, for example.
            assert long[:2] == found[:2] or not _is_readable(data)
            assert text == _text(pointed_at(document, label))
            assert number == _number(pointed_at(document, score))


def _is_readable(data: bytes) -> bool:
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        msgspec.json.decode(data)
        return True
    return False


def pointed_at(document: Any, pointer: str | None) -> Any:
    """RFC 6901, evaluated the slow way; None if nothing stands there."""
    if pointer is None:
        return None
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            at = int(token) if token.isdecimal() else len(document)
            document = document[at] if at < len(document) else None
        elif isinstance(document, dict):
            document = document.get(token)
        else:
            return None
    return document


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


ORACLES: Final[dict[str, Oracle]] = {
    "requests": requests,
    "answers": answers,
    "config": config,
    "predictions": predictions,
}
