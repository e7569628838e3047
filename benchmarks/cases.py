"""What is measured: cases, and the targets that take turns in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Final

from benchmarks import envoy, haproxy, nginx
from benchmarks.python_peers import GATEWAY, NAIVE, NAIVE2, RELAY, ROOT
from benchmarks.site import ONE_ROUTE, Peer, Shape
from benchmarks.traffic import PLAIN, Heads, Traffic

DIRECT: Final = "direct"  # the load on the worker itself: what all latencies contain
PEERS: Final = (
    *(
        nginx.SPLIT,
        nginx.LUA,
        haproxy.LABEL,
        envoy.SPLIT,
        envoy.JSON,
        NAIVE,
        NAIVE2,
        RELAY,
        GATEWAY,
    ),
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
    """One kind of load. ``rate`` in requests/s makes it an open loop; with ``both_cores`` targets,
    worker and load share both cores, instead of one for the target and one for the rest. A
    connection is ``kept``, or made anew for each request. ``most_seconds`` of load are enough for a
    measurement, however many are asked for.
    """

    name: str
    title: str
    targets: tuple[Target, ...]
    traffic: Traffic = PLAIN
    delay_microseconds: int = 0
    connections: int = 32
    rate: int | None = None
    both_cores: bool = False
    kept: bool = True
    most_seconds: float = inf

    def only(self, peers: Iterable[str]) -> Case:
        """With the named peers alone (the worker itself stays)."""
        names = set(peers)
        return self.where(lambda target: target.peer is None or target.peer.name in names)

    def where(self, wanted: Callable[[Target], bool]) -> Case:
        """With some of its targets."""
        return replace(self, targets=tuple(filter(wanted, self.targets)))

    def with_checkout(self, name: str, checkout: Path) -> Case:
        """With another version of the gateway beside this one."""
        others = [
            replace(target, checkout=checkout, label=f"{GATEWAY.name} ({name})")
            for target in self.targets
            if target.peer is GATEWAY and target.checkout == ROOT
        ]
        return replace(self, targets=(*self.targets, *others))


_EACH: Final = (Target(None), *(Target(peer) for peer in PEERS))
_ALL: Final = tuple(target for target in _EACH if target.peer is not NAIVE2)
_FAST: Final = tuple(target for target in _ALL if target.peer is not NAIVE)
_HEADS: Final = tuple(target for target in _FAST if target.peer is not envoy.SPLIT)
_SHAPES: Final = (
    ONE_ROUTE,
    Shape(routes=100),
    Shape(routes=100, spread=True),
    Shape(versions=50),
    Shape(routes=100, versions=50),
    Shape(versions=50, even=True),
)
_NGINX_SHAPES: Final = (Shape(versions=50), Shape(versions=50, even=True))
_PROCESSES: Final = (ONE_ROUTE, Shape(processes=2))
_UNIX: Final = (ONE_ROUTE, Shape(unix=True))
_LOGS: Final = (ONE_ROUTE, Shape(log=10), Shape(log=100), Shape(access=True))
_TLS: Final = Shape(tls=True)
_BOTH: Final = tuple(
    Target(peer, shape) for peer in (nginx.SPLIT, GATEWAY) for shape in (ONE_ROUTE, _TLS)
)

_CASES: Final = (
    Case("small", "300 B / 190 B, 32 connections", _EACH),
    Case("fresh", "small, every head different", _HEADS, Traffic(Heads.FRESH)),
    Case("varied", "small, lengths and dates vary", _HEADS, Traffic(Heads.VARIED)),
    Case("large", "10 KB / 10 KB, 32 connections", _ALL, Traffic(large=True)),
    Case("slow", "worker takes 5 ms, 32 connections", _ALL, delay_microseconds=5000),
    Case("one", "small, 1 connection", _ALL, connections=1),
    Case("eight", "small, 8 connections", _ALL, connections=8),
    Case("rate2000", "small, open loop, 2,000/s", _FAST, connections=64, rate=2000),
    Case("rate5000", "small, open loop, 5,000/s", _FAST, connections=64, rate=5000),
    Case(
        "shapes",
        "small, routes and versions",
        (
            *(Target(GATEWAY, shape) for shape in _SHAPES),
            *(Target(nginx.SPLIT, shape) for shape in (ONE_ROUTE, *_NGINX_SHAPES)),
        ),
    ),
    Case(
        "unix",
        "small, TCP or Unix sockets",
        tuple(Target(peer, shape) for peer in (nginx.SPLIT, GATEWAY) for shape in _UNIX),
    ),
    Case(
        "processes",
        "small, 64 connections, all on both cores",
        tuple(Target(peer, shape) for peer in (nginx.SPLIT, GATEWAY) for shape in _PROCESSES),
        connections=64,
        both_cores=True,
    ),
    Case(
        "logs",
        "small, requests written down or not",
        tuple(Target(GATEWAY, shape) for shape in _LOGS),
    ),
    Case(
        "tls",
        "small, http or https, connections kept",
        (*_BOTH, *(Target(peer, _TLS) for peer in (haproxy.LABEL, envoy.SPLIT))),
        most_seconds=1,
    ),
    Case(
        "handshakes",
        "small, http or https, a new connection for each",
        _BOTH,
        connections=4,
        kept=False,
        most_seconds=1,
    ),
)
CASES: Final = {case.name: case for case in _CASES}
