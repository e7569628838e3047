"""What a process takes of the machine: CPU time, memory and file descriptors, as ``/proc`` says.

See proc_pid_stat(5). Nothing is measured or kept here: it is read when somebody asks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")  # a second
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")  # bytes
# Fields of the line, from 0, behind the command.
_USER, _SYSTEM, _RESIDENT = 11, 12, 21


class Usage(NamedTuple):
    """``cpu`` is seconds in user and kernel mode since the process began, all threads together;
    ``memory`` bytes that are resident, those it shares with others included; ``descriptors`` how
    many are open.
    """

    cpu: float
    memory: int
    descriptors: int


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """As of now; None if there is no such process, or it ends meanwhile."""
    place = proc / str(pid)
    try:
        cpu, memory = parse((place / "stat").read_text(errors="replace"), _TICKS, _PAGE)
        return Usage(cpu, memory, _descriptors(place / "fd", own=pid == os.getpid()))
    except OSError:
        return None


def parse(stat: str, ticks: int, page: int) -> tuple[float, int]:
    """Seconds of CPU time and bytes of resident memory in a line of ``/proc/PID/stat``."""
    # The command stands in brackets, and may hold brackets and spaces itself.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / ticks, int(fields[_RESIDENT]) * page


def _descriptors(folder: Path, *, own: bool) -> int:
    # Since Linux 6.2 the size says how many: to list twenty thousand would take 10 ms.
    return folder.stat().st_size or len(os.listdir(folder)) - own
