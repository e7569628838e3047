"""To whom the gateway connects: to whom the file names, if it is really there and really them."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from gateway.config import parse
from gateway.errors import ConfigError
from gateway.model import RoutingConfig
from gateway.security.tls import unusable_authority
from gateway.workers import dial
from tests import certificates
from tests.builders import make_config
from tests.sockets.conftest import Hire, Serve
from tests.sockets.peers import Worker, answering, eventually

FILE = """\
routes:
  iris:
    stable: v1
    versions:
      v1:
        url: {url}
        {tls}
"""


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a gateway does."""
    monkeypatch.setattr(dial, "_contexts", {})
    monkeypatch.setattr(dial, "_said", {})


@pytest.fixture
def employ(stack: ExitStack) -> Iterator[Any]:
    """A worker that shows a certificate."""

    def start(certificate: trustme.LeafCert, *behaviour: Any) -> Worker:
        context = certificates.serving(certificate)
        return stack.enter_context(closing(Worker(*behaviour, context=context)))

    return start


def config_of(url: str, **tls: object) -> RoutingConfig:
    written = ", ".join(f"{key}: {value}" for key, value in tls.items())
    text = FILE.format(url=url, tls=f"tls: {{{written}}}" if tls else "")
    return parse(text.encode(), unusable_authority)


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(text.encode(), unusable_authority)
    return [problem.render("routing.yaml") for problem in error.value.problems]


# --- who a worker is


def test_a_worker_is_verified_by_the_authority_of_its_version(
    serve: Serve, employ: Any, tmp_path: Path
) -> None:
    worker = employ(certificates.issued())
    gateway = serve(config_of(worker.url, ca=certificates.write_authority(tmp_path)))

    assert [gateway.ask().status for _ in range(3)] == [200] * 3
    assert worker.connections == 1


def expired() -> trustme.LeafCert:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    return certificates.authority().issue_cert("127.0.0.1", not_after=past)


@pytest.mark.parametrize(
    ("certificate", "ca"),
    [
        pytest.param(certificates.issued(by="strangers"), "ours", id="of another authority"),
        pytest.param(certificates.issued("iris.example"), "ours", id="of another name"),
        pytest.param(certificates.issued("10.1.2.3"), "ours", id="of another address"),
        pytest.param(expired(), "ours", id="expired"),
        pytest.param(certificates.issued(), None, id="unknown to the system"),
    ],
)
def test_who_cannot_be_verified_is_sent_nothing(
    certificate: trustme.LeafCert,
    ca: str | None,
    serve: Serve,
    employ: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    worker = employ(certificate)
    tls = {"ca": certificates.write_authority(tmp_path, ca)} if ca else {}
    gateway = serve(config_of(worker.url, **tls))

    for _ in range(2):
        answer = gateway.ask()
        assert (answer.status, answer.json()["reason"]) == (503, "connect")
    assert worker.requests == []
    said = [line for line in capfd.readouterr().err.splitlines() if "worker not trusted" in line]
    assert len(said) == 1  # why, and only once
    assert "certificate is not valid" in said[0]


def test_the_name_in_the_certificate_may_be_another_than_the_host(
    serve: Serve, employ: Any, tmp_path: Path
) -> None:
    worker = employ(certificates.issued("iris.example"))
    ca = certificates.write_authority(tmp_path)
    gateway = serve(config_of(worker.url, ca=ca, server_name="iris.example"))

    assert gateway.ask().status == 200


def test_connections_share_what_they_are_verified_with(tmp_path: Path) -> None:
    ca = str(certificates.write_authority(tmp_path))

    assert dial.context_of(ca) is dial.context_of(ca)
    assert dial.context_of("") is dial.context_of("")
    assert dial.context_of("").verify_mode is ssl.CERT_REQUIRED
    assert dial.context_of("").check_hostname


def test_a_new_authority_counts_from_the_next_connection_on_and_a_broken_one_does_not(
    serve: Serve, employ: Any, tmp_path: Path
) -> None:
    worker = employ(certificates.issued(by="others"), answering(fields=[("Connection", "close")]))
    ca = certificates.write_authority(tmp_path)
    gateway = serve(config_of(worker.url, ca=ca))
    assert gateway.ask().json()["reason"] == "connect"

    certificates.authority("others").cert_pem.write_to_path(ca)
    assert gateway.ask().status == 200
    ca.write_text("not a certificate")
    assert gateway.ask().status == 200
    ca.unlink()
    assert gateway.ask().status == 200


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        ("nothing", "it holds no certificate in PEM form"),
        (Ellipsis, "Is a directory"),
    ],
)
def test_a_file_of_authorities_that_cannot_be_used_is_a_problem_of_the_file(
    content: Any, why: str, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    if content is ...:
        ca.mkdir()
    elif content is not None:
        ca.write_text(content)
    text = FILE.format(url="https://iris", tls=f"tls: {{ca: {ca}}}")

    [problem] = refused(text)
    assert problem.startswith("routing.yaml:7:19: routes.iris.versions.v1.tls.ca: '/")
    assert problem.endswith(f"({why}); write the path of a PEM file with CA certificates")
    assert parse(text.encode())  # who only edits it, elsewhere, may not have the other file


@pytest.mark.parametrize("url", ["http://iris", "unix:/run/v1.sock"])
def test_tls_without_https_is_a_problem_of_the_file(url: str, tmp_path: Path) -> None:
    ca = certificates.write_authority(tmp_path)

    assert refused(FILE.format(url=url, tls=f"tls: {{ca: {ca}}}")) == [
        f"routing.yaml:7:9: routes.iris.versions.v1.tls: '{url}' speaks no TLS; "
        "write https://host:port, or remove 'tls'"
    ]


def test_one_plain_worker_among_others_with_tls_is_a_problem_of_the_file(tmp_path: Path) -> None:
    text = FILE.format(url="https://a", tls="tls: {server_name: iris}")
    text = text.replace("url: https://a", "urls: [https://a, http://b]")

    [problem] = refused(text)
    assert problem.startswith("routing.yaml:7:9: routes.iris.versions.v1.tls: 'http://b' speaks no")


def test_there_is_no_way_to_trust_anybody() -> None:
    for key in ("verify: false", "insecure: true", "check_hostname: false"):
        [problem] = refused(FILE.format(url="https://iris", tls=f"tls: {{{key}}}"))
        assert "unknown key" in problem


# --- where a worker is


class Resolver(uvloop.Loop):
    """A loop whose names stand for what a test says; ``asked`` is where connections went."""

    names: dict[str, list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        kinds = {False: socket.AF_INET, True: socket.AF_INET6}
        return [
            (kinds[":" in address], socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.names[host]
        ]

    async def create_connection(self, factory: Any, host: Any = None, *rest: Any, **more: Any):
        self.asked.append(host)
        return await super().create_connection(factory, host, *rest, **more)


def resolving(**names: list[str]) -> type[Resolver]:
    return type("Told", (Resolver,), {"names": names})


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fe80::1%eth0", "100.100.100.200", "0.0.0.0", "::"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_stands_for_where_no_traffic_may_go_is_not_connected_to(
    scheme: str, address: str, serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway = serve(
        make_config({"v1": f"{scheme}://worker:80"}), new_loop=resolving(worker=[address])
    )

    assert gateway.ask().json()["reason"] == "connect"
    assert gateway.loop.asked == []  # type: ignore[attr-defined]
    assert "where traffic must not go to" in capfd.readouterr().err


def test_of_several_addresses_the_first_that_may_be_and_can_be_reached_is_taken(
    serve: Serve, hire: Hire
) -> None:
    worker = hire()
    port = worker.url.rpartition(":")[2]
    addresses = ["169.254.169.254", "127.0.0.9", "127.0.0.1"]
    gateway = serve(
        make_config({"v1": f"http://worker:{port}"}), new_loop=resolving(worker=addresses)
    )

    assert gateway.ask().status == 200
    assert gateway.loop.asked == ["127.0.0.9", "127.0.0.1"]  # type: ignore[attr-defined]


def test_no_redirect_is_followed_and_no_proxy_asked(
    serve: Serve, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = hire(name="elsewhere")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.url)
    location = f"{elsewhere.url}/predict"
    gateway = serve(make_config({"v1": hire(answering(307, fields=[("Location", location)])).url}))
    answer = gateway.ask()

    assert (answer.status, answer["Location"]) == (307, location)
    eventually(lambda: gateway.in_flight == 0)
    assert elsewhere.connections == 0
