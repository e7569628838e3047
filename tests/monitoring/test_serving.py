"""What `canary serve` becomes: the command line of a gateway, and of what runs beside it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from monitoring.cli import application
from monitoring.commands.serving import SERVICE

Serve = Callable[..., list[str]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """The command line that a `canary serve` with these options becomes."""

    def served(*options: str) -> list[str]:
        became: list[list[str]] = []
        monkeypatch.setattr(os, "execv", lambda program, words: became.append([program, *words]))
        ended = CliRunner().invoke(application(), ["serve", *options], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        ((program, *words),) = became
        assert [program, *words[:4]] == [sys.executable, sys.executable, "-P", "-m", SERVICE]
        return words[4:]

    return served


def beside(words: list[str]) -> list[str]:
    """The command of the companion."""
    command: Any = json.loads(words[words.index("--companion") + 1])
    assert command[:5] == [sys.executable, "-P", "-m", "monitoring", "controller"]
    return [str(word) for word in command[5:]]


def console(words: list[str]) -> list[str]:
    """The command of the console: not the command line, which weighs as much as it."""
    command: Any = json.loads(words[words.index("--console") + 1])
    assert command[:4] == [sys.executable, "-P", "-m", "monitoring.console"]
    return [str(word) for word in command[4:]]


def test_the_controller_runs_on_the_file_that_is_served(serve: Serve) -> None:
    words = serve("--", "-strange.yaml")

    assert words[-2:] == ["--", "-strange.yaml"]
    assert beside(words) == ["--", "-strange.yaml"]
    assert console(words) == ["--", "-strange.yaml"]


def test_it_is_given_the_file_of_the_token_and_the_form_of_the_log(serve: Serve) -> None:
    words = serve("--admin-token-file", "token", "--json")

    assert beside(words) == ["--admin-token-file", "token", "--json", "--", "routing.yaml"]
    assert console(words) == beside(words)


def test_it_can_be_left_out(serve: Serve) -> None:
    assert "--companion" not in serve("--no-controller")
    assert "--console" in serve("--no-controller")
    assert "--console" not in serve("--no-console")
    assert "--companion" in serve("--no-console")


def test_its_metrics_are_where_they_are_wanted(serve: Serve) -> None:
    words = serve("--controller-metrics", "127.0.0.1:0")

    assert beside(words) == ["--metrics", "127.0.0.1:0", "--", "routing.yaml"]


@pytest.mark.parametrize(
    "options",
    [("--controller-metrics", "nowhere"), ("--controller-metrics", ":1", "--no-controller")],
)
def test_metrics_nowhere_or_of_nobody_are_wrong_use(options: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(application(), ["serve", *options])

    assert ended.exit_code == 2


def test_it_may_have_no_metrics(serve: Serve) -> None:
    assert beside(serve("--controller-metrics", "none")) == [
        "--metrics",
        "none",
        "--",
        "routing.yaml",
    ]
