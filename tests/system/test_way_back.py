"""A version from its registration to its promotion, and back, by the commands and under load."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.config import parse
from monitoring import cli
from tests.sockets.peers import Worker, answering, eventually
from tests.system.crowd import Crowd

TEXT = """\
routes:
  iris:
    stable: "2026-11-15"
    versions:
      "2026-11-15": {{url: "{old}"}}   # the rock
    rollout: {{candidate: "2026-11-15", steps: [{{weight: 50, pause: 1s}}]}}   # each week
    analysis: {{errors: {{max_increase: 20%}}}}
"""
OLD, NEW = "2026-11-15", "2026-11-22"


@pytest.fixture
def workers() -> Iterator[dict[str, Worker]]:
    found = {name: Worker(answering(body=b"{}"), name=name) for name in (OLD, NEW)}
    yield found
    for one in found.values():
        one.close()


def test_a_promoted_version_gets_not_one_request_after_its_rollback_and_none_fails(
    system: Any,
    workers: dict[str, Worker],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = system.gateway(TEXT.format(old=workers[OLD].url), controller=True)
    monkeypatch.setenv("CANARY_FILE", str(served.file))

    def canary(*arguments: str) -> Any:
        """A command in this process: starting one takes longer than what it does."""
        monkeypatch.setattr(sys, "argv", ["canary", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code == 0, out + err
        return json.loads(out)

    def stable() -> str:
        return parse(served.file.read_bytes()).route("iris").stable

    def versions() -> Any:
        return served.status()["routes"]["iris"]["versions"]

    with Crowd(("127.0.0.1", served.data_port), clients=4) as crowd:
        canary("add-version", "iris", NEW, "--url", workers[NEW].url)
        assert served.reload()[0] == 200
        seen = crowd.answered
        eventually(lambda: crowd.answered > seen + 200, 60)
        assert workers[NEW].requests == []

        canary("start", "iris")
        eventually(lambda: stable() == NEW, 60)
        assert served.reload()[0] == 200
        before = served.file.read_text()
        seen = len(workers[NEW].requests)
        eventually(lambda: len(workers[NEW].requests) > seen + 200, 60)

        told = canary("rollback", "iris", "--reason", "wrong on Mondays")
        assert served.reload()[0] == 200
        eventually(lambda: versions()[NEW]["in_flight"] == 0, 60)
        asked, seen = len(workers[NEW].requests), crowd.answered
        eventually(lambda: crowd.answered > seen + 1000, 60)

    assert told["after"] == {OLD: 100, NEW: 0}
    assert served.file.read_text() == before.replace(f'stable: "{NEW}"', f'stable: "{OLD}"')
    assert len(workers[NEW].requests) == asked
    assert versions()[NEW]["assigned"] == 0
    assert (crowd.lost, crowd.odd, crowd.refused) == ([], [], 0)
    told = canary("status", "--admin", served.admin)["rollouts"]
    assert f": {OLD} is stable again, {NEW} gets no request: wrong on Mondays" in str(told)
    done = [(one["action"], one["version"]) for one in canary("history") if one["row"] == "change"]
    assert done == [(one, NEW) for one in ("add-version", "start", "promote", "rollback")]
