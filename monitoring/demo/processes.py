"""The demonstration's child processes: started, waited for, and all gone at the end."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PATIENCE: Final = 60.0  # seconds to become ready: a worker may have to train its model first
STOP_PATIENCE: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class NotReady(Exception):
    """A child ended or stayed silent where it should have become ready."""


class Children:
    """A context: whatever was started in it is stopped when it ends, however it ends."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._running.values():
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for child in self._running.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, name: str, *arguments: str) -> None:
        """Start ``python -m arguments...``; its output goes to a log file of its own."""
        with (self._logs / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to handle, in order
                preexec_fn=_die_with_parent,
            )

    def wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Until ``ready``. Raises :class:`NotReady` with the end of the child's log."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                tail = (self._logs / f"{name}.log").read_text(errors="replace")[-2000:]
                raise NotReady(f"{name} did not become ready; its last words:\n{tail}")
            time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def usable_port(wanted: int) -> int:
    """The wanted port, or a free one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def _die_with_parent() -> None:
    """Linux ends the child even where the parent is killed and cannot say goodbye."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
