"""A controller that is killed leaves a valid file and a true history, and another one goes on.

The harness is :mod:`tests.crash`; each story runs in a process of its own, which forks.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE = 300.0  # seconds until a process that should have ended is taken for hanging


@pytest.mark.parametrize(
    ("story", "after"),
    [("promoted", 0), ("rolled back", 1), ("paused", 1)],
    ids=lambda one: f"{one}",
)
def test_wherever_a_controller_is_killed_another_one_goes_on_to_the_same_end(
    story: str, after: int
) -> None:
    """What the other stories share with the first one is tried in that."""
    command = [sys.executable, "-m", "tests.crash", "--story", story, "--after", str(after)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)
    found = re.search(r"(\d+) boundaries in (\d+) looks .* killed (\d+) times", ended.stdout)

    assert ended.returncode == 0, ended.stdout or ended.stderr
    assert found
    boundaries, looks, kills = map(int, found.groups())
    assert boundaries > 1000
    assert looks >= 2
    assert kills >= 10
