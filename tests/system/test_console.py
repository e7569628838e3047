"""The console beside a gateway, through its admin port: as processes, over real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import certificates
from tests.sockets.peers import PATIENCE, Client, Worker, eventually
from tests.system.test_admin_access import Answer, ask, bearer
from tests.system.test_group import alive

TEXT = 'routes: {{iris: {{stable: v1, versions: {{v1: {{url: "{url}"}}}}}}}}\n'
TOKEN = "secret-of-the-admin-port-0123456789"
GATEWAYS = ("/metrics", "/api/status", "/api/evidence", "/-/nothing", "//", "/a/../metrics")
CONSOLES = ("/", "/history", "/nothing", "/routes/iris", "/routes/iris/events", "/static/x")
LONG = 60.0


@pytest.fixture
def text() -> Iterator[str]:
    with closing(Worker()) as worker:
        yield TEXT.format(url=worker.url)


def log_of(system: Any) -> list[dict[str, Any]]:
    whole = (system.folder / "0.log").read_text().rpartition("\n")[0].splitlines()
    assert not [line for line in whole if line[:1] != "{"]  # no traceback, and nothing torn
    return [json.loads(line) for line in whole]


def lines(system: Any, event: str) -> list[dict[str, Any]]:
    return [line for line in log_of(system) if line["event"] == event]


def consoles(system: Any) -> list[int]:
    """Their process ids, the newest last."""
    return [line["pid"] for line in lines(system, "the companion started")]


def begun(served: Any) -> Answer:
    """The first page, once there is one."""
    return eventually(
        lambda: answer if (answer := ask(served.admin_port, "GET", "/")).status != 503 else None,
        LONG,
    )


def folder_of(system: Any) -> Path:
    return Path(lines(system, "console")[0]["at"]).parent


def enter(port: int) -> dict[str, str]:
    """Sign in; the fields that a browser would send from then on."""
    page = ask(port, "GET", "/login")
    (form_token,) = re.findall(rb'name="form_token" value="([0-9a-f]{64})"', page.body)
    body = b"token=%s&form_token=%s&next=/" % (TOKEN.encode(), form_token)
    kind = "application/x-www-form-urlencoded"
    origin = f"http://127.0.0.1:{port}"
    answer = ask(port, "POST", "/login", body, Origin=origin, Content_Type=kind)
    assert (answer.status, answer.fields["location"]) == (303, "/")
    return {"Cookie": answer.fields["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_begins_comes_back_and_ends_with_the_gateway(
    system: Any, text: str, processes: str
) -> None:
    served = system.gateway(text, "--processes", processes, console=True)
    assert begun(served).status == 200
    folder = folder_of(system)
    with Client(("127.0.0.1", served.admin_port)) as client:  # while it is away
        os.kill(consoles(system)[0], signal.SIGKILL)
        eventually(lambda: lines(system, "the companion ended"), LONG)
        assert client.ask("GET", "/").status == 503
    assert begun(served).status == 200
    assert ask(served.admin_port, "GET", "/metrics").status == 200

    with Client(("127.0.0.1", served.admin_port)) as client:  # somebody looks on
        client.send(b"GET /live/routes/iris HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.head()[0].split()[1] == "200"
        served.process.send_signal(signal.SIGTERM)
        client.rest()

    assert served.process.wait(LONG) == 0
    complaints = [line for line in log_of(system) if line["level"] != "info"]
    assert [line["event"] for line in complaints] == ["the companion ended"]  # the killed one
    assert len(consoles(system)) == 2
    assert not [pid for pid in consoles(system) if alive(pid)]
    assert not folder.exists()
    assert len(lines(system, "drained")) == 1


def test_it_does_not_outlive_a_killed_gateway(system: Any, text: str) -> None:
    served = system.gateway(text, console=True)
    begun(served)
    folder = folder_of(system)

    served.process.kill()
    served.process.wait()

    eventually(lambda: not alive(consoles(system)[0]), LONG)
    assert not folder.exists()


def test_without_a_console_its_paths_are_not_served(system: Any, text: str) -> None:
    served = system.gateway(text)

    assert ask(served.admin_port, "GET", "/").status == 404


def test_with_a_token_nothing_but_the_way_in_is_to_be_read(system: Any, text: str) -> None:
    file = system.folder / "token"
    file.write_text(TOKEN)
    options = ("--admin", "0.0.0.0:0", "--admin-token-file", str(file))
    served = system.gateway(text, *options, console=True)
    port = served.admin_port
    begun(served)

    for path in (*GATEWAYS, *CONSOLES[:-1]):
        for fields in ({}, bearer("wrong" * 4), {"Cookie": f"canary_session_{port}=1"}):
            assert ask(port, "GET", path, **fields).status == 401, path
        assert ask(port, "POST", path, b"", **bearer("wrong" * 4)).status == 401, path
    assert ask(port, "GET", "/login").status == 200
    assert ask(port, "GET", "/healthy").body == b"healthy\n"
    (static,) = re.findall(rb'href="(/static/[^"]+\.css)"', ask(port, "GET", "/login").body)
    kept = ask(port, "GET", static.decode())
    assert (kept.status, kept.fields.get_all("cache-control")) == (
        200,
        ["public, max-age=31536000, immutable"],
    )

    session = enter(port)
    assert ask(port, "GET", "/", **session).status == 200
    assert ask(port, "GET", "/", **bearer(TOKEN)).status == 200
    for path in GATEWAYS:  # a session is the console's, and says nothing to the gateway
        assert ask(port, "GET", path, **session).status == 401
    file.write_text(f"{TOKEN}-and-more")
    assert ask(port, "GET", "/", **session).status == 401
    assert ask(port, "GET", "/", **bearer(f"{TOKEN}-and-more")).status == 200


def test_on_loopback_a_page_from_elsewhere_is_told_nothing(system: Any, text: str) -> None:
    served = system.gateway(text, console=True)
    port = served.admin_port
    begun(served)

    assert ask(port, "GET", "/", Host="evil.example").status == 403
    assert ask(port, "POST", "/logout", b"", Origin="http://evil.example").status == 403
    assert ask(port, "POST", "/logout", b"", Origin=f"http://127.0.0.1:{port}").status == 403


def test_it_speaks_tls_where_the_admin_port_does(
    system: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_ADMIN_CA", str(certificates.write_authority(tmp_path)))
    chain, key = certificates.write_pair(tmp_path, certificates.issued("127.0.0.1"))
    file = system.folder / "routing.yaml"
    file.write_text(text)
    free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--no-controller")
    pair = ("--admin-tls-cert", str(chain), "--admin-tls-key", str(key))
    system.start("monitoring", "serve", str(file), *free, *pair)
    log = system.folder / "0.log"
    eventually(lambda: log.read_text() and lines(system, "console"), LONG)
    port = int(lines(system, "serving")[0]["admin"].rpartition(":")[2])

    def page() -> Any:
        with Client(("127.0.0.1", port), context=certificates.trusting()) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = client.answer("GET")
            return answer if answer.status == 200 else None

    assert b"<h1>" in eventually(page, PATIENCE).body
