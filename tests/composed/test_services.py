"""What the services of docker-compose.yml do, each by itself and together."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.composed.harness import (
    PATIENCE,
    SERVICES,
    TOKEN,
    WORKERS,
    Composed,
    Told,
    eventually,
    health_check,
)


@pytest.mark.parametrize("name", [name for name in SERVICES if health_check(SERVICES[name])])
def test_every_service_with_a_health_check_becomes_healthy(composed: Composed, name: str) -> None:
    eventually(lambda: composed.is_healthy(name), f"{name} is healthy")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_answers_under_the_name_and_port_that_the_routes_lead_to(
    composed: Composed, name: str
) -> None:
    eventually(lambda: composed.is_healthy(name), f"{name} is healthy")
    with urlopen(composed.url(name, 8100, "/stats"), timeout=PATIENCE) as answer:
        stats = json.load(answer)

    assert name == f"{stats['model']}-{stats['model_version']}"


def test_no_client_sees_that_a_candidate_fails(told: Told) -> None:
    assert told.load.statuses.keys() == {200}
    assert told.load.seen["breast-cancer", "v1", "fallback"] > 0


def test_the_controller_takes_a_failing_candidate_out_and_no_other(
    composed: Composed, told: Told
) -> None:
    assert composed.weight("breast-cancer", "v2") == 0
    assert composed.weight("iris", "v2") > 0
    history = composed.folder / "monitoring/compose/routing.history.jsonl"
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    (out,) = [row for row in rows if row["row"] == "intent" and row["action"] == "rollback"]
    assert (out["by"], out["route"], out["version"]) == ("controller", "breast-cancer", "v2")


def test_the_admin_port_tells_nothing_without_the_token(composed: Composed) -> None:
    url = composed.url("gateway", 8081, "/metrics")
    with pytest.raises(HTTPError) as refused:
        urlopen(url, timeout=PATIENCE)
    refused.value.close()

    assert refused.value.code == 401
    urlopen(Request(url, headers={"Authorization": f"Bearer {TOKEN}"}), timeout=PATIENCE).close()


def test_the_console_is_there_too_and_asks_for_the_token(composed: Composed) -> None:
    page = composed.url("gateway", 8081, "/")
    with pytest.raises(HTTPError) as refused:
        urlopen(page, timeout=PATIENCE)
    refused.value.close()
    with urlopen(composed.url("gateway", 8081, "/login"), timeout=PATIENCE) as login:
        assert b"Token of the admin port" in login.read()
    asked = Request(page, headers={"Authorization": f"Bearer {TOKEN}"})
    with urlopen(asked, timeout=PATIENCE) as answer:
        shown = answer.read()

    assert refused.value.code == 401
    assert b"breast-cancer" in shown
    assert TOKEN.encode() not in shown


def test_no_command_line_and_no_log_shows_the_token(composed: Composed, told: Told) -> None:
    for name, process in composed.running.items():
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert TOKEN.encode() not in words, name
        assert TOKEN not in composed.log(name), name
