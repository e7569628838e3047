"""``--help`` on a terminal of 80 columns."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import typer
from typer.testing import CliRunner

from model_workers.cli import app as model_worker
from monitoring.cli import application

APPS = {"canary": application(), "model-worker": model_worker}


def printed(app: typer.Typer, *words: str) -> str:
    """Its help, as a terminal of 80 columns shows it."""
    asked = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert asked.exit_code == 0
    return asked.output


def commands(app: typer.Typer) -> list[str]:
    """The names of all its commands."""
    return sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "word"), [(name, word) for name, app in APPS.items() for word in commands(app)]
)
def test_no_name_of_an_option_is_cut(name: str, word: str) -> None:
    assert "…" not in printed(APPS[name], word)


@pytest.mark.parametrize("name", APPS)
def test_lines_of_the_list_of_commands_are_full(name: str) -> None:
    """A line ends where the next word has no room, and not where one ends in the source."""
    commands = printed(APPS[name]).partition("─ Commands ")[2]
    rows = re.findall(r"^│ (\S*) +(.*?) *│$", commands, re.MULTILINE)
    width = 76 - max(len(command) for command, _ in rows) - 2

    assert len(rows) > 15
    assert [
        (line, after)
        for (_, line), (command, after) in pairwise(rows)
        if not command and len(f"{line} {after.split()[0]}") <= width
    ] == []
