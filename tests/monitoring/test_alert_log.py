"""Where alerts go until somebody names a better place. That Alertmanager's own notifications are
understood is in ``tests/composed``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest
from starlette.testclient import TestClient

from monitoring.alert_log import application
from tests.sockets.peers import refusing, url_of


def alert(status: str = "firing", severity: str = "page", **labels: Any) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "CanaryRolledBack", "severity": severity, **labels},
        "annotations": {"summary": "it was rolled back", "anything": "else"},
        "startsAt": "2026-11-21T10:00:00.000Z",
    }


def sent(document: Any, **fields: str) -> tuple[int, str]:
    text = document if isinstance(document, str) else json.dumps(document)
    with TestClient(application()) as client:
        answer = client.post(
            "/", content=text, headers={"content-type": "application/json"} | fields
        )
    return answer.status_code, answer.text


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_each_alert_is_a_line_with_its_labels(capsys: pytest.CaptureFixture[str]) -> None:
    alerts = [alert(route="iris", version="v2"), alert(route="wine", version="v3")]

    assert sent({"receiver": "page", "alerts": alerts})[0] == 200
    first, second = lines(capsys)
    del first["timestamp"]
    assert first == {
        "event": "alert firing",
        "level": "error",
        "alertname": "CanaryRolledBack",
        "severity": "page",
        "route": "iris",
        "version": "v2",
        "summary": "it was rolled back",
        "since": "2026-11-21T10:00:00.000Z",
        "receiver": "page",
    }
    assert (second["route"], second["version"]) == ("wine", "v3")


@pytest.mark.parametrize(
    ("status", "severity", "level"),
    [
        ("firing", "page", "error"),
        ("firing", "ticket", "warning"),
        ("firing", "info", "info"),
        ("firing", "unheard-of", "info"),
        ("resolved", "page", "info"),
    ],
)
def test_a_line_is_as_loud_as_the_alert(
    status: str, severity: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent({"alerts": [alert(status, severity)]})

    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == (f"alert {status}", level)


@pytest.mark.parametrize(
    "wrong",
    [
        "{",
        "[" * 100_000,
        [],
        {},
        {"alerts": {}},
        {"alerts": [None]},
        {"alerts": [alert("on fire")]},
        {"alerts": [alert() | {"labels": []}]},
        {"alerts": [alert() | {"labels": {"route": "iris"}}]},
        {"alerts": [alert(), alert() | {"annotations": "none"}]},
    ],
)
def test_what_is_no_notification_is_refused_whole(
    wrong: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sent(wrong)[0] == 400
    assert lines(capsys) == []


def test_a_page_in_a_browser_writes_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It can send text to another origin without asking, but no JSON."""
    assert sent({"alerts": [alert()]}, **{"content-type": "text/plain"})[0] == 415
    assert lines(capsys) == []


def test_labels_end_no_line_and_are_no_other_event(capsys: pytest.CaptureFixture[str]) -> None:
    sent({"alerts": [alert(route="iris\n{}", event="file edited", level="none", self="me")]})

    (line,) = lines(capsys)
    assert (line["route"], line["event"], line["level"]) == ("iris\n{}", "alert firing", "error")


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with closing(refusing()) as sock:
        where = url_of(sock).removeprefix("http://")
        ended = subprocess.run(
            [sys.executable, "-m", "monitoring.alert_log", "--listen", where],
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stderr == f"{where}: Address already in use; choose another address\n"
