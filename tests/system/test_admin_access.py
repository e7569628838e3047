"""Who may do what at the admin port, over real sockets, with one process and with several."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sockets.peers import Worker

ROOT = Path(__file__).parents[2]
TOKEN = "secret-of-the-admin-port-0123456789"
TEXT = 'routes: {{iris: {{{match} stable: v1, versions: {{v1: {{url: "{url}"}}}}}}}}\n'
GUARDED = ("/metrics", "/api/status", "/api/evidence", "/nothing", "/-/ready/", "/")
JSON = "application/json"


@dataclass
class Answer:
    status: int
    fields: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: bytes | None = None, **fields: str) -> Answer:
    """One request; ``fields`` with ``_`` for ``-``."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def worker() -> Iterator[Worker]:
    with closing(Worker()) as one:
        yield one


@pytest.fixture
def text(worker: Worker) -> str:
    return TEXT.format(match="", url=worker.url)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(params=["1", "2"])
def guarded(system: Any, text: str, token_file: Path, request: pytest.FixtureRequest) -> Any:
    """A gateway that is reached from other machines, too."""
    return system.gateway(
        text,
        *("--admin", "0.0.0.0:0", "--admin-token-file", str(token_file)),
        *("--processes", request.param),
    )


@pytest.fixture
def local(system: Any, text: str) -> Any:
    """A gateway on loopback without a token."""
    return system.gateway(text)


# --- with a token


def test_without_the_token_there_is_nothing_but_probes(guarded: Any) -> None:
    port = guarded.admin_port
    for path in GUARDED:
        for fields in ({}, bearer("wrong"), bearer(TOKEN[:-1]), {"Authorization": TOKEN}):
            answer = ask(port, "GET", path, **fields)
            assert (answer.status, answer.json()["reason"]) == (401, "unauthorized"), path
            assert answer.fields["WWW-Authenticate"] == 'Bearer realm="admin"'
            assert answer.fields["Content-Type"] == JSON
    assert ask(port, "POST", "/-/reload").status == 401
    assert ask(port, "GET", "/-/healthy").body == b"healthy\n"
    assert ask(port, "GET", "/-/ready").body == b"ready\n"


def test_runbooks_are_read_without_the_token(guarded: Any) -> None:
    port = guarded.admin_port
    answer = ask(port, "GET", "/runbooks/CanaryGatewayDown")
    assert answer.status == 200
    assert answer.body.startswith(b"# CanaryGatewayDown\n")
    assert answer.fields["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.fields["X-Content-Type-Options"] == "nosniff"
    assert b"/runbooks/CanaryGatewayDown\n" in ask(port, "GET", "/runbooks/").body
    assert ask(port, "GET", "/runbooks/Nothing").status == 404
    assert ask(port, "GET", "/runbooks/../metrics").status == 404


def test_with_the_token_everything_is_there(guarded: Any) -> None:
    port = guarded.admin_port
    assert b"canary_requests_total" in ask(port, "GET", "/metrics", **bearer()).body
    assert ask(port, "GET", "/api/status", **bearer()).json()["routes"]["iris"]
    assert ask(port, "GET", "/api/evidence", **bearer()).json()["generations"]
    assert ask(port, "POST", "/-/reload", **bearer()).status == 200
    assert ask(port, "GET", "/nothing", **bearer()).json()["reason"] == "not_found"


def test_a_token_is_exchanged_while_the_gateway_runs(guarded: Any, token_file: Path) -> None:
    other = token_file.with_name("other")
    other.write_text("another-token-0123456789")
    os.replace(other, token_file)

    assert ask(guarded.admin_port, "GET", "/metrics", **bearer()).status == 401
    renewed = bearer("another-token-0123456789")
    assert ask(guarded.admin_port, "GET", "/metrics", **renewed).status == 200


def test_where_there_is_a_token_loopback_needs_it_too(
    system: Any, text: str, token_file: Path
) -> None:
    served = system.gateway(text, "--admin-token-file", str(token_file))

    assert ask(served.admin_port, "GET", "/metrics").status == 401


def test_no_command_line_and_no_process_that_is_started_has_the_token(
    system: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_ADMIN_TOKEN", TOKEN)
    served = system.gateway(text, "--processes", "2")
    members = ask(served.admin_port, "GET", "/api/status", **bearer()).json()["processes"]
    pids = [one["pid"] for one in members]

    assert len(pids) == 2
    for pid in (served.process.pid, *pids):
        assert TOKEN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    for pid in pids:
        assert TOKEN.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


# --- no start without one


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.255.255.1", "gateway.example"])
def test_beyond_loopback_there_is_no_start_without_a_token(
    host: str, canary: Callable[..., Any], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(text)
    ended = canary("serve", str(file), "--listen", "127.0.0.1:0", "--admin", f"{host}:0")

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: the admin port on {host}:0 can be reached from other")
    assert "--admin-token-file" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_empty_host_is_every_address(tmp_path: Path, text: str) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", str(file), "--listen", "127.0.0.1:0", "--admin", ":0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "needs a token" in ended.stderr


@pytest.mark.parametrize("token", ["", "short", "with spaces in the middle of it"])
def test_a_bad_token_is_wrong_use_and_is_not_shown(
    token: str, canary: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_ADMIN_TOKEN", token)
    for command in (("serve", "--admin", "127.0.0.1:0"), ("controller",), ("status",)):
        ended = canary(*command)
        assert ended.returncode == 2
        assert "no token for the admin port" in ended.stderr
        assert not token or token not in ended.stderr


def test_a_missing_token_file_is_named(canary: Callable[..., Any], tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    ended = canary("serve", "--admin", "127.0.0.1:0", "--admin-token-file", str(missing), "--json")

    assert ended.returncode == 2
    assert f"{missing}: the token" in json.loads(ended.stdout)["errors"][0]


# --- on loopback without one


def test_a_name_that_was_made_to_mean_this_machine_gets_nothing(local: Any) -> None:
    port = local.admin_port
    for path in ("/metrics", "/api/status", "/api/evidence"):
        answer = ask(port, "GET", path, Host="evil.example:8081")
        assert (answer.status, answer.json()["reason"]) == (403, "forbidden")
    assert ask(port, "POST", "/-/reload", Host="evil.example").status == 403
    assert ask(port, "GET", "/-/ready", Host="evil.example").status == 200
    assert ask(port, "GET", "/metrics", Host=f"localhost:{port}").status == 200


def reloads(served: Any) -> float:
    metrics = served.metrics()
    return float(
        metrics['canary_config_reloads_total{result="success"}']
        + metrics['canary_config_reloads_total{result="failure"}']
    )


def test_a_page_of_another_origin_and_a_get_change_nothing(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = local.admin_port
    own = f"http://127.0.0.1:{port}"
    for fields in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": own},
    ):
        assert ask(port, "POST", "/-/reload", **fields).status == 403
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = ask(port, "POST", "/-/reload", b"a=b", Content_Type=media)
        assert (answer.status, answer.json()["reason"]) == (415, "unsupported_media_type")
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = ask(port, method, "/-/reload")
        assert answer.status == 405
        assert answer.fields["Allow"] == "POST"
        assert "Access-Control-Allow-Origin" not in answer.fields
    assert reloads(local) == 0
    same = {"Origin": own, "Sec_Fetch_Site": "same-origin"}
    assert ask(port, "POST", "/-/reload", **same).status == 200
    assert ask(port, "POST", "/-/reload", b"{}", Content_Type=JSON).status == 200


def test_no_answer_names_the_software_or_sends_anybody_elsewhere(local: Any) -> None:
    answers = [
        ask(local.admin_port, method, path)
        for method, path in (
            *(("GET", path) for path in ("/metrics", "/api/status", "/-/ready", "/nothing")),
            *(("GET", path) for path in ("/metrics/", "/-/reload", "//evil.example/%2e%2e")),
            ("POST", "/-/reload"),
        )
    ]
    for answer in answers:
        assert not {"server", "location", "x-powered-by"} & {one.lower() for one in answer.fields}
        assert answer.fields["Cache-Control"] == "no-store"
        assert answer.fields["X-Content-Type-Options"] == "nosniff"
    texts = [answer.body.lower() for answer in answers if answer.status >= 400]
    assert len(texts) == 4
    assert not any(word in text for text in texts for word in (b"uvicorn", b"starlette", b"python"))


# --- the data port has nothing of it


@pytest.mark.parametrize("path", ["/metrics", "/-/reload", "/-/ready", "/api/status", "/"])
def test_the_data_port_takes_admin_paths_for_a_models(
    path: str, system: Any, worker: Worker
) -> None:
    everything = system.gateway(TEXT.format(match="", url=worker.url))
    for method in ("GET", "POST"):
        answer = ask(everything.data_port, method, path, **bearer())
        assert answer.json()["worker"] == "worker"
        assert answer.json()["target"] == path
    assert reloads(everything) == 0


@pytest.mark.parametrize("path", ["/metrics", "/-/reload", "/-/healthy", "/api/evidence"])
def test_the_data_port_knows_no_admin_path(path: str, system: Any, worker: Worker) -> None:
    one_path = system.gateway(TEXT.format(match="match: {path: /predict},", url=worker.url))
    answer = ask(one_path.data_port, "GET", path)

    assert (answer.status, answer.json()["reason"]) == (404, "no_route")
    assert "server" not in {name.lower() for name in answer.fields}


# --- who asks from the command line


def test_the_command_line_brings_the_token_from_file_and_environment(
    guarded: Any, canary: Callable[..., Any], token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("status", "--json", "--admin", f"http://127.0.0.1:{guarded.admin_port}")
    without = canary(*at)
    assert without.returncode == 1
    assert "it needs a token: give --admin-token-file" in without.stdout
    assert json.loads(canary(*at, "--admin-token-file", str(token_file)).stdout)["routes"]
    monkeypatch.setenv("CANARY_ADMIN_TOKEN_FILE", str(token_file))
    assert json.loads(canary(*at).stdout)["routes"]
    monkeypatch.delenv("CANARY_ADMIN_TOKEN_FILE")
    monkeypatch.setenv("CANARY_ADMIN_TOKEN", TOKEN)
    assert json.loads(canary(*at).stdout)["routes"]
