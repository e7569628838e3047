"""Who may come in to the console, and who may change something there. Over real sockets, with the
gateway before it: ``tests/system/test_console.py``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.security.credential import Token
from monitoring.console import door as module
from monitoring.console.context import Context
from monitoring.console.door import FAILURE_PAUSE, MOST_FAILURES, Door, form
from monitoring.console.sessions import LIFETIME, Sessions
from monitoring.readings.sources import GatewaySources

TOKEN = "secret-of-the-admin-port-0123456789"
OTHER = "another-secret-of-the-port-0123456789"
HOST = "127.0.0.1:8081"
OWN = {"origin": f"http://{HOST}"}
PAGE = {"accept": "text/html,*/*;q=0.8"}
NOW = 1_800_000_000.0


class House:
    """A door with two rooms behind it: a page, and what a form changes."""

    def __init__(self, stack: ExitStack, token: Token | None) -> None:
        self.now = NOW
        self.pauses: list[float] = []
        self.changed: list[dict[str, str]] = []
        sources = stack.enter_context(GatewaySources(["http://127.0.0.1:1"]))
        context = Context(Path("routing.yaml"), sources, token, lambda: self.now)
        self.door = Door(context, self._pause)
        routes = [Route("/page", self._page), Route("/static/secret", self._page)]
        routes += [Route("/change", self._change, methods=["POST", "DELETE"])]
        routes += [Route("/stream", self._stream)]
        self.app = self.door.before(Starlette(routes=[*self.door.routes(), *routes]))
        self.client = TestClient(self.app, f"http://{HOST}", follow_redirects=False)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _page(self, request: Request) -> Response:
        return PlainTextResponse(module.form_token(request))

    async def _change(self, request: Request) -> Response:
        self.changed.append(await form(request))
        return PlainTextResponse("changed")

    async def _stream(self, request: Request) -> Response:
        async def ticks() -> Any:
            while True:
                self.now += LIFETIME / 4
                yield b"tick"
                await asyncio.sleep(0)

        return StreamingResponse(ticks())

    def form_token(self, client: TestClient | None = None) -> str:
        return (client or self.client).get("/page").text

    def sign_in(self, token: str = TOKEN, **fields: str) -> Any:
        page = self.client.get("/login").text
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
        assert found is not None
        sent = {"token": token, "form_token": found[1], **fields}
        return self.client.post("/login", data=sent, headers=OWN)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def opened(stack: ExitStack) -> House:
    """On loopback, without a token."""
    return House(stack, None)


@pytest.fixture
def locked(stack: ExitStack) -> House:
    return House(stack, Token(TOKEN))


# --- without a token


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8081", "[::1]:8081"])
def test_on_loopback_everybody_may_read(opened: House, host: str) -> None:
    assert opened.client.get("/page", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8081", "", "[::1", "a b"])
def test_a_name_that_was_made_to_lead_here_is_refused(opened: House, host: str) -> None:
    for path in ("/page", "/static/secret", "/login", "/healthy"):
        assert opened.client.get(path, headers={"host": host}).status_code == 403


def test_a_form_of_ours_may_change_something(opened: House) -> None:
    sent = {"reason": "a & b", "form_token": opened.form_token()}

    assert opened.client.post("/change", data=sent, headers=OWN).text == "changed"
    assert opened.changed == [sent]


def test_so_may_a_script_of_ours(opened: House) -> None:
    fields = {**OWN, "x-form-token": opened.form_token(), "sec-fetch-site": "same-origin"}

    assert opened.client.delete("/change", headers=fields).text == "changed"
    assert opened.client.post("/change", json={"a": 1}, headers=fields).text == "changed"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:8082"},
        {"origin": "http://localhost:8081"},
        {**OWN, "sec-fetch-site": "cross-site"},
        {**OWN, "sec-fetch-site": "same-site"},
    ],
)
def test_nobody_else_may_even_with_the_form_token(opened: House, fields: dict[str, str]) -> None:
    sent = {"form_token": opened.form_token()}

    refused = opened.client.post("/change", data=sent, headers=fields)

    assert refused.status_code == 403
    assert "another origin" in refused.text
    assert opened.changed == []


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"a": "b"}},
        {"data": {"form_token": ""}},
        {"data": {"form_token": "é"}},
        {"content": b"form_token=TOKEN", "headers": {"content-type": "text/plain"}},
        {"json": {"form_token": "TOKEN"}},
        {"headers": {"x-form-token": "0" * 64}},
    ],
)
def test_nor_may_a_form_without_its_token(opened: House, more: dict[str, Any]) -> None:
    token = opened.form_token()
    if "content" in more:
        more = {**more, "content": more["content"].replace(b"TOKEN", token.encode())}
    fields = {**OWN, **more.pop("headers", {})} if "headers" in more else OWN

    refused = opened.client.post("/change", headers=fields, **more)

    assert refused.status_code == 403
    assert "load the page anew" in refused.text
    assert opened.changed == []


def test_a_form_of_before_a_restart_is_refused(opened: House, stack: ExitStack) -> None:
    before = House(stack, None).form_token()

    refused = opened.client.post("/change", data={"form_token": before}, headers=OWN)

    assert (refused.status_code, opened.changed) == (403, [])


def test_a_form_has_a_largest_size(opened: House) -> None:
    sent = {"form_token": opened.form_token(), "reason": "a" * 70_000}

    assert opened.client.post("/change", data=sent, headers=OWN).status_code == 413


# --- with one


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/page"), ("HEAD", "/page"), ("GET", "/nothing"), ("GET", "/")),
        *(("GET", "/staticsecret"), ("GET", "/static"), ("GET", "/login/"), ("POST", "/change")),
        *(
            ("GET", "/stream"),
            ("POST", "/logout"),
            ("DELETE", "/change"),
            ("POST", "/static/secret"),
        ),
    ],
)
def test_without_a_session_nothing_is_told(locked: House, method: str, path: str) -> None:
    for fields in (
        {},
        {"cookie": "canary_session_8081=1"},
        {"authorization": f"Bearer {OTHER}"},
        {"authorization": TOKEN},
        {"host": "x/static/y?"},  # of which a URL would be put together
        {"host": "x/login?"},
    ):
        answer = locked.client.request(method, path, headers=fields)

        assert answer.status_code == 401
        assert len(re.findall(r"[0-9a-f]{64}", answer.text)) == 0
    assert locked.changed == []


def test_what_holds_no_secret_is_open(locked: House) -> None:
    for path in ("/login", "/healthy", "/static/secret", "/favicon.ico"):
        assert locked.client.get(path).status_code in (200, 404)


def test_a_browser_is_sent_to_the_login_page_and_back(locked: House) -> None:
    sent = locked.client.get("/page?a=1&b=%2F", headers=PAGE)

    assert (sent.status_code, sent.headers["location"]) == (
        303,
        "/login?next=%2Fpage%3Fa%3D1%26b%3D%252F",
    )
    login = locked.client.get(sent.headers["location"]).text
    assert 'name="next" value="/page?a=1&amp;b=%2F"' in login
    entered = locked.sign_in(next="/page?a=1&b=%2F")
    assert (entered.status_code, entered.headers["location"]) == (303, "/page?a=1&b=%2F")
    assert locked.client.get("/page", headers=PAGE).status_code == 200


def test_behind_a_link_elsewhere_the_cookie_gets_a_second_chance(locked: House) -> None:
    fields = {**PAGE, "sec-fetch-site": "cross-site"}

    answer = locked.client.get("/page", headers=fields)

    assert (answer.status_code, answer.headers["refresh"]) == (401, "0; url=/login?next=%2Fpage")
    locked.sign_in()
    again = locked.client.get("/login?next=%2Fpage")
    assert (again.status_code, again.headers["location"]) == (303, "/page")


def test_a_script_of_a_page_is_told_where_to_sign_in(locked: House) -> None:
    answer = locked.client.get("/page", headers={**PAGE, "hx-request": "true"})

    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a b", "/\t/e"),
        *("/login", "/login?next=/", "/\n/evil.example"),
    ],
)
def test_nobody_is_sent_elsewhere(locked: House, target: str) -> None:
    assert locked.sign_in(next=target).headers["location"] == "/"
    assert locked.client.get("/login", params={"next": target}).headers["location"] == "/"


def test_the_cookie_is_for_nobody_else(locked: House) -> None:
    cookie = locked.sign_in().headers["set-cookie"].lower()
    name, *attributes = (part.strip() for part in cookie.split(";"))

    assert name.startswith("canary_session_8081=")
    assert set(attributes) == {"httponly", "samesite=strict", "path=/", f"max-age={LIFETIME}"}


def test_behind_tls_the_cookie_never_leaves_it(locked: House) -> None:
    sent = {"token": TOKEN, "form_token": ""}
    found = re.search(r'form_token" value="(\w+)"', locked.client.get("/login").text)
    assert found is not None
    sent["form_token"] = found[1]

    entered = locked.client.post("/login", data=sent, headers={"origin": f"https://{HOST}"})

    assert "secure" in entered.headers["set-cookie"].lower().split("; ")


def test_a_session_ends_after_twelve_hours(locked: House) -> None:
    locked.sign_in()

    locked.now = NOW + LIFETIME - 1
    assert locked.client.get("/page").status_code == 200
    locked.now = NOW + LIFETIME
    assert locked.client.get("/page").status_code == 401


def test_a_session_ends_with_its_token(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    house = House(stack, Token(TOKEN, path))
    house.sign_in()
    assert house.client.get("/page").status_code == 200

    path.write_text(OTHER)

    assert house.client.get("/page").status_code == 401
    assert house.sign_in(TOKEN).status_code == 401
    assert house.sign_in(OTHER).status_code == 303


def test_a_session_is_left_for_good(locked: House) -> None:
    locked.sign_in()
    (cookie,) = locked.client.cookies.items()
    form_token = locked.form_token()

    left = locked.client.post("/logout", data={"form_token": form_token}, headers=OWN)

    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert "canary_session_8081" not in dict(locked.client.cookies)
    kept = {"cookie": "=".join(cookie)}
    assert locked.client.get("/page", headers=kept).status_code == 401
    assert locked.sign_in().status_code == 303  # another one


def test_nobody_is_made_to_leave(locked: House) -> None:
    locked.sign_in()

    assert locked.client.post("/logout", headers=OWN).status_code == 403
    assert locked.client.get("/page").status_code == 200


def test_a_stream_ends_with_the_session(locked: House) -> None:
    locked.sign_in()

    assert locked.client.get("/stream").text == "tick" * 3


def test_a_form_is_of_its_session(locked: House, stack: ExitStack) -> None:
    locked.sign_in()
    first = locked.form_token()
    locked.client.post("/logout", data={"form_token": first}, headers=OWN)
    locked.sign_in()

    refused = locked.client.post("/change", data={"form_token": first}, headers=OWN)

    assert refused.status_code == 403
    assert "another session" in refused.text


def test_programs_bring_the_token_itself(locked: House) -> None:
    fields = {"authorization": f"bearer {TOKEN}"}

    assert locked.client.get("/page", headers=fields).status_code == 200
    assert locked.client.post("/change", data={"a": "b"}, headers=fields).text == "changed"
    assert locked.client.get("/page", headers={**fields, "host": "anything"}).status_code == 200


def test_a_wrong_token_waits_and_says_so(locked: House) -> None:
    for wrong in (OTHER, "", "é", TOKEN[:-1]):
        answer = locked.sign_in(wrong)
        assert answer.status_code == 401
        assert "This is not the token." in answer.text
        assert "set-cookie" not in answer.headers

    assert locked.pauses == [FAILURE_PAUSE] * 4
    assert locked.sign_in(f" {TOKEN} ").status_code == 303


def test_a_login_from_elsewhere_is_none(locked: House) -> None:
    sent = {"token": TOKEN}

    assert locked.client.post("/login", data=sent, headers=OWN).status_code == 403
    assert locked.client.post("/login", data=sent).status_code == 403


def test_however_many_guess_who_has_the_token_is_let_in(stack: ExitStack) -> None:
    house = House(stack, Token(TOKEN))
    waiting = asyncio.Event()

    async def ask(token: str) -> int:
        form_token = house.door._sessions.form_token("")
        body = f"token={token}&form_token={form_token}".encode()
        fields = {"host": HOST, **OWN, "content-type": "application/x-www-form-urlencoded"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/login",
            "raw_path": b"/login",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        }
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        await house.app(scope, receive, send)
        return statuses[0]

    async def story() -> None:
        begun: asyncio.Queue[float] = asyncio.Queue()

        async def pause(seconds: float) -> None:
            begun.put_nowait(seconds)
            await waiting.wait()

        house.door._pause = pause
        wrong = [asyncio.create_task(ask(OTHER)) for _ in range(MOST_FAILURES)]
        await asyncio.gather(*(begun.get() for _ in wrong))
        assert await ask(OTHER) == 429
        assert await ask(TOKEN) == 303
        waiting.set()
        assert set(await asyncio.gather(*wrong)) == {401}
        assert house.door._failures == 0

    asyncio.run(story())


# --- sessions


def test_a_session_of_another_process_is_none() -> None:
    session = Sessions(b"a" * 32).begin(TOKEN, NOW, bytes(16))

    assert Sessions(b"a" * 32).lasts(session, TOKEN, NOW)
    assert not Sessions(b"b" * 32).lasts(session, TOKEN, NOW)


def test_no_other_text_is_a_session() -> None:
    sessions = Sessions(b"a" * 32)
    session = sessions.begin(TOKEN, NOW, bytes(16))

    for at, one in enumerate(session):
        changed = session[:at] + ("1" if one != "1" else "2") + session[at + 1 :]
        assert not sessions.lasts(changed, TOKEN, NOW)
    for other in ("", "..", session[1:], f"{session}0", session.upper(), f"{session}\n"):
        assert not sessions.lasts(other, TOKEN, NOW)


def test_sessions_that_were_left_are_forgotten_when_they_would_have_ended() -> None:
    sessions = Sessions(b"a" * 32)
    for number in range(10):
        now = NOW + number * LIFETIME
        session = sessions.begin(TOKEN, now, number.to_bytes(16))
        sessions.end(session, now)
        assert not sessions.lasts(session, TOKEN, now)

    assert len(sessions._ended) == 1
