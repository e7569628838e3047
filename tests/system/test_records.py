"""`canary serve` with logs of requests, as several processes, while the file changes."""

from __future__ import annotations

import json
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.sockets.peers import Worker, answering
from tests.system.conftest import Served, run_canary

TEXT = """\
log: {{path: {log}}}
routes:
  iris:
    stable: v1
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: 40}}
    sticky: {{header: X-User-Id}}
    prediction: {{protocol: predict}}
"""
USERS = 30


def lines(folder: Path, pattern: str) -> list[list[Any]]:
    """Of each file that there is."""
    texts = [one.read_text() for one in sorted(folder.glob(pattern))]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


def ask(served: Served) -> list[tuple[str, str, str]]:
    """Each user once, on a connection of its own that the kernel may give to any process: what the
    clients saw.
    """
    seen = []
    for user in range(USERS):
        asked = urllib.request.Request(
            f"{served.url}/predict", data=b"{}", headers={"X-User-Id": f"user {user}"}
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            prediction = json.load(answer)["predictions"][0]
            fields = answer.headers
            seen.append((fields["X-Request-Id"], fields["X-Model-Version"], prediction))
    return seen


def test_every_process_writes_what_its_clients_saw_and_knows_the_same_users(
    system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CANARY_LOG_KEY", raising=False)
    bodies = [json.dumps({"predictions": [name]}).encode() for name in ("setosa", "versicolor")]
    v1, v2 = (Worker(answering(body=body)) for body in bodies)
    logs = tmp_path / "logs"
    logs.mkdir()
    with closing(v1), closing(v2):
        text = TEXT.format(log=logs / "p.jsonl", v1=v1.url, v2=v2.url)
        access = ("--access-log", str(logs / "a.jsonl"))
        served = system.gateway(text, "--processes", "2", *access)
        seen = ask(served)
        reason = "two\nlines"
        edited = run_canary(
            *("set-weight", "iris", "v2", "0", "--reason", reason, "--file", str(served.file)),
        )
        assert edited.returncode == 0, edited.stderr
        assert served.reload()[0] == 200
        seen += ask(served)
        metrics = served.metrics()
        served.process.terminate()
        assert served.process.wait(20) == 0
    said = lines(logs, "p.*.jsonl")
    every = [line for each in said for line in each]
    names = ("request_id", "version", "prediction")

    assert len(said) == 2  # the chance that one process got none of 60 is 2**-59
    assert sorted(tuple(one[name] for name in names) for one in every) == sorted(seen)
    assert len({one["user"] for one in every}) == USERS
    assert {one["version"] for one in every if one["generation"] == _last(every)} == {"v1"}
    asked = [one["request_id"] for each in lines(logs, "a.*.jsonl") for one in each]
    assert sorted(asked) == sorted(one for one, _, _ in seen)
    assert {v for name, v in metrics.items() if name.startswith("canary_log_dropped")} == {0.0}

    (told,) = (one for one in _log(tmp_path) if one["event"] == "weights changed")
    assert told["by"].startswith("cli:")
    assert (told["action"], told["reason"]) == ("set-weight", reason)
    assert (told["before"], told["after"]) == ({"v1": 60, "v2": 40}, {"v1": 100, "v2": 0})


def _last(every: list[Any]) -> str:
    """The generation of the newest line."""
    return str(max(every, key=lambda one: one["timestamp"])["generation"])


def _log(folder: Path) -> list[Any]:
    return [
        json.loads(line)
        for log in folder.glob("*.log")
        for line in log.read_text().splitlines()
        if line.startswith("{")
    ]
