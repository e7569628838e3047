"""The controller's lines in the log: each change of verdict and each edit, with the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitoring.history import changes, journal
from tests.simulation import Behaviour
from tests.stage import Stage

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}
    analysis: {errors: {max_increase: 2%}}
"""


def test_a_verdict_and_the_edit_it_calls_for_are_lines_with_the_numbers_of_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    stage = Stage(file, {"v2": Behaviour(bad=0.5)})
    stage.until(lambda: stage.weight == 0)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    verdicts = [one for one in said if one["event"] == "verdict"]
    (edit,) = (one for one in said if one["event"] == "file edited")
    rows = list(journal.rows(file, {"verdict"}))
    (entry,) = changes.read(file)

    assert [_of_a_line(one) for one in verdicts] == [_of_a_row(row) for row in rows]
    assert (verdicts[-1]["verdict"], verdicts[-1]["action"]) == ("Failed", "rollback")
    assert verdicts[-1]["candidate"]["bad"] > 0
    assert (edit["by"], edit["action"], edit["why"]) == (entry.by, entry.action, entry.reason)
    assert (edit["before"], edit["after"]) == (entry.before, entry.after)
    assert edit["generation"] == entry.after_hash
    assert edit["after"]["v2"] == 0


def _of_a_line(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in (*_SAME, "weight", "candidate", "stable", "evidence")} | {
        "why": one["why"]
    }


def _of_a_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _SAME},
        "weight": float(row["weight"]),
        **row["numbers"],
        "evidence": round(row["evidence"], 3),
        "why": row["sentence"],
    }


_SAME = ("route", "version", "verdict", "action", "step", "limit")
