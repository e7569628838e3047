"""How a log line looks, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import sys

import pytest

from gateway.logs import Log, configure_logs, json_wanted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _back() -> object:
    yield
    configure_logs(json=True)


def test_a_line_is_one_object_wherever_no_person_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs()
    Log().bind(pid=7).warning("reload refused", problem="a\nb\x1b[31m", path=object)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)

    assert json_wanted()
    assert (said["event"], said["level"], said["pid"]) == ("reload refused", "warning", 7)
    assert said["problem"] == "a\nb\x1b[31m"
    assert "object" in said["path"]
    assert said["timestamp"].endswith("Z")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_person_reads_words_and_no_control_characters(
    monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure_logs(json=as_json)
    Log().info("serving", file="a\nb\x1b[31m", generation="abc", spaced="a b")
    line = terminal.getvalue()

    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert line.startswith("{") is as_json
    assert as_json or "generation=abc spaced='a b'" in line


def test_a_log_that_nobody_takes_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    Log().error("still here")
