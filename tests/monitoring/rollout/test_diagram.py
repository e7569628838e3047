"""The README shows the table that decides, and not what it once was."""

from __future__ import annotations

from pathlib import Path

from monitoring.rollout.diagram import diagram, table

README = (Path(__file__).parents[3] / "README.md").read_text()


def test_the_readme_shows_the_table_and_the_diagram_as_they_are() -> None:
    assert f"\n{table()}\n" in README
    assert f"```mermaid\n{diagram()}\n```" in README
