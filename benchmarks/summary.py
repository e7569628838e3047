"""What goes into the README: the small case in full, and one line for every other case."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks import envoy, haproxy, nginx
from benchmarks.cases import Case, Target
from benchmarks.python_peers import GATEWAY, RELAY, ROOT
from benchmarks.rounds import Measured
from benchmarks.site import Peer, Shape
from benchmarks.table import head, p50, plain, ratio, row, spread_of, throughput

_SMALL: Final = "small"
_PEERS: Final[tuple[Peer, ...]] = (
    *(GATEWAY, nginx.SPLIT, nginx.LUA, haproxy.LABEL, envoy.JSON, RELAY),
)
_TARGETS: Final = ("target", "CPU us", "min-max", "canary / it", "req/s", "p50 us", "MB")

Seen = Sequence[tuple[Case, Sequence[Measured]]]
"""What was measured, case by case."""


def summary(seen: Seen) -> str:
    """Both tables, as far as the run can tell; figures are medians over the rounds."""
    parts = []
    for case, measured in seen:
        if case.name == _SMALL:
            parts.append("\n".join((case.title, "", *_targets(measured))))
    lines = [
        line for case, measured in seen if case.name != _SMALL for line in _case(case, measured)
    ]
    if lines:
        names = ("CPU us (min-max)", *(peer.name for peer in _PEERS))
        parts.append("\n".join((head(names, 1), *lines)))
    return "\n\n".join(parts)


def _targets(measured: Sequence[Measured]) -> list[str]:
    gateway = plain(measured, Target(GATEWAY))
    lines = [head(_TARGETS, 1)]
    for each in measured:
        if each.target.peer is None:
            continue
        share = f"{ratio(gateway, each):.2f}" if gateway not in (None, each) and gateway else ""
        cpu = (f"{median(each.cpu):.1f}", spread_of(each.cpu), share)
        memory = f"{each.pss:.0f}"
        lines.append(
            row((each.target.name, *cpu, f"{throughput(each):,.0f}", f"{p50(each):,.0f}", memory))
        )
    return lines


def _case(case: Case, measured: Sequence[Measured]) -> list[str]:
    """A line for each shape of the case."""
    shapes = dict.fromkeys(each.target.shape for each in measured)
    return [_line(case, shape, measured) for shape in shapes if _peers(shape, measured)]


def _line(case: Case, shape: Shape, measured: Sequence[Measured]) -> str:
    found = _peers(shape, measured)
    title = f"{case.title}: {shape}" if str(shape) else case.title
    cells = (
        f"{median(found[peer.name].cpu):.1f} ({spread_of(found[peer.name].cpu)})"
        if peer.name in found
        else ""
        for peer in _PEERS
    )
    return row((title, *cells))


def _peers(shape: Shape, measured: Sequence[Measured]) -> dict[str, Measured]:
    """The peers in this shape, by name."""
    return {
        each.target.peer.name: each
        for each in measured
        if each.target.peer in _PEERS
        and each.target.peer is not None
        and each.target.shape == shape
        and each.target.checkout == ROOT
    }
