"""Where a target stands: its directory, its port, its workers, and what shape of traffic it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.certificate import Certificate

CANDIDATE_PERCENT: Final = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is to choose from. Only the last route of the file has ``versions`` versions,
    the others have two; the load asks all routes in turn if ``spread``, else the last. However many
    candidates there are, together they get a tenth, unless all versions get the ``even`` share.
    With ``tls`` clients come by https. ``log`` percent of the requests are written down with their
    predictions, and all of them in an access log with ``access``."""

    routes: int = 1
    versions: int = 2
    even: bool = False
    spread: bool = False
    unix: bool = False
    processes: int = 1
    tls: bool = False
    log: int = 0
    access: bool = False

    @property
    def candidate_percent(self) -> float:
        """Of each candidate, in steps of 0.01."""
        percent = 100 / self.versions if self.even else CANDIDATE_PERCENT / (self.versions - 1)
        return int(percent * 100) / 100

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the versions asked, stable first."""
        candidates = self.versions - 1
        share = self.candidate_percent / 100
        return (1 - share * candidates, *(share for _ in range(candidates)))

    @property
    def paths(self) -> tuple[str, ...]:
        """What the load asks for."""
        all_paths = tuple(f"/predict/model-{i}" for i in range(self.routes))
        return all_paths if self.spread else all_paths[-1:]

    def __str__(self) -> str:
        parts = (
            f"{self.routes} routes" if self.routes > 1 else "",
            "all asked" if self.spread else "",
            f"{self.versions} versions" if self.versions > 2 else "",
            "even shares" if self.even else "",
            "Unix-socket workers" if self.unix else "",
            f"{self.processes} processes" if self.processes > 1 else "",
            "https" if self.tls else "",
            f"log of {self.log} %" if self.log else "",
            "access log" if self.access else "",
        )
        return ", ".join(part for part in parts if part)


ONE_ROUTE: Final = Shape()


@dataclass(frozen=True, slots=True)
class Site:
    """One target's place. ``workers`` are addresses: a decimal port, or an absolute path;
    ``certificate`` is there if the shape has TLS.
    """

    directory: Path
    port: int
    admin_port: int
    workers: tuple[str, ...]
    shape: Shape
    checkout: Path
    certificate: Certificate | None = None

    def urls(self) -> tuple[str, ...]:
        """The workers as URLs; a path as ``unix:/path``."""
        return tuple(
            f"unix:{worker}" if worker.startswith("/") else f"http://127.0.0.1:{worker}"
            for worker in self.workers
        )

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


@dataclass(frozen=True, slots=True)
class Command:
    """What to run."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A program under test: its name, what of the gateway's work it does, how it is begun."""

    name: str
    work: str
    command: Callable[[Site], Command]
    version: Callable[[], str]
    counted: Callable[[Site], int] | None = None
    """Labels it says to have counted; None: it counts none."""
    splits: bool = True
    """Whether it sends each version its share."""
