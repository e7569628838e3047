"""Who may come in, by the rules of :mod:`gateway.security.access`; here: people with browsers.

Without a token the console is on loopback: the Host field has to say so (DNS rebinding). With one
everything but the login page, the files below ``/static/``, the icon and the probe needs a session,
which begins with the token, or the token itself as ``Authorization: Bearer``.

Whatever is no GET or HEAD is refused before a handler sees it, unless it comes from a page of ours:
its Origin is ours, Sec-Fetch-Site says nothing else, and it brings the form token, which is a field
of the form or, for scripts of a page, the header ``X-Form-Token``. So each form that posts holds

    <input type="hidden" name="form_token" value="{{ form_token }}">

Templates rendered by :func:`layout.page` know ``form_token`` and ``signed_in`` (whether there is a
session to leave); elsewhere :func:`form_token` gives it for a request. A handler of POST reads its
fields with ``await form(request)``. Who brings the token as Bearer needs neither Origin nor form
token: no page can send it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.security.access import brings, by_name, from_another_site, host_of, is_loopback
from monitoring.console.context import Context
from monitoring.console.layout import page
from monitoring.console.sessions import LIFETIME, Sessions
from monitoring.console.static import PREFIX

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
PROBE: Final = "/healthy"
LARGEST_FORM: Final = 64 * 1024  # bytes
FAILURE_PAUSE: Final = 1.0  # seconds that a wrong token waits for its answer
MOST_FAILURES: Final = 16  # that wait at the same time; more are told at once to come again
_READING: Final = frozenset({"GET", "HEAD"})
_OPEN: Final = frozenset({LOGIN, PROBE, "/favicon.ico"})
_OURS: Final = re.compile(r"/(?:[^/\\\s][^\\\s]*)?")  # a path that no browser takes for a host
_TYPE: Final = b"application/x-www-form-urlencoded"


def form_token(request: Request) -> str:
    """What a form has to bring that this request is answered with."""
    return str(request.state.shown["form_token"])


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; of those that come twice the last."""
    return dict(_fields(await request.body()))


class Door:
    """One for a console; ``pause`` is what a wrong token costs."""

    def __init__(
        self, context: Context, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._token = context.token
        self._clock = context.clock
        self._pause = pause
        self._sessions = Sessions(secrets.token_bytes(32))
        self._failures = 0  # that wait

    def routes(self) -> list[BaseRoute]:
        """Login, logout, and the probe."""
        return [
            Route(LOGIN, self._login_page),
            Route(LOGIN, self._login, methods=["POST"]),
            Route(LOGOUT, self._logout, methods=["POST"]),
            Route(PROBE, _healthy),
        ]

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application for those who may."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":  # that it begins, and ends
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            session = self._session(request)
            shown = {"form_token": self._sessions.form_token(session), "signed_in": bool(session)}
            request.state.shown = shown
            try:
                refused = self._refusal(request, session)
                if refused is None and request.method not in _READING:
                    refused = await self._distrust(request)
            except ClientDisconnect:
                return
            if refused is not None:
                await refused(scope, receive, send)
            elif session:
                await app(scope, _again(request), self._while_it_lasts(session, send))
            else:
                await app(scope, _again(request), send)

        return guarded

    # --- who it is

    def _session(self, request: Request) -> str:
        """The one that the request belongs to; empty: none."""
        session = request.cookies.get(_cookie(request), "")
        return session if self._lasts(session) else ""

    def _lasts(self, session: str) -> bool:
        if self._token is None or not session:
            return False
        return self._sessions.lasts(session, self._token.value(), self._clock())

    def _has_token(self, request: Request) -> bool:
        if self._token is None:
            return False
        return brings(by_name(request.headers.raw), self._token.value())

    # --- whether it may

    def _refusal(self, request: Request, session: str) -> Response | None:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1:
            return _refused(request, 400, "a request has one Host field")
        if self._token is None:
            if is_loopback(host_of(hosts[0].encode("latin-1"))):
                return None
            said = "without a token the console answers to localhost and loopback addresses"
            return _refused(request, 403, said)
        path = request.scope["path"]  # what the router goes by: Host has a say in request.url
        if session or path in _OPEN or self._has_token(request):
            return None
        reading = request.method in _READING
        if reading and path.startswith(PREFIX):
            return None
        refused = _refused(request, 401, "this needs a session: sign in with the token")
        refused.headers["WWW-Authenticate"] = 'Bearer realm="console"'
        if "hx-request" in request.headers:
            refused.headers["HX-Redirect"] = LOGIN
        elif reading and "text/html" in request.headers.get("accept", ""):
            login = f"{LOGIN}?next={quote(_target(request.scope), safe='')}"
            if request.headers.get("sec-fetch-site") != "cross-site":
                return RedirectResponse(login, 303)
            # Behind a link elsewhere no cookie is sent; from a page of ours it is, if there is one.
            refused.headers["Refresh"] = f"0; url={login}"
        return refused

    async def _distrust(self, request: Request) -> Response | None:
        """Why this is from no page of ours, if it is not."""
        if self._has_token(request):
            return None
        fields, host = by_name(request.headers.raw), request.headers["host"].encode("latin-1")
        if len(fields.get(b"origin", [])) != 1 or from_another_site(fields, host):
            return _refused(request, 403, "a page of another origin may not change anything here")
        given = request.headers.get("x-form-token")
        if given is None:
            if request.headers.get("content-type", "").partition(";")[0].encode() != _TYPE:
                return _refused(request, 403, "this has no form token: load the page anew")
            body = bytearray()
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_FORM:
                    return _refused(request, 413, f"a form has at most {LARGEST_FORM} bytes")
            request._body = bytes(body)
            given = dict(_fields(bytes(body))).get("form_token", "")
        if not compare_digest(given.encode(), form_token(request).encode()):
            said = "this form is of another session, or of before a restart: load the page anew"
            return _refused(request, 403, said)
        return None

    def _while_it_lasts(self, session: str, send: Send) -> Send:
        """Streams end with the session."""
        over = False

        async def sent(message: Message) -> None:
            nonlocal over
            if over:
                return
            going_on = message["type"] == "http.response.body" and message.get("more_body", False)
            if going_on and not self._lasts(session):
                over = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        return sent

    # --- in and out

    async def _login_page(self, request: Request) -> Response:
        target = _ours(request.query_params.get("next", "/"))
        if self._token is None or request.state.shown["signed_in"]:
            return RedirectResponse(target, 303)
        return page(request, "login.html", target=target, said="")

    async def _login(self, request: Request) -> Response:
        fields = await form(request)
        target = _ours(fields.get("next", "/"))
        if self._token is None:
            return RedirectResponse(target, 303)
        token = self._token.value()
        # Who has it is let in at once, however many others try.
        if not compare_digest(fields.get("token", "").strip().encode(), token.encode()):
            return await self._failure(request, target)
        session = self._sessions.begin(token, self._clock(), secrets.token_bytes(16))
        answer = RedirectResponse(target, 303)
        self._set_cookie(request, answer, session, LIFETIME)
        return answer

    async def _failure(self, request: Request, target: str) -> Response:
        if self._failures >= MOST_FAILURES:
            said = "Too many wrong tokens at the same time; try again."
            return page(request, "login.html", 429, target=target, said=said)
        self._failures += 1
        try:
            await self._pause(FAILURE_PAUSE)
        finally:
            self._failures -= 1
        said = "This is not the token."
        return page(request, "login.html", 401, target=target, said=said)

    async def _logout(self, request: Request) -> Response:
        session = self._session(request)
        if session:
            self._sessions.end(session, self._clock())
        answer = RedirectResponse("/" if self._token is None else LOGIN, 303)
        self._set_cookie(request, answer, "", 0)
        return answer

    def _set_cookie(self, request: Request, answer: Response, session: str, age: int) -> None:
        # TLS ends before us, at the gateway or further off: the browser knows.
        secure = request.headers.get("origin", "").startswith("https://")
        name = _cookie(request)
        answer.set_cookie(name, session, age, httponly=True, samesite="strict", secure=secure)


def _cookie(request: Request) -> str:
    """Cookies are of a host, whatever its port: two consoles on one machine need two names."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"canary_session_{port}" if port.isascii() and port.isdecimal() else "canary_session"


def _target(scope: Scope) -> str:
    """What is asked for, as it was written."""
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _ours(target: str) -> str:
    """A path to go on to; the first page for what is none."""
    return target if _OURS.fullmatch(target) and not target.startswith(LOGIN) else "/"


def _fields(body: bytes) -> list[tuple[str, str]]:
    text = body.decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=256)
    except ValueError:  # more fields than a form of ours has
        return []


def _again(request: Request) -> Receive:
    """The body once more, if it was read; then what comes."""
    body: bytes | None = getattr(request, "_body", None)

    async def receive() -> Message:
        nonlocal body
        if body is None:
            return await request.receive()
        read, body = body, None
        return {"type": "http.request", "body": read, "more_body": False}

    return receive


def _refused(request: Request, status: int, sentence: str) -> Response:
    heading = {400: "Not understood", 401: "Who are you?", 413: "Too much"}.get(status, "Refused")
    said = f"{sentence[0].upper()}{sentence[1:]}."
    return page(request, "problem.html", status, heading=heading, said=said)


async def _healthy(request: Request) -> Response:
    return PlainTextResponse("healthy\n")
