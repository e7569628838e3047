"""What strangers claim in heads: it reaches no worker, and never decides where a request goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.builders import make_config
from tests.sockets.peers import Gateway, Message, Worker, request

CLAIM = "stranger.example"
# They concern one connection, or say what only a proxy that is trusted may say.
NAMES = (
    *("Keep-Alive", "TE", "Trailer", "Upgrade", "HTTP2-Settings", "Proxy-Connection"),
    *("Proxy-Authorization", "Proxy-Authenticate", "Proxy-Features", "Proxy"),
    *("Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"),
    *("X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Ssl"),
    *("X-Forwarded-Client-Cert", "X-Forwarded-Scheme", "X-Forwarded-Uri", "X-Forwarded-By"),
)
SPELLINGS = {
    "as usual": str,
    "small": str.lower,
    "large": str.upper,
    "with underscores": lambda name: name.replace("-", "_"),
}
NAMED = ("X-Private", "Authorization", "Cookie", "X-User-Id", "Accept", "X-Model-Version")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with closing(Worker(name="ours")) as one:
        yield one


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Worker]:
    """Where strangers would like requests to go; no file names it."""
    with closing(Worker(name="elsewhere")) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(worker: Worker) -> Iterator[Gateway]:
    config = make_config({"v1": worker.url}, override="x-choose")
    with closing(Gateway(config)) as one:
        yield one
        assert one.problems == []


def received(gateway: Gateway, worker: Worker, fields: list[tuple[str, str]]) -> Message:
    """The request as it came to the worker."""
    before = len(worker.requests)
    assert gateway.ask(fields=fields).status == 200
    assert len(worker.requests) == before + 1
    return worker.requests[-1]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_no_claim_about_the_way_reaches_a_worker(
    name: str, spelling: str, gateway: Gateway, worker: Worker
) -> None:
    spelled = SPELLINGS[spelling](name)
    for times in (1, 2):
        seen = received(gateway, worker, [(spelled, CLAIM)] * times)

        assert CLAIM not in str(seen.fields), seen.fields
        assert seen["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("connection", ["{}", "close, {}", "keep-alive ,\t{} , te"])
def test_no_field_that_connection_names_reaches_a_worker(
    name: str, connection: str, gateway: Gateway, worker: Worker
) -> None:
    fields = [(name, CLAIM), ("Connection", connection.format(name.upper())), ("X-Public", "1")]
    seen = received(gateway, worker, fields)

    assert CLAIM not in str(seen.fields), seen.fields
    assert seen["x-public"] == "1"


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ((), "127.0.0.1"),
        (("203.0.113.9",), "203.0.113.9, 127.0.0.1"),
        (("203.0.113.9", "10.0.0.1"), "203.0.113.9, 10.0.0.1, 127.0.0.1"),
        (("203.0.113.9, 127.0.0.1",), "203.0.113.9, 127.0.0.1, 127.0.0.1"),
        (("not an address",), "not an address, 127.0.0.1"),
    ],
)
def test_the_chain_of_addresses_ends_in_the_one_we_saw(
    claims: tuple[str, ...], told: str, gateway: Gateway, worker: Worker
) -> None:
    fields = [("X-Forwarded-For", claim) for claim in claims]

    assert received(gateway, worker, fields)["x-forwarded-for"] == told


def wishes(host: str) -> Iterator[bytes]:
    """Every way to say where one would like a request to go."""
    url = f"http://{host}"
    targets = (
        *(f"{url}/predict", f"http://user@{host}/", f"http://127.0.0.1@{host}/", f"//{host}/"),
        *(f"/{host}", f"/?url={url}", f"/@{host}", f"/{url}", f"/predict?host={host}#{host}"),
        *(f"https://{host}/", f"/.{host}/", f"/;@{host}", f"?{host}", f"{host}", f"*@{host}"),
    )
    for target in targets:
        yield request(target=target)
        yield request(method="GET", target=target, body=None)
    yield f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for own in (host, f"{host}@models.example", f"models.example@{host}", f"{host}/"):
        yield f"GET / HTTP/1.1\r\nHost: {own}\r\n\r\n".encode()
        yield f"GET http://{host}/ HTTP/1.1\r\nHost: {own}\r\n\r\n".encode()
        yield f"GET / HTTP/1.1\r\nHost: a\r\nHost: {own}\r\n\r\n".encode()
    names = (
        *("X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL"),
        *("Forwarded", "X-Upstream", "X-Envoy-Original-Dst-Host", "X-Accel-Redirect", "Location"),
        *("X-Forwarded-Server", "Proxy", "Destination", "X-Choose", "X-Model-Version", "Origin"),
        *("Referer", "Via", "X-Real-IP", "Upgrade", "Cookie", "Alt-Svc", "X-Backend-Host"),
    )
    for name in names:
        for value in (host, url):
            yield request(fields=[(name, value)])
    yield request(fields=[("Forwarded", f'host="{host}";for={host}')])
    yield request(body=f"GET {url}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def test_nothing_a_client_says_sends_a_request_where_the_file_does_not(
    gateway: Gateway, worker: Worker, elsewhere: Worker
) -> None:
    before, asked, answers = len(worker.requests), 0, 0
    for data in wishes(elsewhere.url.removeprefix("http://")):
        asked += 1
        with gateway.client() as client:
            client.send(data)
            answer = client.answer()
            assert answer.status == 200 or 400 <= answer.status < 500, data
            answers += answer.status == 200

    assert asked > 90
    assert len(worker.requests) - before == answers > 40
    assert elsewhere.connections == 0
