"""README, "Ship a new model version": each block of it, as one copies it into a shell, over real
processes. Only ports, the length of a pause, a tolerance and how many ask are others.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from model_workers.registry.versions import names
from monitoring.history.annals import events
from tests.ports import free_port
from tests.system.conftest import ROOT, eventually, get

HUNG = 400  # seconds
ALONE = "--controller-metrics none --no-console"
CHAPTER = "\n## Ship a new model version\n"
OLD, NEW, WRONG, METRES = "2026-11-15", "2026-11-22", "2026-11-29", "2026-12-06"


class Block(NamedTuple):
    """One that was run: what it printed, its exit code, and how things stood before and after."""

    printed: str
    code: int
    before: Stand
    after: Stand


class Stand(NamedTuple):
    """``history`` is (action, version, sentence) of changes and verdicts."""

    routing: str
    history: list[tuple[str, str, str]]
    versions: list[str]


@dataclass
class Walk:
    """A checkout in which the chapter is followed. ``blocks`` are those of each section so far."""

    folder: Path
    admin: str
    bash: subprocess.Popen[str]
    blocks: dict[str, list[Block]]
    asked_after_rollback: tuple[int, int] = (0, 0)

    def run(self, text: str) -> Block:
        assert self.bash.stdin is not None
        assert self.bash.stdout is not None
        before = self.stand()
        self.bash.stdin.write(f"{text}printf '\\n::end %s\\n' $?\n")
        self.bash.stdin.flush()
        printed = ""
        for line in self.bash.stdout:
            if line.startswith("::end "):
                return Block(printed, int(line.split()[1]), before, self.stand())
            printed += line
        raise AssertionError(f"hung, or the shell ended:\n{text}\n{printed}")

    def stand(self) -> Stand:
        file = self.folder / "ship/routing.yaml"
        if not file.exists():
            return Stand("", [], [])
        rows = [
            (one["action"], one["version"], one["sentence"])
            if isinstance(one, dict)
            else (one.action, one.version, one.reason)
            for one in events(file)
        ]
        return Stand(file.read_text(), rows, names(self.folder / "registry", "iris"))

    def shares(self) -> Any:
        return get(f"{self.admin}/api/status")["routes"]["iris"]["versions"]

    def look_for_requests(self) -> None:
        """How many requests the version that was rolled back got, and stable, after it."""
        eventually(lambda: self.shares()[NEW]["in_flight"] == 0, "the last one is answered")
        begun = self.shares()
        eventually(
            lambda: self.shares()[OLD]["assigned"] > begun[OLD]["assigned"] + 50, "traffic goes on"
        )
        ended = self.shares()
        self.asked_after_rollback = (
            ended[NEW]["assigned"] - begun[NEW]["assigned"],
            ended[OLD]["assigned"] - begun[OLD]["assigned"],
        )


def checkout(folder: Path) -> None:
    """As after ``make install``, with commands that run this code."""
    for name in ("Makefile", "scripts", "pyproject.toml", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    place = folder / ".venv/bin"
    place.mkdir(parents=True)
    for command, module in (("canary", "monitoring"), ("model-worker", "model_workers")):
        line = shlex.join(["exec", sys.executable, "-m", module])
        (place / command).write_text(f'#!/bin/sh\n{line} "$@"\n')
        (place / command).chmod(0o755)
    (folder / ".venv/installed").touch()


def sections() -> Iterator[tuple[str, list[str]]]:
    """Headings of the chapter with their blocks."""
    chapter = (ROOT / "README.md").read_text().partition(CHAPTER)[2].partition("\n## ")[0]
    for part in chapter.split("\n### "):
        found = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
        if found:
            yield part.partition("\n")[0], found


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("checkout")
    checkout(folder)
    data, admin, worker = (f"127.0.0.1:{free_port()}" for _ in range(3))
    others = {
        "127.0.0.1:8080": data,
        "127.0.0.1:8081": admin,
        "127.0.0.1:8111": worker,
        "PORT=8111": f"PORT={worker.rpartition(':')[2]}",
        "pause: 5s": "pause: 1s",
        "max_increase: 5%": "max_increase: 20%",
        "--rate 100": "--rate 50",
        "canary serve ": f"canary serve --listen {data} --admin {admin} {ALONE} ",
    }
    bash = subprocess.Popen(
        ["bash"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "CANARY_ADMIN": f"http://{admin}",
        },
    )
    guard = threading.Timer(HUNG, os.killpg, (bash.pid, signal.SIGKILL))
    guard.start()
    found = Walk(folder, f"http://{admin}", bash, {})
    try:
        for heading, texts in sections():
            found.blocks[heading] = []
            for text in texts:
                for word, other in others.items():
                    text = text.replace(word, other)
                found.blocks[heading].append(found.run(text))
                if "canary rollback" in text:
                    found.look_for_requests()
        yield found
    finally:
        guard.cancel()
        with suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGTERM)
        bash.communicate()
        with suppress(ProcessLookupError):
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                os.killpg(bash.pid, 0)
                time.sleep(0.05)
            os.killpg(bash.pid, signal.SIGKILL)


def test_better_data_pass_the_gate_and_are_promoted_step_by_step(walk: Walk) -> None:
    made, seen = walk.blocks["Better data: promoted"]

    assert made.code == 0, made.printed
    steps = re.findall(r"^(\d)\. (\S+)$", made.printed, re.MULTILINE)
    names_ = ["snapshot", "train", "evaluate", "gate", "register", "deploy", "add-version", "start"]
    assert steps == [(str(number), name) for number, name in enumerate(names_, 1)]
    gate = re.search(r"^passed: accuracy .* is proven above 0: .*$", made.printed, re.MULTILINE)
    assert gate
    assert f'stable: "{NEW}"' in seen.after.routing
    done = [(action, sentence) for action, version, sentence in seen.after.history]
    assert [action for action, _ in done if action != "hold"] == [
        *("add-version", "start", "advance", "advance", "promote", "promote")
    ]
    assert done[0][1].startswith("trained from snapshots/iris-")
    assert done[1][1] == gate[0]
    assert "proven no worse than tolerated in errors" in done[-1][1]
    assert "promoted at " in seen.printed


def test_the_lineage_of_the_promoted_version_names_data_seed_and_gate(walk: Walk) -> None:
    made, seen = walk.blocks["Better data: promoted"]
    told = dict(re.findall(r"^(\w[\w ]*?)  +(.*)$", seen.printed, re.MULTILINE))

    snapshot = re.search(r"snapshots/iris-(\w+)\.snapshot", made.printed)
    assert snapshot
    assert told["model"] == f"iris {NEW}, recipe forest"
    assert told["data"].startswith(f"snapshot {snapshot[1]}")
    assert "from table good.csv: 150 rows" in seen.printed
    assert told["seed"] == "0"
    assert told["gate"] in made.printed
    assert told["checksums"].endswith("as they were registered")


def test_one_command_takes_a_promotion_back_and_the_promoted_version_gets_no_request(
    walk: Walk,
) -> None:
    back, forth = walk.blocks["The way back after a promotion"]

    assert back.code == 0
    assert back.after.routing == back.before.routing.replace(f'stable: "{NEW}"', f'stable: "{OLD}"')
    assert back.after.history[-1][:2] == ("rollback", NEW)
    assert f"{OLD} is stable again, {NEW} gets no request: the greenhouse" in back.printed
    to_the_former, to_stable = walk.asked_after_rollback
    assert to_the_former == 0
    assert to_stable > 50
    assert forth.after.routing == back.before.routing


def test_worse_data_are_refused_by_the_gate_with_numbers_and_change_nothing(walk: Walk) -> None:
    made, seen = walk.blocks["Worse data: refused by the gate"]

    assert made.code == 2  # make's own
    assert re.search(
        r"^refused: accuracy 0\.\d+ of \d+ held-out rows is below 0\.9.*; difference to production "
        rf"{NEW} [+-]0\.\d+ \(95 % interval .*\) is not proven above 0: \d+ rows better, \d+ worse",
        made.printed,
        re.MULTILINE,
    )
    assert "\nstopped at step 4 of 8, gate: exit code 1\n" in made.printed
    assert made.after == made.before
    assert made.after.versions == [OLD, NEW]
    assert WRONG not in seen.printed


def test_what_passes_the_gate_and_collapses_in_traffic_is_rolled_back_with_the_reason(
    walk: Walk,
) -> None:
    (made,) = walk.blocks["Good in the laboratory, wrong in traffic: rolled back"]

    assert made.code == 0
    assert re.search(r"^passed: accuracy .* is proven above 0", made.printed, re.MULTILINE)
    new = made.after.history[len(made.before.history) :]
    assert {version for _, version, _ in new} == {METRES}
    acted = [action for action, _, _ in new if action not in ("hold", "advance")]
    assert acted == ["add-version", "start", "rollback", "rollback"]
    why = r"it gives one answer only: its last \d+ are all 'virginica', which is .* % of stable's"
    assert re.fullmatch(why, new[-1][2])
    assert f'stable: "{NEW}"' in made.after.routing
    assert re.search(rf'"{METRES}": .*weight: 0\b', made.after.routing)
    assert made.after.versions == [OLD, NEW, METRES]


def test_what_was_asked_becomes_a_snapshot_and_no_client_saw_a_failure(walk: Walk) -> None:
    taken, ended = walk.blocks["What was asked becomes the next snapshot"]

    assert taken.code == 0
    found = re.search(r"\.jsonl: (\d+) rows .*dropped of the log: (\d+) excluded", taken.printed)
    assert found
    assert int(found[1]) > 200
    assert f"{OLD} answered" in ended.printed
    assert ended.printed.strip().endswith(", 0 failed")
