"""Whole processes on loopback: model workers, the gateway, the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds until something counts as hung; nothing here asserts on speed


def eventually(holds: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> Any:
    """A JSON document."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


def get_text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def answers(url: str) -> bool:
    try:
        get_text(url)
    except OSError:
        return False
    return True


@dataclass
class System:
    """Starts processes, and stops them all at the end."""

    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``python -m arguments...`` in the background."""
        with (self.folder / f"{len(self.running)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.running.append(process)
        return process

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def worker(self, model: str, version: str, *more: str) -> str:
        """A model worker; its URL."""
        port = free_port()
        options = ("--model", model, "--version", version, "--port", str(port))
        artefacts = ("--artefacts", str(ROOT / "artefacts"))
        self.start("model_workers", *options, *artefacts, *more)
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/ready"), f"{model} {version} is ready")
        return url

    def gateway(
        self,
        text: str,
        *more: str,
        controller: bool = False,
        console: bool = False,
        command: Sequence[str] = ("monitoring", "serve"),
    ) -> Served:
        """``canary serve``, or a ``command`` like it, on a file of its own; alone, unless there is
        to be a controller or a console.
        """
        file = self.folder / "routing.yaml"
        file.write_text(text)
        log = self.folder / f"{len(self.running)}.log"
        free = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        alone = ["--controller-metrics", "none"] if controller else ["--no-controller"]
        alone += [] if console else ["--no-console"]
        process = self.start(*command, str(file), *free, *alone, *more)

        def said() -> Any:
            """Where it listens; a port found free beforehand may be gone by then."""
            assert process.poll() is None, log.read_text()
            lines = [line for line in log.read_text().splitlines() if '"serving"' in line]
            return json.loads(lines[0]) if lines else None

        where = eventually(said, "the gateway serves")
        ports = [int(where[name].rpartition(":")[2]) for name in ("data", "admin")]
        served = Served(file, where["data"], where["admin"], process, *ports)
        eventually(lambda: answers(f"{served.admin}/-/ready"), "the gateway is ready")
        return served


@dataclass
class Served:
    """A running gateway process."""

    file: Path
    url: str
    admin: str
    process: subprocess.Popen[str]
    data_port: int
    admin_port: int

    def status(self) -> Any:
        return get(f"{self.admin}/api/status")

    def evidence(self) -> Any:
        return get(f"{self.admin}/api/evidence")

    def metrics(self) -> dict[str, float]:
        """Every sample by its name with labels, as the exposition writes it."""
        lines = get_text(f"{self.admin}/metrics").splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def reload(self) -> tuple[int, Any]:
        """``POST /-/reload``: status and document."""
        request = urllib.request.Request(f"{self.admin}/-/reload", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def run_canary(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """One command of ``canary`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "monitoring", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        check=False,
    )


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    one = System(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def canary() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_canary


@pytest.fixture
def until() -> Callable[[Callable[[], Any], str], Any]:
    return eventually
