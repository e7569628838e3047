"""The demonstration is a test of itself: it exits 0 only if the story went as told."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.history import changes, journal
from monitoring.judgement.record import VERDICT
from tests.composed.harness import hastened
from tests.ports import free_port
from tests.system.conftest import PATIENCE, answers, eventually, get, get_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a demonstration keeps its copy, so that it is told from all others on this machine. A
    socket's path is short.
    """
    made = Path(mkdtemp(prefix="story-"))
    yield made
    shutil.rmtree(made)


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demonstration."""
    return subprocess.Popen(
        [sys.executable, "-m", "monitoring", "demo", *arguments],
        cwd=ROOT,
        stdout=PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)},
    )


def demo_processes(folder: Path) -> list[str]:
    """Command lines of whatever still runs on a demonstration's copy."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if f"{folder}/canary-demo-" in line:
                found.append(line)
    return found


# --- what watches it


def commands_of_the_readme(copy: Path, at: dict[str, str]) -> list[list[str]]:
    """How plain processes are watched, with a copy of ``monitoring`` and other addresses ``at`` the
    usual ports.
    """

    def here(text: str) -> str:
        for port, address in at.items():
            text = text.replace(f"127.0.0.1:{port}", address)
        return text

    shutil.copytree(ROOT / "monitoring", copy)
    for file in copy.glob("*/*.yml"):
        file.write_text(hastened(here(file.read_text())))
    readme = (ROOT / "README.md").read_text().replace("\\\n", "")
    (block,) = re.findall(r"```\n(apt-get install prometheus .*?)```", readme, re.DOTALL)
    commands = []
    for line in block.splitlines()[1:]:
        program, *words = shlex.split(here(line).rstrip("& "), comments=True)
        words = [re.sub("=(monitoring|/tmp)/", f"={copy}/", word) for word in words]
        commands.append([sys.executable if program == ".venv/bin/python" else program, *words])
    return commands


@dataclass(frozen=True)
class Watched:
    """Prometheus and Alertmanager beside the demonstration."""

    at: dict[str, str]  # addresses, by the usual port
    folder: Path

    def asked(self, query: str) -> dict[frozenset[tuple[str, str]], float]:
        """What Prometheus has, by labels."""
        eventually(lambda: answers(f"http://{self.at['9090']}/-/ready"), "Prometheus is ready")
        url = f"http://{self.at['9090']}/api/v1/query?{urlencode({'query': query})}"
        return {
            frozenset(series["metric"].items()): float(series["value"][1])
            for series in get(url)["data"]["result"]
        }

    def up(self) -> set[str]:
        """The jobs that are scraped."""
        return {dict(labels)["job"] for labels in self.asked("up == 1")}

    def alerts(self, name: str) -> list[Any]:
        """What Alertmanager has sent of an alert."""
        lines = (self.folder / "monitoring.log").read_text().splitlines()
        firing = [json.loads(line) for line in lines if '"alert firing"' in line]
        return [one for one in firing if one["alertname"] == name]


@contextmanager
def watched(folder: Path, **at: str) -> Iterator[Watched]:
    """Started as the README says; ``at`` are the addresses of gateway and controller."""
    where = {name: f"127.0.0.1:{free_port()}" for name in ("9090", "9093", "8083")}
    where |= {"8081": at["gateway"], "8082": at["controller"]}
    running = []
    try:
        for words in commands_of_the_readme(folder / "monitoring", where):
            name = "monitoring" if words[0] == sys.executable else words[0]
            with (folder / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log))
        assert [Path(process.args[0]).name for process in running][:2] == [  # type: ignore[index]
            "prometheus",
            "prometheus-alertmanager",
        ]
        yield Watched(where, folder)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(PATIENCE)


def is_told_alike(watched: Watched, file: Path, reason: str) -> None:
    """The rollback in the history, the metrics as they are served, Prometheus and an alert;
    ``reason`` is what the story said.
    """
    (row,) = (one for one in changes.read(file) if one.action == "rollback")
    (verdict,) = (one for one in journal.rows(file, {VERDICT}) if one["verdict"] == "Failed")
    where = {"route": row.route, "version": row.version}
    assert where == {"route": "breast-cancer", "version": "v2"}
    assert row.reason == verdict["sentence"] == reason

    def exposed(port: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """As it is served now."""
        families = text_string_to_metric_families(get_text(f"http://{watched.at[port]}/metrics"))
        return {
            frozenset(sample.labels.items()): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }

    def scraped(name: str) -> dict[frozenset[tuple[str, str]], float]:
        own = ("__name__", "instance", "job")
        return {
            frozenset((label, value) for label, value in labels if label not in own): number
            for labels, number in watched.asked(name).items()
        }

    def counted() -> dict[frozenset[tuple[str, str]], float]:
        found = exposed("8082", "canary_rollbacks_total")
        return {labels: number for labels, number in found.items() if number}

    # The file is edited first; then the gateway follows, and the controller counts what it did.
    weight = frozenset(where.items())
    eventually(
        lambda: exposed("8081", "canary_route_weight_ratio")[weight] == row.after["v2"] / 100,
        "the weight is in force",
    )
    eventually(counted, "it is counted")
    assert counted() == {frozenset({**where, "reason": "errors"}.items()): 1}
    errors = exposed("8081", "canary_request_errors_total")
    bad = sum(number for labels, number in errors.items() if where.items() <= dict(labels).items())
    assert 0 < verdict["numbers"]["candidate"]["bad"] <= bad
    for port, name in (
        ("8082", "canary_rollbacks_total"),
        ("8081", "canary_route_weight_ratio"),
        ("8081", "canary_request_errors_total"),
        ("8081", "canary_requests_total"),
    ):
        served = exposed(port, name)
        eventually(lambda n=name, s=served: scraped(n) == s, f"Prometheus has {name}")
    (told,) = eventually(lambda: watched.alerts("CanaryRolledBack"), "Alertmanager has sent it")
    assert {name: told[name] for name in where} == where
    assert told["reason"] == "errors"


# --- the demonstration


def test_the_story_goes_as_told_and_leaves_nothing_behind(tmp_path: Path, folder: Path) -> None:
    """On the checkout's own routes, with steps that take less to watch and to prove. After the
    rollback the story is held up, and its load with it, until everybody was asked.
    """
    before = (ROOT / "routing.yaml").read_text()
    quick = before.replace("pause: 10s", "pause: 1s").replace(
        "max_increase: 5%", "max_increase: 10%"
    )
    assert quick.count("pause: 1s") == quick.count("max_increase: 10%") == 2
    file = tmp_path / "routing.yaml"
    file.write_text(quick)
    said: list[str] = []
    with started(folder, str(file), "--once", "--pace", "0.2") as demo:

        def printed(words: str) -> str:
            """The next line with these words."""
            for line in demo.stdout or ():
                said.append(line)
                if words in line:
                    return line
            raise AssertionError(f"{words!r} was not said, but {said}")

        gateway, controller = re.findall(r"http://(\S+)/metrics", printed("metrics:"))
        with watched(tmp_path, gateway=gateway, controller=controller) as beside:
            both = {"gateway", "controller"}
            eventually(lambda: beside.up() == both, "Prometheus scrapes both")
            reason = printed("3. rolled back").partition("by the controller: ")[2].strip()
            # It pauses now, and holds no lock that the controller would wait for.
            demo.send_signal(signal.SIGSTOP)
            try:
                is_told_alike(beside, Path(serving(folder)[-1]), reason)
            finally:
                demo.send_signal(signal.SIGCONT)
            printed("4. since then 0 requests reached v2")
            said += demo.stdout or ()

    assert demo.returncode == 0
    assert reason.startswith("it fails more often than stable")
    changed = [line.partition(" s  ")[2].strip() for line in said]
    changed = [
        line for line in changed if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")
    ]
    assert len(changed) == 2
    assert file.read_text() == quick
    assert (ROOT / "routing.yaml").read_text() == before
    assert demo_processes(folder) == []


def serving(folder: Path) -> list[str]:
    """The command line of the demonstration's gateway; empty before there is one."""
    lines = [line.split() for line in demo_processes(folder) if " --companion " in line]
    return lines[0] if lines else []


def test_ctrl_c_in_the_middle_stops_every_child(folder: Path) -> None:
    process = started(folder, "--json")
    gateway = eventually(lambda: serving(folder), "the gateway is started")
    status = f"http://{gateway[gateway.index('--admin') + 1]}/api/status"
    eventually(lambda: answers(status), "it serves")
    eventually(lambda: get(status)["processes"][0]["answered"], "the load has begun")
    assert len(demo_processes(folder)) >= 2

    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    document = json.loads(printed)
    assert document["ok"]
    assert any("1. breast-cancer" in line for line in document["story"])
    assert document["story"][-1] == "stopped"
    deadline = time.monotonic() + 30
    while demo_processes(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert demo_processes(folder) == []
