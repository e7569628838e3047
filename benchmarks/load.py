"""The load: wrk as fast as answers come (closed loop), or our own: at a fixed rate (open loop), or
with a new connection for each request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.certificate import Certificate
from benchmarks.tools import SOURCES, compiled

_SCRIPT: Final = SOURCES / "load.lua"


@dataclass(frozen=True, slots=True)
class Result:
    """What the load saw; latencies in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load. ``ring`` is a file of :func:`benchmarks.traffic.write_ring`, ``first`` one
    with its first message. ``rate`` is in requests/s; None: as fast as answers come. A
    connection is ``kept``, or made anew for each request; with a certificate, by TLS.
    """

    directory: Path
    cores: str
    ring: Path
    first: Path
    connections: int
    rate: int | None = None
    kept: bool = True
    certificate: Certificate | None = None

    def run(self, port: int, seconds: float) -> Result:
        """Raises RuntimeError if the load itself fails."""
        command = self._command(port, seconds)
        tls = self.certificate.environment() if self.certificate else {}
        done = subprocess.run(
            ["taskset", "-c", self.cores, *command],
            capture_output=True,
            text=True,
            timeout=seconds * 3 + 30,
            check=False,
            env={**os.environ, **tls, "RING": str(self.ring)},
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout} {done.stderr}")
        return parsed(done.stdout)

    def _command(self, port: int, seconds: float) -> Sequence[str]:
        if not self.kept:
            return self._connecting(port, seconds)
        return self._wrk(port, seconds) if self.rate is None else self._fixed(port, seconds)

    def _connecting(self, port: int, seconds: float) -> Sequence[str]:
        numbers = [str(number) for number in (port, seconds, self.connections)]
        files = [str(self.first), *([str(self.certificate.chain)] if self.certificate else [])]
        return [sys.executable, "-m", "benchmarks.connects", *numbers, *files]

    def _wrk(self, port: int, seconds: float) -> Sequence[str]:
        duration = f"{max(1, round(seconds))}s"
        url = f"{'https' if self.certificate else 'http'}://127.0.0.1:{port}/"
        return ["wrk", "-t1", f"-c{self.connections}", f"-d{duration}", "-s", str(_SCRIPT), url]

    def _fixed(self, port: int, seconds: float) -> Sequence[str]:
        program = compiled("rate", self.directory)
        numbers = (port, self.rate, seconds, self.connections)
        return [str(program), *(str(number) for number in numbers), str(self.first)]


def parsed(output: str) -> Result:
    """The result in the last line of what a load printed. Raises RuntimeError without one."""
    line = output.strip().rpartition("\n")[2].removeprefix("RESULT ")
    if not line.startswith("{"):
        raise RuntimeError(f"the load printed no result: {output}")
    seen = json.loads(line)
    return Result(**{name: seen[name] for name in Result.__slots__})
