"""The demonstration is a test of itself: it exits 0 only if the story went as told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo_processes() -> list[str]:
    """Command lines of whatever still runs on a demonstration's copy."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if "canary-demo-" in line:
                found.append(line)
    return found


def test_the_story_goes_as_told_and_leaves_nothing_behind(
    canary: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """On the checkout's own routes, with steps that take less to watch and to prove."""
    before = (ROOT / "routing.yaml").read_text()
    quick = before.replace("pause: 10s", "pause: 1s").replace(
        "max_increase: 5%", "max_increase: 10%"
    )
    assert quick.count("pause: 1s") == quick.count("max_increase: 10%") == 2
    file = tmp_path / "routing.yaml"
    file.write_text(quick)

    ended = canary("demo", str(file), "--once", "--pace", "0.2", "--json")

    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    story = "\n".join(document["story"])
    assert document["ok"]
    assert "by the controller: it fails more often than stable" in story
    assert "since then 0 requests reached v2" in story
    changed = [line.strip() for line in story.splitlines() if line.strip()[:1] in "+-"]
    assert len([line for line in changed if not line.startswith(("+++", "---"))]) == 2
    assert file.read_text() == quick
    assert (ROOT / "routing.yaml").read_text() == before
    assert demo_processes() == []


def test_ctrl_c_in_the_middle_stops_every_child() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "monitoring", "demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "1. " in line:
            break
    assert len(demo_processes()) >= 2

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 0
    deadline = time.monotonic() + 30
    while demo_processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert demo_processes() == []
