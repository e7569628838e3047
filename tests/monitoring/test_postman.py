"""Delivering notices: who is tried again and when, what is dropped, and what is never waited for.

The network is a function; nothing here takes time. Real sockets are in tests/sockets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from gateway.model import Event, Webhook
from monitoring.notices import delivery, postman
from monitoring.notices.delivery import LARGEST
from monitoring.notices.notice import Notice
from monitoring.notices.postman import Outcome, Postman
from tests.monitoring.test_notices import make_notice
from tests.sockets.peers import PATIENCE, eventually

URL = "https://chat.example/services/SECRET?token=SECRET"
OTHER = "https://other.example/SECRET"
EVERY = tuple(Event)

Answer = Callable[[httpx2.Request], Any]


class Office:
    """A postman, and what it told, asked and slept."""

    def __init__(self, answer: Answer, **more: Any) -> None:
        self.outcomes: list[tuple[str, str, Outcome]] = []
        self.slept: list[float] = []
        self.requests: list[httpx2.Request] = []
        self._answer = answer
        self.postman = Postman(
            self._concluded,
            transport=httpx2.MockTransport(self._asked),
            **{"sleep": self._sleep, "draw": lambda: 0.0} | more,
        )

    def _concluded(self, notice: Notice, url: str, outcome: Outcome) -> None:
        self.outcomes.append((notice.id, url, outcome))

    async def _asked(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answer(request)
        given = await answer if asyncio.iscoroutine(answer) else answer
        assert isinstance(given, httpx2.Response)
        return given

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def tell(self, notice: Notice, *urls: str) -> None:
        self.postman.tell([Webhook(url, EVERY) for url in urls or (URL,)], notice)

    def concluded(self, number: int = 1) -> list[tuple[str, str, Outcome]]:
        """So many outcomes, waited for."""
        eventually(lambda: len(self.outcomes) >= number)
        return self.outcomes

    @property
    def ids(self) -> list[str]:
        return [json.loads(one.content)["id"] for one in self.requests]


Open = Callable[..., Office]


@pytest.fixture
def office() -> Iterator[Open]:
    with ExitStack() as stack:

        def start(answer: Answer, **more: Any) -> Office:
            made = Office(answer, **more)
            stack.callback(made.postman.close, 0)
            return made

        yield start


def answers(*statuses: int | Exception, fields: dict[str, str] | None = None) -> Answer:
    """One after the other, the last one for ever."""
    left = list(statuses)

    def answer(_: httpx2.Request) -> httpx2.Response:
        status = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(status, Exception):
            raise status
        return httpx2.Response(status, headers=fields)

    return answer


def never(_: httpx2.Request) -> Any:
    return asyncio.Event().wait()


def test_a_notice_arrives_as_json_with_its_event_and_id_as_fields(office: Open) -> None:
    post = office(answers(204))
    notice = make_notice()
    post.tell(notice)

    assert post.concluded() == [(notice.id, URL, Outcome.DELIVERED)]
    (request,) = post.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.content == notice.body()
    told = {"content-type", "user-agent", "x-canary-event", "x-canary-delivery"}
    assert set(request.headers) == told | {"host", "content-length"}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-canary-event"] == "rollback"
    assert request.headers["x-canary-delivery"] == notice.id
    assert request.headers["user-agent"].startswith("canary-gateway/")


def test_only_who_asked_for_such_events_is_told_and_each_url_once(office: Open) -> None:
    post = office(answers(200))
    webhooks = [
        Webhook(URL, (Event.ERROR,)),
        Webhook(OTHER, (Event.ROLLBACK, Event.ERROR)),
        Webhook(OTHER, (Event.ROLLBACK,)),
    ]
    post.postman.tell(webhooks, make_notice())
    post.postman.close(PATIENCE)

    assert [one[1] for one in post.outcomes] == [OTHER]
    assert len(post.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        *(408, 429, 500, 502, 503, 504, 599),
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        httpx2.RemoteProtocolError("garbage"),
        httpx2.ReadTimeout("late"),
    ],
)
def test_what_may_pass_is_tried_five_times_with_growing_pauses(
    trouble: int | Exception, office: Open
) -> None:
    post = office(answers(trouble))
    post.tell(make_notice())

    assert post.concluded()[0][2] is Outcome.FAILED
    assert len(post.requests) == 5
    assert post.slept == [1, 2, 4, 8]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 410, 413])
def test_what_will_not_pass_is_not_tried_again_and_no_redirect_is_followed(
    status: int, office: Open
) -> None:
    post = office(answers(status, fields={"Location": OTHER, "Retry-After": "1"}))
    post.tell(make_notice())

    assert post.concluded()[0][2] is Outcome.FAILED
    assert [str(one.url) for one in post.requests] == [URL]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_later_attempt_may_succeed(status: int, office: Open) -> None:
    post = office(answers(503, httpx2.ConnectError("refused"), status))
    post.tell(make_notice())

    assert post.concluded()[0][2] is Outcome.DELIVERED
    assert post.slept == [1, 2]
    assert post.ids == [make_notice().id] * 3


def test_pauses_are_longer_by_up_to_half_of_them_by_chance(office: Open) -> None:
    post = office(answers(500), draw=lambda: 1.0)
    post.tell(make_notice())
    post.concluded()

    assert post.slept == [1.5, 3, 6, 12]


@pytest.mark.parametrize(
    ("fields", "wait"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "60"}, 60),
        ({"Retry-After": "61"}, 60),
        ({"Retry-After": "9" * 5000}, 60),
        ({"Retry-After": "-7"}, 1),
        ({"Retry-After": "1e9"}, 1),
        ({"Retry-After": "\xb2"}, 1),
        ({"Retry-After": "soon"}, 1),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 1),
        (
            {
                "Date": "Fri, 31 Dec 1999 23:59:30 GMT",
                "Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT",
            },
            29,
        ),
        (
            {
                "Date": "Fri, 31 Dec 1999 23:59:59 GMT",
                "Retry-After": "Fri, 31 Dec 1999 23:59:30 GMT",
            },
            1,
        ),
        ({"Date": "now", "Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 1),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_says_how_long_to_wait_up_to_a_minute(
    status: int, fields: dict[str, str], wait: float, office: Open
) -> None:
    raw = {name: value.encode("latin-1") for name, value in fields.items()}
    post = office(lambda _: httpx2.Response(status, headers=raw))
    post.tell(make_notice())
    post.concluded()

    assert post.slept[0] == wait


def test_an_attempt_without_an_answer_ends_and_is_tried_again(office: Open) -> None:
    post = office(never, timeout=0.01)
    post.tell(make_notice())

    assert post.concluded()[0][2] is Outcome.FAILED
    assert len(post.requests) == 5


class Body(httpx2.AsyncByteStream):
    """One that goes on for ever, or breaks off, or stays away."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.read = 0
        self.closed = False

    async def __aiter__(self) -> Any:
        while True:
            if self.kind == "broken":
                raise httpx2.ReadError("reset")
            if self.kind == "absent":
                await asyncio.Event().wait()
            self.read += 1024
            yield b" " * 1024

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("kind", ["endless", "broken", "absent"])
def test_the_status_decides_and_of_the_body_little_is_read(kind: str, office: Open) -> None:
    body = Body(kind)
    post = office(lambda _: httpx2.Response(200, stream=body), timeout=0.5)
    post.tell(make_notice())

    assert post.concluded()[0][2] is Outcome.DELIVERED
    assert body.closed
    assert body.read <= LARGEST + 1024


@pytest.mark.parametrize(
    "bad", [{"id": "a\nb"}, {"id": "\u20ac"}, {"before": {"v2": float("nan")}}]
)
def test_a_notice_that_cannot_be_sent_fails_and_the_next_one_arrives(
    bad: dict[str, Any], office: Open
) -> None:
    def strict(request: httpx2.Request) -> httpx2.Response:
        if b"\n" in request.headers["x-canary-delivery"].encode():
            raise httpx2.LocalProtocolError("Illegal header value")
        return httpx2.Response(200)

    post = office(strict)
    post.tell(make_notice(**bad))
    post.tell(make_notice(id="next"))

    assert [one[2] for one in post.concluded(2)] == [Outcome.FAILED, Outcome.DELIVERED]
    assert post.slept == []


def test_notices_arrive_in_the_order_they_were_told_the_tried_ones_too(office: Open) -> None:
    post = office(answers(500, 500, 200))
    for id in "abc":
        post.tell(make_notice(id=id))
    post.concluded(3)

    assert post.ids == list("aaabc")


class Gate:
    """Answers once it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    async def __call__(self, _: httpx2.Request) -> httpx2.Response:
        self.reached.set()
        await asyncio.to_thread(self.opened.wait, PATIENCE)
        return httpx2.Response(200)


def test_a_dead_webhook_keeps_no_other_one_waiting(office: Open) -> None:
    def answer(request: httpx2.Request) -> Any:
        return never(request) if request.url.host == "chat.example" else httpx2.Response(200)

    post = office(answer, timeout=PATIENCE)
    for id in "ab":
        post.tell(make_notice(id=id), URL, OTHER)

    assert [one[:2] for one in post.concluded(2)] == [("a", OTHER), ("b", OTHER)]


@pytest.mark.parametrize(
    ("told", "dropped"),
    [
        ([Event.ROLLBACK, Event.ERROR, Event.ERROR, Event.PAUSE], "2"),
        ([Event.ROLLBACK, Event.PROMOTE, Event.PAUSE, Event.PAUSE], "1"),
        ([Event.ROLLBACK, Event.PROMOTE, Event.PAUSE, Event.ERROR], "4"),
    ],
)
def test_when_too_many_wait_the_oldest_error_goes_first_then_the_oldest(
    told: list[Event], dropped: str, office: Open
) -> None:
    gate = Gate()
    post = office(gate, room=3)
    post.tell(make_notice(id="0"))  # under way: it waits no more
    assert gate.reached.wait(PATIENCE)
    for number, event in enumerate(told, 1):
        post.tell(make_notice(id=str(number), event=event))

    assert post.outcomes == [(dropped, URL, Outcome.DROPPED)]
    gate.opened.set()
    post.concluded(5)
    assert post.ids == [one for one in "01234" if one != dropped]


def test_one_webhook_with_a_full_queue_takes_no_room_from_another(office: Open) -> None:
    gate = Gate()
    post = office(gate, room=1)
    post.tell(make_notice(id="0"), URL, OTHER)
    eventually(lambda: len(post.requests) == 2)
    post.tell(make_notice(id="1"), URL)
    post.tell(make_notice(id="2"), URL, OTHER)

    assert post.outcomes == [("1", URL, Outcome.DROPPED)]
    gate.opened.set()


def test_a_callback_that_fails_stops_nothing(
    office: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    post = office(answers(200))
    seen: list[str] = []

    def broken(notice: Notice, url: str, outcome: Outcome) -> None:
        seen.append(notice.id)
        raise ZeroDivisionError("theirs")

    post.postman._on_outcome = broken
    post.tell(make_notice(id="a"))
    post.tell(make_notice(id="b"))

    eventually(lambda: seen == ["a", "b"])
    post.postman.close(PATIENCE)
    assert "outcome not taken" in capsys.readouterr().err


# --- the end


def test_closing_lets_arrive_what_was_told(office: Open) -> None:
    post = office(answers(500, 500, 200))
    for id in "abc":
        post.tell(make_notice(id=id))
    post.postman.close(PATIENCE)

    assert [one[2] for one in post.outcomes] == [Outcome.DELIVERED] * 3
    assert not names()


def test_closing_gives_up_what_does_not_arrive_in_time(office: Open) -> None:
    post = office(never, timeout=PATIENCE)
    for id in "abc":
        post.tell(make_notice(id=id))
    eventually(lambda: post.requests)
    post.postman.close(0.01)

    assert post.outcomes == [
        ("a", URL, Outcome.FAILED),
        ("b", URL, Outcome.DROPPED),
        ("c", URL, Outcome.DROPPED),
    ]
    assert not names()


def test_a_pause_before_another_attempt_does_not_outlast_the_patience(office: Open) -> None:
    post = office(answers(500), sleep=asyncio.sleep)
    post.tell(make_notice())
    eventually(lambda: post.requests)
    post.postman.close(0)

    assert [one[2] for one in post.outcomes] == [Outcome.FAILED]
    assert not names()


def test_what_is_told_after_the_end_is_dropped_and_a_second_end_is_none(office: Open) -> None:
    post = office(answers(200))
    post.postman.close(PATIENCE)
    post.postman.close(PATIENCE)
    post.tell(make_notice())

    assert [one[2] for one in post.outcomes] == [Outcome.DROPPED]
    assert post.requests == []


def names() -> list[str]:
    """Threads of a postman that are alive."""
    return [one.name for one in threading.enumerate() if one.name == "notices"]


def test_nobody_is_told_and_no_thread_runs_without_webhooks(office: Open) -> None:
    post = office(answers(200))
    post.postman.tell([], make_notice())
    post.postman.tell([Webhook(URL, (Event.ERROR,))], make_notice())

    assert not names()
    assert post.outcomes == []


def test_where_no_thread_is_to_be_had_a_notice_is_dropped_and_a_later_one_arrives(
    office: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = office(answers(200))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(postman.threading.Thread, "start", refuse)  # type: ignore[attr-defined]
        post.tell(make_notice(id="a"))
    post.tell(make_notice(id="b"))

    assert [(one[0], one[2]) for one in post.concluded(2)] == [
        ("a", Outcome.DROPPED),
        ("b", Outcome.DELIVERED),
    ]


def test_where_nobody_can_be_verified_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise OSError("no store")

    monkeypatch.setattr(delivery, "client_context", refuse)
    outcomes: list[Outcome] = []
    post = Postman(lambda notice, url, outcome: outcomes.append(outcome))
    post.tell([Webhook("http://127.0.0.1:1/", EVERY)], make_notice())
    post.close(PATIENCE)

    assert outcomes == [Outcome.FAILED]


# --- secrets


def test_no_log_line_says_more_of_a_webhook_than_scheme_and_host(
    office: Open, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"Location": URL, "Retry-After": "SECRET"}
    for answer in (
        answers(503, 302, fields=echo),
        answers(200, fields=echo),
        answers(httpx2.RemoteProtocolError("illegal status line: b'SECRET'")),
        answers(httpx2.InvalidURL(URL)),
    ):
        post = office(answer)
        post.tell(make_notice())
        post.postman.close(PATIENCE)
    gate = Gate()
    post = office(gate, room=0)
    post.tell(make_notice())
    assert gate.reached.wait(PATIENCE)
    post.tell(make_notice())  # there is no room to wait in
    gate.opened.set()
    post.postman.close(PATIENCE)

    said = capsys.readouterr().err + caplog.text
    assert "SECRET" not in said
    for event in ("delivered", "not delivered yet", "not delivered", "dropped"):
        assert f'"event": "notice {event}"' in said
    assert '"receiver": "https://chat.example"' in said
