"""The demonstration's command line, on a stage where nothing is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitoring.cli import application
from monitoring.commands import demo
from monitoring.demo.stage import Stage


class Load:
    """Somebody looks for a while, and then presses Ctrl-C."""

    def join(self) -> None:
        raise KeyboardInterrupt


def test_who_wants_to_look_around_is_told_which_file_and_gateway_are_the_demonstrations(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def set_up(file: Path) -> Iterator[Stage]:
        copy = tmp_path / "routing.yaml"
        yield Stage(copy, b"", "http://one:1", "http://two:2", "http://three:3", {})

    monkeypatch.setattr(demo, "set_up", set_up)
    monkeypatch.setattr(demo, "tell", lambda stage, say, story, *, pace: Load())

    told = CliRunner().invoke(application(), ["demo"], catch_exceptions=False)

    assert told.exit_code == 0
    here = f"CANARY_FILE={tmp_path}/routing.yaml CANARY_ADMIN=http://two:2"
    assert f"{here} .venv/bin/canary status -w\n" in told.output
