"""`canary serve` with certificates: both ports, several processes, replaced while clients talk."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import certificates
from tests.sockets.peers import Client, Worker, answering, eventually

TEXT = """\
routes:
  iris:
    stable: v1
    versions: {{v1: {{url: "{url}"}}}}
"""
CA = "another authority"


class Secured:
    """A gateway process that speaks TLS on both ports."""

    def __init__(self, system: Any, folder: Path, worker: Worker, *options: str) -> None:
        self.folder = folder
        self.chain, self.key = certificates.write_pair(folder, certificates.issued())
        file = folder / "routing.yaml"
        file.write_text(TEXT.format(url=worker.url))
        pair = ("--tls-cert", str(self.chain), "--tls-key", str(self.key))
        admin = tuple(option.replace("--tls", "--admin-tls") for option in pair)
        alone = ("--no-controller", "--no-console")
        free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *alone)
        log = folder / f"{len(system.running)}.log"
        started = system.start("monitoring", "serve", str(file), *free, *pair, *admin, *options)
        self.process = started

        def said() -> Any:
            assert started.poll() is None, log.read_text()
            lines = [line for line in log.read_text().splitlines() if '"serving"' in line]
            return json.loads(lines[0]) if lines else None

        self.where = eventually(said, 60)
        self.log = log
        self.data = ("127.0.0.1", int(self.where["data"].rpartition(":")[2]))

    def admin(self, path: str, by: str = "ours") -> httpx2.Response:
        verify = certificates.trusting(by)
        with httpx2.Client(verify=verify, trust_env=False, timeout=60) as client:
            return client.get(f"{self.where['admin']}{path}")

    def metrics(self, by: str = "ours") -> dict[str, float]:
        lines = self.admin("/metrics", by).text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def client(self, by: str = "ours") -> Client:
        return Client(self.data, context=certificates.trusting(by))

    def shows(self, by: str, tries: int = 1) -> bool:
        """Whether so many new connections are all shown a certificate of this authority."""
        try:
            for _ in range(tries):
                self.client(by).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    def replace(self, by: str) -> None:
        certificates.write_pair(self.folder, certificates.issued(by=by))


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker(answering())
    yield one
    one.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_certificate_is_replaced_while_clients_talk(
    processes: int, system: Any, worker: Worker, tmp_path: Path
) -> None:
    gateway = Secured(system, tmp_path, worker, "--processes", str(processes))
    assert {gateway.where[port].partition(":")[0] for port in ("data", "admin")} == {"https"}
    assert gateway.admin("/-/ready").status_code == 200
    expiry = 'canary_tls_certificate_expiry_timestamp_seconds{port="%s"}'
    reloads = 'canary_tls_certificate_reloads_total{port="%s",result="%s"}'
    told = gateway.metrics()
    assert {told[expiry % port] > 4e9 for port in ("data", "admin")} == {True}

    with gateway.client() as before:
        assert before.ask().status == 200
        gateway.replace(by=CA)
        eventually(lambda: gateway.shows(CA, 8 * processes), 60)
        assert before.ask().status == 200

    eventually(lambda: _reads(lambda: gateway.metrics(CA)), 60)
    told = gateway.metrics(CA)
    assert {told[reloads % (port, "success")] for port in ("data", "admin")} == {1}
    assert {told[reloads % (port, "failure")] for port in ("data", "admin")} == {0}
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(60) == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_broken_pair_is_refused_and_a_successor_shows_the_good_one(
    processes: int, system: Any, worker: Worker, tmp_path: Path
) -> None:
    gateway = Secured(system, tmp_path, worker, "--processes", str(processes))
    gateway.key.write_text("broken")
    failure = 'canary_tls_certificate_reloads_total{port="%s",result="failure"}'
    for port in ("data", "admin"):
        eventually(lambda name=failure % port: gateway.metrics()[name] == 1, 60)
    assert gateway.shows("ours", 8 * processes)
    if processes > 1:
        members = gateway.admin("/api/status").json()["processes"]
        os.kill(members[0]["pid"], signal.SIGKILL)

        def replaced() -> bool:
            now = gateway.admin("/api/status").json()
            return now["restarts"] == 1 and all(one["generation"] for one in now["processes"])

        eventually(replaced, 60)
        assert gateway.shows("ours", 16)
    assert "PRIVATE KEY" not in gateway.log.read_text()


def test_plain_http_to_a_port_that_speaks_tls_ends_and_the_gateway_lives(
    system: Any, worker: Worker, tmp_path: Path
) -> None:
    gateway = Secured(system, tmp_path, worker)
    admin = ("127.0.0.1", int(gateway.where["admin"].rpartition(":")[2]))
    for address in (gateway.data, admin):
        with socket.create_connection(address, timeout=60) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"HTTP" not in plain.recv(1000)
    with gateway.client() as client:
        assert client.ask().status == 200
    assert gateway.admin("/-/healthy").text == "healthy\n"


def test_a_pair_that_cannot_be_used_is_wrong_use(canary: Any, tmp_path: Path) -> None:
    chain, key = certificates.write_pair(tmp_path, certificates.issued())
    other = tmp_path / "other.key"
    other.write_bytes(certificates.issued("other").private_key_pem.bytes())
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT.format(url="http://127.0.0.1:1"))
    for options, sentence in (
        (["--tls-cert", chain], "the data port has a certificate or a key alone; give both"),
        (["--admin-tls-key", key], "the admin port has a certificate or a key alone; give both"),
        (["--tls-cert", chain, "--tls-key", other], "the key does not belong to the certificate"),
    ):
        ended = canary("serve", str(file), "--admin", "127.0.0.1:0", *map(str, options))
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"error: {sentence}")
        assert ended.stderr.count("\n") == 1


def _reads(read: Any) -> bool:
    try:
        read()
    except httpx2.HTTPError:
        return False
    return True


@pytest.mark.parametrize("processes", [1, 2])
def test_an_expired_pair_is_served_and_said_once(
    processes: int, system: Any, worker: Worker, tmp_path: Path
) -> None:
    gateway = Secured(system, tmp_path, worker, "--processes", str(processes))
    assert "certificate expired" not in gateway.log.read_text()
    certificates.write_pair(tmp_path, certificates.outdated())
    eventually(lambda: gateway.log.read_text().count('"certificate expired"') == 2, 60)  # ports

    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with Client(gateway.data, context=careless) as client:
        assert client.ask().status == 200
    eventually(lambda: not gateway.shows("ours"), 60)
    lines = gateway.log.read_text().splitlines()
    said = [json.loads(line) for line in lines if "certificate expired" in line]
    assert {(one["port"], one["level"]) for one in said} == {("data", "error"), ("admin", "error")}
    assert {one["expired"] for one in said} == {"2020-01-02T00:00:00+00:00"}
