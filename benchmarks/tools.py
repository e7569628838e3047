"""The programs in C: compiled when needed, into the run's own directory."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.group import Group

SOURCES = Path(__file__).parent


@cache
def compiled(name: str, directory: Path) -> Path:
    """The program made from ``name``.c."""
    program = directory / name
    subprocess.run(
        ["cc", "-O2", "-Wall", "-o", str(program), str(SOURCES / f"{name}.c")], check=True
    )
    return program


def start_worker(
    directory: Path, cores: str, reply: bytes, delay_microseconds: int, addresses: Sequence[str]
) -> Group:
    """The stand-in worker on ports (decimal) and Unix sockets (absolute paths)."""
    program = compiled("worker", directory)
    body = directory / "reply.json"
    body.write_bytes(reply)
    for address in addresses:
        if address.startswith("/"):
            Path(address).unlink(missing_ok=True)
    return Group(
        [str(program), str(delay_microseconds), str(body), *addresses],
        cores=cores,
        log=directory / "worker.log",
    )
