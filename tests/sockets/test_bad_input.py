"""Raw requests over real sockets: what is malformed reaches nobody, what is valid is served however
it is cut.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from random import Random

import pytest

from gateway.http.date import _line
from gateway.http.target import check_path
from gateway.model import Match
from tests.builders import make_config, make_route
from tests.sockets.bad_input import MALFORMED, VALID
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Client, Gateway, Message, Worker, answering, request

INNER = Match(path="/inner")
HIDDEN = request("GET", "/hidden", None)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One for all: it notes every request, so each test looks at those of its own."""
    with closing(Worker()) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(worker: Worker) -> Iterator[Gateway]:
    with closing(Gateway(make_config({"v1": worker.url}))) as one:
        yield one
        assert one.problems == []


def seen(worker: Worker, since: int) -> list[str]:
    return [one.target for one in worker.requests[since:]]


def send_all(client: Client, *pieces: bytes) -> None:
    """As much as the gateway takes: it may refuse before it has read everything."""
    with suppress(OSError):
        for piece in pieces:
            client.send(piece)


def check_refused(client: Client, status: int) -> None:
    """One answer in our own words, then the end."""
    answer = client.answer()
    told = answer.json()

    assert answer.status == status
    assert (answer["content-type"], answer["connection"]) == ("application/json", "close")
    assert set(told) == {"error", "reason", "request_id"}
    assert answer["x-request-id"] == told["request_id"]
    assert parsedate_to_datetime(answer["date"])
    assert client.ended()


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_reaches_nobody_and_ends_the_connection(
    name: str, gateway: Gateway, worker: Worker
) -> None:
    data, status = MALFORMED[name]
    before = len(worker.requests)
    with gateway.client() as client:
        send_all(client, data + HIDDEN)
        check_refused(client, status)

    assert seen(worker, before) == []
    assert gateway.ask().status == 200


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_behind_a_good_request_takes_nothing_with_it(
    name: str, gateway: Gateway, worker: Worker
) -> None:
    data, status = MALFORMED[name]
    before = len(worker.requests)
    with gateway.client() as client:
        send_all(client, request(target="/good") + data + HIDDEN)

        assert client.answer().json()["target"] == "/good"
        check_refused(client, status)
    assert seen(worker, before) == ["/good"]


@pytest.mark.parametrize("name", [name for name in MALFORMED if len(MALFORMED[name][0]) < 1000])
def test_what_is_malformed_is_so_in_pieces(name: str, gateway: Gateway, worker: Worker) -> None:
    data, status = MALFORMED[name]
    before = len(worker.requests)
    cut = Random(name).randrange(1, len(data))
    for pieces in ((data[:cut], data[cut:]), [bytes([byte]) for byte in data]):
        with gateway.client() as client:
            with suppress(OSError):
                for piece in pieces:
                    client.send(piece)
                    if len(pieces) == 2:
                        gateway.settle()  # let it read
            client.sock.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                rest = client.rest()

        assert rest.startswith(b"HTTP/1.1 %d " % status) or rest == b""
    assert seen(worker, before) == []


def test_no_refusal_was_a_failure_of_anybodys(gateway: Gateway) -> None:
    assert gateway.errors("v1") == {}
    assert set(gateway.answers("v1")) <= {"weighted 200"}


# --- what is valid


def answer_of(client: Client, data: bytes) -> Message:
    """The final answer."""
    if b"Expect: 100-continue" in data:
        assert client.head()[0] == "HTTP/1.1 100 Continue"
    return client.answer()


@pytest.mark.parametrize("name", VALID)
def test_what_is_valid_is_served_wherever_it_is_cut(
    name: str, gateway: Gateway, worker: Worker
) -> None:
    data, told = VALID[name]
    before = len(worker.requests)
    cuts = range(len(data)) if len(data) < 500 else range(0, len(data), 10)
    with gateway.client() as client:
        for cut in cuts:
            if cut:
                client.send(data[:cut])
                gateway.settle()  # let it read
            client.send(data[cut:])

            assert answer_of(client, data).status == 200, cut
    got = {(one.method, one.target, one.body) for one in worker.requests[before:]}

    assert got == {told}
    assert len(worker.requests) - before == len(cuts)


def test_thirty_of_every_kind_at_once_are_answered_in_order(
    gateway: Gateway, worker: Worker
) -> None:
    names = [name for name in VALID if "expect" not in name]
    rng = Random(5)
    for _ in range(20):
        chosen = rng.choices(names, k=30)
        before = len(worker.requests)
        with gateway.client() as client:
            client.send(b"".join(VALID[name][0] for name in chosen))
            statuses = [client.answer().status for _ in chosen]
        got = [(one.method, one.target, one.body) for one in worker.requests[before:]]

        assert statuses == [200] * 30
        assert got == [VALID[name][1] for name in chosen]


# --- what must not pass, in what does


def test_fields_of_ours_do_not_pass_with_underscores_either(serve: Serve, hire: Hire) -> None:
    """A worker behind CGI or WSGI would take them for the real ones."""
    worker = hire()
    names = ("Content_Length", "X_Forwarded_For", "Transfer_Encoding", "X_Real-IP", "Proxy_", "X_Y")
    serve(make_config({"v1": worker.url})).ask(fields=[(name, "1") for name in names])

    assert {name for name in worker.requests[0].names if "_" in name} == {"x_y"}


def test_a_path_another_route_forbids_is_not_reached_by_dots(serve: Serve, hire: Hire) -> None:
    """A worker that resolves dots would answer for a route that was not asked."""
    public, inner = hire(name="public"), hire(name="inner")
    other = make_route({"v1": public.url}, name="public")
    config = make_config({"v1": inner.url}, other, match=INNER)
    gateway = serve(config)
    tricks = ["/x/../inner", "/x/%2e%2e/inner", "/x/..%2finner", "/x\\..\\inner", "/x/..;/inner"]

    assert gateway.ask(target="/inner/a").json()["worker"] == "inner"
    assert gateway.ask(target="/x").json()["worker"] == "public"
    assert {gateway.ask(target=target).status for target in tricks} == {400}
    assert len(public.requests) == len(inner.requests) == 1


def test_a_long_path_of_dots_is_looked_through_once() -> None:
    """Nothing here may take time that grows with the square of a path."""
    for path in (b"/.;" * 2700, b"/..." * 2000, b"/%2e%2e%2e" * 800, b"/.well" * 1300):
        with suppress(Exception):
            check_path(path)


def test_a_refused_request_leaves_its_connection_if_it_was_whole(serve: Serve, hire: Hire) -> None:
    """A 404 has a date, and is no reason to hang up."""
    gateway = serve(make_config({"v1": hire().url}, match=INNER))
    with gateway.client() as client:
        answer = client.ask(target="/elsewhere")

        assert answer.status == 404
        assert parsedate_to_datetime(answer["date"])
        assert client.ask(target="/inner").status == 200


def test_the_workers_own_date_is_the_only_one(serve: Serve, hire: Hire) -> None:
    said = "Sun, 06 Nov 1994 08:49:37 GMT"
    with_date = hire(answering(fields=[("Date", said)]))

    assert serve(make_config({"v1": with_date.url})).ask()["date"] == said
    assert "date" not in serve(make_config({"v1": hire().url})).ask()


def test_dates_are_as_http_has_them() -> None:
    assert _line(784_111_777) == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert _line(1_709_164_800) == b"Date: Thu, 29 Feb 2024 00:00:00 GMT\r\n"
