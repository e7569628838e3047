"""The programs in C: compiled when needed, into the run's own directory."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.group import Group

SOURCES: Final = Path(__file__).parent


@cache
def compiled(name: str, directory: Path) -> Path:
    """The program made from ``name``.c."""
    program = directory / name
    subprocess.run(
        ["cc", "-O2", "-Wall", "-o", str(program), str(SOURCES / f"{name}.c")], check=True
    )
    return program


@dataclass(frozen=True, slots=True)
class Worker:
    """The stand-in worker, and how often each of its addresses was asked."""

    group: Group
    addresses: tuple[str, ...]
    counts: Path

    def asked(self) -> dict[str, int]:
        """Requests so far, by address."""
        numbers = struct.unpack(f"{len(self.addresses)}Q", self.counts.read_bytes())
        return dict(zip(self.addresses, numbers, strict=True))


def start_worker(
    directory: Path,
    cores: str,
    heads: str,
    replies: Sequence[bytes],
    delay_microseconds: int,
    addresses: Sequence[str],
) -> Worker:
    """The stand-in worker on ports (decimal) and Unix sockets (absolute paths)."""
    program = compiled("worker", directory)
    bodies = [directory / f"reply-{i}.json" for i in range(len(replies))]
    for path, reply in zip(bodies, replies, strict=True):
        path.write_bytes(reply)
    counts = directory / "asked"
    files = ",".join(str(path) for path in bodies)
    group = Group(
        [str(program), str(delay_microseconds), heads, str(counts), files, *addresses],
        cores=cores,
        log=directory / "worker.log",
    )
    return Worker(group, tuple(addresses), counts)
