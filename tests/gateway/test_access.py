"""Who may ask the admin port, by values alone."""

from __future__ import annotations

import pytest

from gateway.security.access import Fields, host_of, is_loopback, refusal

TOKEN = "0123456789abcdef"
HOST = (b"host", b"127.0.0.1:8081")
BEARER = (b"authorization", b"Bearer 0123456789abcdef")
EVIL = (b"host", b"evil.example")


def status(method: str, path: str, fields: Fields, token: str | None = None) -> int | None:
    refused = refusal(method, path, fields, token)
    return None if refused is None else refused.status


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("fields", [[], [EVIL], [HOST]])
def test_probes_are_open_to_everybody(path: str, token: str | None, fields: Fields) -> None:
    assert status("GET", path, fields, token) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/metrics", "/-/reload", "/api/status", "/api/evidence", "/", "/-/ready/", "//-/ready"]
)
def test_everything_else_needs_the_token_where_there_is_one(method: str, path: str) -> None:
    assert status(method, path, [HOST], TOKEN) == 401
    assert status(method, path, [HOST, BEARER], TOKEN) is None


def test_a_probe_that_would_change_something_needs_the_token() -> None:
    assert status("POST", "/-/ready", [HOST], TOKEN) == 401


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"0123456789abcdef",
        b"Basic 0123456789abcdef",
        b"Bearer 0123456789abcde",
        b"Bearer 0123456789abcdef0",
        b"Bearer 0123456789ABCDEF",
        b"Bearer 0123456789abcdef, Bearer 0123456789abcdef",
        b"Bearer 0123456789abcdef\xff",
        b"Bearer\t0123456789abcdef",
    ],
)
def test_what_is_not_the_token_is_none(given: bytes) -> None:
    assert status("GET", "/metrics", [HOST, (b"authorization", given)], TOKEN) == 401


@pytest.mark.parametrize("given", [b"bearer 0123456789abcdef", b"BEARER  0123456789abcdef "])
def test_the_name_of_the_scheme_and_spaces_do_not_matter(given: bytes) -> None:
    assert status("GET", "/metrics", [HOST, (b"authorization", given)], TOKEN) is None


def test_two_tokens_are_none() -> None:
    assert status("GET", "/metrics", [HOST, BEARER, BEARER], TOKEN) == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "passes"),
    [
        (b"localhost", True),
        (b"LocalHost:8081", True),
        (b"127.0.0.1", True),
        (b"127.0.0.1:9999", True),  # through a tunnel
        (b"127.8.8.8:8081", True),
        (b"[::1]:8081", True),
        (b"[::1]", True),
        (b"evil.example", False),
        (b"evil.example:8081", False),
        (b"localhost.evil.example", False),
        (b"127.0.0.1.evil.example", False),
        (b"127.0.0.1:8081.evil.example", False),
        (b"[::1].evil.example", False),
        (b"[::1", False),
        (b"10.0.0.5:8081", False),
        (b"0.0.0.0:8081", False),
        (b"user@127.0.0.1", False),
        (b"127.0.0.1, evil.example", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_without_a_token_only_names_that_are_this_machine_will_do(
    method: str, host: bytes, passes: bool
) -> None:
    assert status(method, "/-/reload", [(b"host", host)]) == (None if passes else 403)


def test_a_host_is_named_once() -> None:
    assert status("GET", "/metrics", []) == 400
    assert status("GET", "/metrics", [HOST, HOST]) == 400
    assert status("GET", "/metrics", [HOST, HOST, BEARER], TOKEN) == 400


def test_with_the_token_any_name_will_do() -> None:
    assert status("GET", "/metrics", [(b"host", b"gateway:8081"), BEARER], TOKEN) is None


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("field", "passes"),
    [
        ((b"origin", b"http://127.0.0.1:8081"), True),
        ((b"origin", b"https://127.0.0.1:8081"), True),
        ((b"origin", b"http://127.0.0.1:3000"), False),  # another port is another origin
        ((b"origin", b"http://127.0.0.1"), False),
        ((b"origin", b"http://evil.example"), False),
        ((b"origin", b"null"), False),
        ((b"origin", b""), False),
        ((b"sec-fetch-site", b"same-origin"), True),
        ((b"sec-fetch-site", b"none"), True),
        ((b"sec-fetch-site", b"same-site"), False),
        ((b"sec-fetch-site", b"cross-site"), False),
    ],
)
def test_a_page_of_another_origin_changes_nothing(
    token: str | None, method: str, field: tuple[bytes, bytes], passes: bool
) -> None:
    fields = [HOST, BEARER, field]

    assert status(method, "/-/reload", fields, token) == (None if passes else 403)
    assert status("GET", "/metrics", fields, token) is None  # it cannot read the answer


def test_one_good_origin_does_not_excuse_another() -> None:
    fields = [HOST, (b"origin", b"http://127.0.0.1:8081"), (b"origin", b"http://evil.example")]

    assert status("POST", "/-/reload", fields) == 403


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ([], True),
        ([(b"content-length", b"0")], True),
        ([(b"content-length", b"0"), (b"content-type", b"text/plain")], True),
        ([(b"content-length", b"2"), (b"content-type", b"application/json")], True),
        ([(b"content-length", b"2"), (b"content-type", b"Application/JSON; charset=utf-8")], True),
        ([(b"content-length", b"2")], False),
        ([(b"content-length", b"2"), (b"content-type", b"text/plain")], False),
        (
            [(b"content-length", b"2"), (b"content-type", b"application/x-www-form-urlencoded")],
            False,
        ),
        ([(b"transfer-encoding", b"chunked"), (b"content-type", b"text/json")], False),
        ([(b"content-length", b"0"), (b"content-length", b"2")], False),
    ],
)
def test_a_body_is_json_or_none(fields: list[tuple[bytes, bytes]], passes: bool) -> None:
    assert status("POST", "/-/reload", [HOST, *fields]) == (None if passes else 415)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("gateway", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_what_cannot_be_another_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_host_field_is_taken_apart() -> None:
    assert host_of(b"a.example:80") == "a.example"
    assert host_of(b"[::1]:80") == "::1"
    assert host_of(b"a.example:80x") == ""


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", "/pages/one", True),
        ("HEAD", "/pages/", True),
        ("POST", "/pages/one", False),
        ("GET", "/pages", False),
        ("GET", "/pagesx/one", False),
        ("GET", "//pages/one", False),
        ("GET", "/metrics", False),
    ],
)
def test_what_is_open_everybody_may_read_and_nothing_beside_it(
    method: str, path: str, passes: bool
) -> None:
    refused = refusal(method, path, [(b"host", b"elsewhere")], TOKEN, ["/pages/"])

    assert (refused is None) == passes
