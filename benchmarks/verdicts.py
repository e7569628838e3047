"""Musts and aims (issue 3), and whether a run meets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.rounds import Measured
from benchmarks.table import p50, ratio, throughput

Seen = Mapping[tuple[str, str], Measured]
"""What was measured, by case and target."""


def _cpu(case: str, other: str, one: str = "canary") -> Callable[[Seen], float]:
    return lambda seen: ratio(seen[case, one], seen[case, other])


def _requests(seen: Seen) -> float:
    return throughput(seen["small", "canary"]) / throughput(seen["small", "nginx"])


def _added(seen: Seen) -> float:
    direct = p50(seen["one", "direct"])
    return (p50(seen["one", "canary"]) - direct) / (p50(seen["one", "nginx"]) - direct)


def _memory(seen: Seen) -> float:
    return seen["small", "canary"].pss


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure, what it must be and what it should be; ``least`` marks the larger as the better."""

    title: str
    figure: Callable[[Seen], float]
    must: float
    aim: float
    unit: str = "x"
    least: bool = False

    def row(self, seen: Seen) -> str | None:
        """One line of Markdown; None if the run did not measure it."""
        try:
            figure = self.figure(seen)
        except KeyError:
            return None
        sign = "≥" if self.least else "≤"
        verdicts = [
            "yes" if (figure >= limit if self.least else figure <= limit) else "**no**"
            for limit in (self.must, self.aim)
        ]
        limits = [f"{sign} {limit:g} {self.unit}" for limit in (self.must, self.aim)]
        cells = (self.title, limits[0], limits[1], f"{figure:.2f} {self.unit}", *verdicts)
        return f"| {' | '.join(cells)} |"


_BOTH: Final = "canary, 100 routes, 50 versions"
PROMISES: Final = (
    Promise("CPU, small, of nginx's (split only)", _cpu("small", "nginx"), 1.6, 1.3),
    Promise("CPU, small, of nginx + Lua's", _cpu("small", "nginx + Lua"), 1.1, 0.9),
    Promise("CPU, 10 KB, of nginx + Lua's", _cpu("large", "nginx + Lua"), 1.1, 0.35),
    Promise("CPU, small, of Envoy + JSON's", _cpu("small", "Envoy + JSON filter"), 0.7, 0.5),
    Promise("CPU, 10 KB, of Envoy + JSON's", _cpu("large", "Envoy + JSON filter"), 0.7, 0.2),
    Promise("requests/s, small, of nginx's", _requests, 0.6, 0.78, least=True),
    Promise("added p50, 1 connection, of nginx's", _added, 1.5, 1.1),
    Promise("memory, one process", _memory, 60, 35, unit="MB"),
    Promise(
        "CPU, 100 routes and 50 versions, of 1 and 2", _cpu("shapes", "canary", _BOTH), 1.1, 1.03
    ),
)
HEAD: Final = "| promise | must | aim | seen | must met | aim met |\n|---|---|---|---|---|---|"


def verdicts(seen: Seen) -> Sequence[str]:
    """The rows of what this run can tell."""
    return [row for promise in PROMISES if (row := promise.row(seen)) is not None]
