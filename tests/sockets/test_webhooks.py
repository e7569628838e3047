"""Notices over real sockets: what a receiver gets, and that a bad one keeps nobody waiting.

Pauses are left out and attempts shortened; how long anything takes is not measured.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Event, Webhook
from monitoring.notices import lookup
from monitoring.notices.notice import Notice
from monitoring.notices.postman import Outcome, Postman
from tests import certificates
from tests.monitoring.test_notices import make_notice
from tests.sockets.conftest import Hire
from tests.sockets.peers import (
    PATIENCE,
    Talk,
    answering,
    eventually,
    hanging,
    refusing,
    resetting,
    saying,
    trickling,
    url_of,
)

BODY = (
    b'{"event": "rollback", "route": "iris", "version": "v2", '
    b'"sentence": "it fails more often than stable", "at": "2026-11-21T10:00:00.000Z", '
    b'"by": "controller", "id": "0a1b2c3d4e5f", "before": {"v1": 90.0, "v2": 10.0}, '
    b'"after": {"v1": 100.0, "v2": 0.0}, "generation": "0123456789ab", '
    b'"text": "iris v2: rolled back from 10 % to 0 % by controller: '
    b'it fails more often than stable"}'
)
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


class Post:
    """A postman without pauses, and what became of its notices, by URL."""

    def __init__(self, **more: Any) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.postman = Postman(self._concluded, **{"sleep": self._sleep} | more)

    def _concluded(self, notice: Notice, url: str, outcome: Outcome) -> None:
        self.outcomes[url] = outcome

    async def _sleep(self, seconds: float) -> None:
        pass

    def outcome(self, url: str) -> Outcome:
        """Of telling one webhook."""
        self.tell(url)
        return eventually(lambda: self.outcomes.get(url))  # type: ignore[return-value]

    def tell(self, *urls: str) -> None:
        self.postman.tell([Webhook(url, tuple(Event)) for url in urls], make_notice())


Open = Callable[..., Post]


@pytest.fixture
def post(stack: ExitStack) -> Iterator[Open]:
    """Ends without a thread left."""

    def start(**more: Any) -> Post:
        made = Post(**more)
        stack.callback(made.postman.close, 0)
        return made

    yield start
    stack.close()
    assert [one.name for one in threading.enumerate() if one.name == "notices"] == []


def test_a_receiver_gets_the_notice_byte_for_byte(hire: Hire, post: Open) -> None:
    receiver = hire(answering(200))
    url = f"{receiver.url}/services/T0/B0?token=a%2Fb"

    assert post().outcome(url) is Outcome.DELIVERED
    (request,) = receiver.requests
    assert request.start == "POST /services/T0/B0?token=a%2Fb HTTP/1.1"
    assert request.body == BODY
    assert request["Content-Type"] == "application/json"
    assert request["Content-Length"] == str(len(BODY))
    assert request["X-Canary-Event"] == "rollback"
    assert request["X-Canary-Delivery"] == "0a1b2c3d4e5f"
    assert request["Host"] == receiver.url.removeprefix("http://")
    assert request.names <= {
        *("host", "content-type", "content-length", "user-agent"),
        *("x-canary-event", "x-canary-delivery"),
    }
    eventually(lambda: receiver.open == 0)  # nothing is kept between notices


def test_one_that_accepts_and_never_answers_is_given_up(hire: Hire, post: Open) -> None:
    receiver = hire(hanging)

    assert post(timeout=0.1).outcome(receiver.url) is Outcome.FAILED
    assert receiver.connections == 5
    eventually(lambda: receiver.open == 0)


def test_a_head_that_trickles_is_given_up_although_something_always_comes(
    hire: Hire, post: Open
) -> None:
    receiver = hire(trickling(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, every=0.01))

    assert post(timeout=0.2).outcome(receiver.url) is Outcome.FAILED
    assert receiver.connections == 5


def test_one_that_refuses_is_given_up(post: Open, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(refusing()) as sock:
        assert post().outcome(f"{url_of(sock)}/SECRET") is Outcome.FAILED
    said = capsys.readouterr().err

    assert '"why": "connection refused"' in said
    assert "SECRET" not in said


def test_nobody_logs_what_a_url_holds_or_what_is_answered(
    hire: Hire,
    post: Open,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fields = [("Location", "/SECRET"), ("Retry-After", "SECRET")]
    told = post()
    for behaviour in (answering(302, b"SECRET", fields), saying(b"SECRET\r\n\r\n", "close")):
        assert told.outcome(f"{hire(behaviour).url}/SECRET?SECRET") is Outcome.FAILED

    assert "SECRET" not in capsys.readouterr().err + caplog.text


def test_one_that_comes_back_gets_the_notice(hire: Hire, post: Open) -> None:
    receiver = hire(answering(204), first=[resetting, saying(b"???\r\n\r\n", "close")])

    assert post().outcome(receiver.url) is Outcome.DELIVERED
    assert [one.body for one in receiver.requests] == [BODY] * 3


def test_an_answer_that_never_ends_is_an_answer(hire: Hire, post: Open) -> None:
    receiver = hire(trickling(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, every=0.01))

    assert post(timeout=1).outcome(receiver.url) is Outcome.DELIVERED
    assert receiver.connections == 1


def test_two_dead_ones_do_not_keep_the_third_from_its_notice(hire: Hire, post: Open) -> None:
    silent, good = hire(hanging), hire(answering(200))
    told = post(timeout=3600, sleep=asyncio.sleep)
    with closing(refusing()) as sock:
        refuser = url_of(sock)
        told.tell(silent.url, refuser, good.url)
        eventually(lambda: told.outcomes)
        told.postman.close(0)

    assert told.outcomes == {
        silent.url: Outcome.FAILED,
        refuser: Outcome.FAILED,
        good.url: Outcome.DELIVERED,
    }


def test_closing_with_a_receiver_that_hangs_returns(hire: Hire, post: Open) -> None:
    receiver = hire(hanging)
    told = post(timeout=3600)
    told.tell(receiver.url)
    eventually(lambda: receiver.requests)
    told.postman.close(0.05)

    assert told.outcomes == {receiver.url: Outcome.FAILED}
    eventually(lambda: receiver.abandoned == 1)


def test_closing_with_a_name_server_that_hangs_returns(
    post: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        answered.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(lookup.socket, "getaddrinfo", hang)  # type: ignore[attr-defined]
    told = post(timeout=3600)
    told.tell("http://chat.example/")
    assert asked.wait(PATIENCE)
    (asking,) = (one for one in threading.enumerate() if one.name == "name lookup")
    told.postman.close(0)

    assert told.outcomes == {"http://chat.example/": Outcome.FAILED}
    assert asking.is_alive()
    assert asking.daemon  # the end of the process does not wait for it either
    answered.set()
    asking.join(PATIENCE)


def test_a_name_server_that_hangs_does_not_hold_up_an_attempt(
    post: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(
        lookup.socket,  # type: ignore[attr-defined]
        "getaddrinfo",
        lambda *_, **__: answered.wait(PATIENCE) and [],
    )
    told = post(timeout=0.05)

    assert told.outcome("http://chat.example/") is Outcome.FAILED
    answered.set()


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"])
def test_a_name_that_stands_for_a_forbidden_address_is_not_connected_to(
    address: str,
    post: Open,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = socket.getaddrinfo(address, 80, type=socket.SOCK_STREAM)
    monkeypatch.setattr(
        lookup.socket,  # type: ignore[attr-defined]
        "getaddrinfo",
        lambda *_, **__: found,
    )

    assert post().outcome("http://chat.example/") is Outcome.FAILED
    assert "its name stands for an address that traffic must not go to" in capsys.readouterr().err


def test_a_name_is_connected_to_where_it_may_be(hire: Hire, post: Open) -> None:
    receiver = hire(answering(200))
    url = receiver.url.replace("127.0.0.1", "localhost")

    assert post().outcome(url) is Outcome.DELIVERED


def test_no_proxy_and_no_credentials_of_the_environment_are_used(
    hire: Hire, post: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy, receiver = hire(answering(200)), hire(answering(200))
    for name in PROXIES:
        monkeypatch.setenv(name, proxy.url)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password SECRET\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert post().outcome(receiver.url) is Outcome.DELIVERED
    assert proxy.connections == 0
    assert "authorization" not in receiver.requests[0].names


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, hire: Hire, post: Open) -> None:
    elsewhere = hire(answering(200))
    receiver = hire(answering(status, fields=[("Location", elsewhere.url)]))

    assert post().outcome(receiver.url) is Outcome.FAILED
    assert (receiver.connections, elsewhere.connections) == (1, 0)


def test_a_cookie_is_not_brought_back(hire: Hire, post: Open) -> None:
    receiver = hire(answering(200, fields=[("Set-Cookie", "a=b")]))
    told = post()
    for number in (1, 2):
        told.tell(receiver.url)
        eventually(lambda number=number: len(receiver.requests) == number)

    assert "cookie" not in receiver.requests[1].names


def secured(hire: Hire) -> Any:
    return hire(answering(200), context=certificates.serving(certificates.issued()))


def test_https_is_verified_by_the_store_of_the_system(
    hire: Hire, post: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = secured(hire)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.write_authority(tmp_path)))

    assert post().outcome(receiver.url) is Outcome.DELIVERED
    assert receiver.requests[0].body == BODY


def test_who_cannot_be_verified_is_sent_nothing(
    hire: Hire, post: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = secured(hire)

    assert post().outcome(receiver.url) is Outcome.FAILED
    assert receiver.requests == []
    assert '"why": "its certificate is not valid: ' in capsys.readouterr().err


def shy(talk: Talk) -> None:
    talk.reply(200, b"x" * 10_000_000)


def test_a_long_answer_is_not_read_to_its_end(hire: Hire, post: Open) -> None:
    receiver = hire(shy)

    assert post().outcome(receiver.url) is Outcome.DELIVERED
    eventually(lambda: receiver.open == 0)
