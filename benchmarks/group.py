"""A program under test: one process group of ours, pinned to cores, and what it has used."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 5.0
_TICK_MICROSECONDS: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time so far, and of which processes."""

    microseconds: float
    processes: frozenset[int]

    def since(self, before: Usage) -> float:
        """Microseconds used since ``before``. Raises RuntimeError if a process ended: what it used
        cannot be told for certain, and no target is meant to lose one.
        """
        ended = before.processes - self.processes
        if ended:
            raise RuntimeError(f"processes {sorted(ended)} ended during the measurement")
        return self.microseconds - before.microseconds


class Group:
    """All processes of one session, begun with one command."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: str,
        log: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._leader = subprocess.Popen(
                ["taskset", "-c", cores, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._leader.poll() is None

    def usage(self) -> Usage:
        """User and system time of all its processes and threads so far.

        Read from each process's CPU clock: nanoseconds, up to this instant, and with threads that
        have ended (/proc/PID/task/*/schedstat forgets those, /proc/PID/stat counts ticks of 10 ms).
        Children that came and went are in the ticks of their parent.
        """
        microseconds, processes = 0.0, set()
        for pid, stat in self._members():
            try:
                microseconds += time.clock_gettime_ns(process_clock(pid)) / 1000
            except OSError:
                continue  # it ended meanwhile; it will be missed
            microseconds += (int(stat[13]) + int(stat[14])) * _TICK_MICROSECONDS
            processes.add(pid)
        return Usage(microseconds, frozenset(processes))

    def pss_megabytes(self) -> float:
        """Memory, with shared pages divided among those who share them."""
        kilobytes = 0
        for pid, _ in self._members():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
        return kilobytes / 1024

    def stop(self) -> None:
        """End all of it: politely, then not."""
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(self._members()) and time.monotonic() < deadline:
            self._leader.poll()
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, signal.SIGKILL)
        self._leader.wait()

    def _members(self) -> Iterator[tuple[int, list[str]]]:
        """Process id and the fields of /proc/PID/stat from the state on (proc(5))."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue  # it ended meanwhile
            if int(fields[3]) == self._leader.pid and fields[0] != "Z":
                yield int(entry.name), fields


def process_clock(pid: int) -> int:
    """The clock of another process's CPU time (clock_getcpuclockid(3), which Python lacks)."""
    return ~pid << 3 | 2
