"""What is measured: cases, and the targets that take turns in each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import envoy, haproxy, nginx
from benchmarks.python_peers import GATEWAY, NAIVE, RELAY, ROOT
from benchmarks.site import ONE_ROUTE, Peer, Shape

DIRECT: Final = "direct"  # the load on the worker itself: what all latencies contain
PEERS: Final = (
    *(nginx.SPLIT, nginx.LUA, haproxy.LABEL, envoy.SPLIT, envoy.JSON, NAIVE, RELAY, GATEWAY),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A peer in a shape; ``peer`` None is the worker itself."""

    peer: Peer | None
    shape: Shape = ONE_ROUTE
    checkout: Path = ROOT
    label: str = ""

    @property
    def name(self) -> str:
        if self.peer is None:
            return DIRECT
        name = self.label or self.peer.name
        return f"{name}, {self.shape}" if str(self.shape) else name


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of traffic. ``rate`` in requests/s makes it an open loop."""

    name: str
    title: str
    targets: tuple[Target, ...]
    large: bool = False
    delay_microseconds: int = 0
    connections: int = 32
    rate: int | None = None

    def only(self, peers: Iterable[str]) -> Case:
        """With the named peers alone (the worker itself stays)."""
        kept = [t for t in self.targets if t.peer is None or t.peer.name in set(peers)]
        return replace(self, targets=tuple(kept))

    def with_checkout(self, name: str, checkout: Path) -> Case:
        """With another version of the gateway beside this one."""
        others = [
            replace(target, checkout=checkout, label=f"{GATEWAY.name} ({name})")
            for target in self.targets
            if target.peer is GATEWAY and target.checkout == ROOT
        ]
        return replace(self, targets=(*self.targets, *others))


_ALL: Final = (Target(None), *(Target(peer) for peer in PEERS))
_SHAPES: Final = (
    ONE_ROUTE,
    Shape(routes=100),
    Shape(routes=100, spread=True),
    Shape(versions=50),
    Shape(routes=100, versions=50),
)
_UNIX: Final = (ONE_ROUTE, Shape(unix=True))

CASES: Final = (
    Case("small", "300 B / 190 B, 32 connections", _ALL),
    Case("large", "10 KB / 10 KB, 32 connections", _ALL, large=True),
    Case("slow", "worker takes 5 ms, 32 connections", _ALL, delay_microseconds=5000),
    Case("one", "small, 1 connection", _ALL, connections=1),
    Case("eight", "small, 8 connections", _ALL, connections=8),
    Case("rate2000", "small, open loop, 2,000/s", _ALL, connections=64, rate=2000),
    Case("rate5000", "small, open loop, 5,000/s", _ALL, connections=64, rate=5000),
    Case(
        "shapes",
        "small, routes and versions",
        (
            *(Target(GATEWAY, shape) for shape in _SHAPES),
            *(Target(nginx.SPLIT, shape) for shape in (ONE_ROUTE, Shape(versions=50))),
        ),
    ),
    Case(
        "unix",
        "small, Unix-socket workers",
        tuple(Target(peer, shape) for peer in (nginx.SPLIT, GATEWAY) for shape in _UNIX),
    ),
)
