"""The controller's own port: what it answers, to whom, and that nobody holds it up."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from gateway.machine.port import Address
from gateway.security.credential import Token
from monitoring.metrics.collector import Metrics
from monitoring.metrics.port import DEFAULT, serve
from tests.builders import make_route

ANY = Address("127.0.0.1", 0)
TOKEN = "0123456789abcdef-token"

Serve = Callable[..., Address]


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "metrics port"]


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics("1.2.3")
    made.known([make_route()])
    return made


@pytest.fixture
def serving(metrics: Metrics) -> Iterator[Serve]:
    """Ends with its thread."""
    with ExitStack() as stack:
        yield lambda address=ANY, token=None: stack.enter_context(serve(metrics, address, token))
    assert threads() == []


def ask(
    where: Address, path: str = "/metrics", method: str = "GET", **fields: str
) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection(where.host, where.port, timeout=60)) as client:
        client.request(method, path, headers={k.replace("_", "-"): v for k, v in fields.items()})
        answer = client.getresponse()
        return answer, answer.read()


def test_it_is_on_loopback_unless_told_otherwise() -> None:
    assert str(DEFAULT) == "127.0.0.1:8082"


def test_metrics_come_as_text_or_as_openmetrics(serving: Serve, metrics: Metrics) -> None:
    where = serving()
    plain, text = ask(where)
    asked = "application/openmetrics-text; version=1.0.0"
    open_metrics, more = ask(where, Accept=asked)

    assert plain.status == 200
    assert (plain.headers["Content-Type"], text) == metrics.render("")
    assert (open_metrics.headers["Content-Type"], more) == metrics.render(asked)


def test_metrics_are_compressed_for_who_can_read_that(serving: Serve, metrics: Metrics) -> None:
    answer, body = ask(serving(), Accept_Encoding="gzip")

    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == metrics.render("")[1]


def test_health_is_that_of_the_loop(serving: Serve, metrics: Metrics) -> None:
    where = serving()
    answer, body = ask(where, "/-/healthy")
    assert (answer.status, body) == (503, b"the controller has not looked yet\n")
    metrics.look("judged")
    answer, body = ask(where, "/-/healthy")
    assert (answer.status, body) == (200, b"healthy\n")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/metrics/", "GET", 404),
        ("/-/reload", "POST", 404),
        ("/metrics", "POST", 405),
        ("/-/healthy", "DELETE", 405),
    ],
)
def test_nothing_else_is_served(path: str, method: str, status: int, serving: Serve) -> None:
    answer, body = ask(serving(), path, method)

    assert answer.status == status
    assert b"nothing is served here that way" in body


def test_a_port_that_is_taken_is_an_error_to_be_handled(metrics: Metrics) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"), serve(metrics, address):
            pass
    assert threads() == []


def test_the_port_is_free_again_afterwards(metrics: Metrics) -> None:
    with serve(metrics, ANY) as where:
        ask(where)
    with serve(metrics, where) as again:
        assert again == where
        assert ask(again)[0].status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_a_token_it_is_for_this_machine_only(host: str, metrics: Metrics) -> None:
    with (
        pytest.raises(PermissionError, match=r"need a token: give --admin-token-file"),
        serve(metrics, Address(host, 0)),
    ):
        pass


def test_where_there_is_a_token_it_has_to_be_brought(serving: Serve) -> None:
    where = serving(Address("0.0.0.0", 0), Token(TOKEN))
    here = Address("127.0.0.1", where.port)

    assert ask(here)[0].status == 401
    assert ask(here, Authorization=f"Bearer {TOKEN}")[0].status == 200
    assert ask(here, "/-/healthy")[0].status == 503  # probes have none


def test_a_page_that_was_made_to_believe_in_another_host_learns_nothing(serving: Serve) -> None:
    assert ask(serving(), Host="evil.example")[0].status == 403


def test_clients_that_say_nothing_hold_nobody_up_and_do_not_outlast_the_port(
    serving: Serve, metrics: Metrics
) -> None:
    with ExitStack() as clients, serve(metrics, ANY) as where:
        for _ in range(50):
            clients.enter_context(socket.create_connection((where.host, where.port)))
        assert ask(where)[0].status == 200
    assert threads() == []


def test_ipv6_is_served(metrics: Metrics) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with serve(metrics, Address("::1", 0)) as where:
        assert ask(where)[0].status == 200
