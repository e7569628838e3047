"""The load: wrk as fast as answers come (closed loop), or our own at a fixed rate (open loop)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bodies import http_request
from benchmarks.tools import compiled

_SCRIPT = """\
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()
{cycle}
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\\nRESULT {{"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "failed": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    failed))
end
"""
# Several paths take turns; each request is written once, before the load begins.
_CYCLE = """\
local made, turn = {{}}, 0
function init(arguments)
  for path in string.gmatch("{paths}", "%S+") do
    made[#made + 1] = wrk.format(nil, path)
  end
end
function request()
  turn = turn % #made + 1
  return made[turn]
end
"""


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
    """One kind of load. ``rate`` is in requests/s; None: as fast as answers come."""

    directory: Path
    cores: str
    body: bytes
    connections: int
    paths: tuple[str, ...]
    rate: int | None = None

    def run(self, port: int, seconds: float) -> Result:
        """Raises RuntimeError if the load itself fails."""
        command = self._wrk(port, seconds) if self.rate is None else self._fixed(port, seconds)
        done = subprocess.run(
            ["taskset", "-c", self.cores, *command],
            capture_output=True,
            text=True,
            timeout=seconds * 3 + 30,
            check=False,
        )
        line = done.stdout.strip().rpartition("\n")[2].removeprefix("RESULT ")
        if done.returncode or not line.startswith("{"):
            raise RuntimeError(f"{command[0]} failed: {done.stdout} {done.stderr}")
        seen = json.loads(line)
        seen.pop("p999", None)
        return Result(**seen)

    def _wrk(self, port: int, seconds: float) -> Sequence[str]:
        body, script = self.directory / "request.body", self.directory / "load.lua"
        body.write_bytes(self.body)
        cycle = _CYCLE.format(paths=" ".join(self.paths)) if len(self.paths) > 1 else ""
        script.write_text(_SCRIPT.format(body=body, cycle=cycle))
        url = f"http://127.0.0.1:{port}{self.paths[0]}"
        duration = f"{max(1, round(seconds))}s"
        return ["wrk", "-t1", f"-c{self.connections}", f"-d{duration}", "-s", str(script), url]

    def _fixed(self, port: int, seconds: float) -> Sequence[str]:
        request = self.directory / "request.http"
        request.write_bytes(http_request(self.paths[0], self.body))
        program = compiled("rate", self.directory)
        numbers = (port, self.rate, seconds, self.connections)
        return [str(program), *(str(number) for number in numbers), str(request)]
