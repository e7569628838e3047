"""The promises of the README on what a request costs, and whether a run keeps them.

A promise has a must, below which the gateway is not fit for its purpose, and an aim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.rounds import Measured
from benchmarks.table import head, p50, ratio, row, throughput

Seen = Mapping[tuple[str, str], Measured]
"""What was measured, by case and target."""


def _cpu(case: str, other: str, one: str = "canary") -> Callable[[Seen], float]:
    return lambda seen: ratio(seen[case, one], seen[case, other])


def _requests(case: str, one: str, other: str) -> Callable[[Seen], float]:
    return lambda seen: throughput(seen[case, one]) / throughput(seen[case, other])


def _added(seen: Seen) -> float:
    direct = p50(seen["one", "direct"])
    return (p50(seen["one", "canary"]) - direct) / (p50(seen["one", "nginx"]) - direct)


def _handshake(name: str) -> Callable[[Seen], float]:
    """CPU in milliseconds: what a new connection costs more by TLS, round by round."""
    return lambda seen: median(
        (secured - open_) / 1000
        for secured, open_ in zip(
            seen["handshakes", f"{name}, https"].cpu, seen["handshakes", name].cpu, strict=True
        )
    )


def _memory(seen: Seen) -> float:
    return seen["small", "canary"].pss


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure, what it must be and what it should be; ``least`` marks the larger as the better."""

    title: str
    figure: Callable[[Seen], float]
    must: float | None = None  # None, with the aim: for information only
    aim: float | None = None
    unit: str = "x"
    least: bool = False

    def row(self, seen: Seen) -> str | None:
        """One line of Markdown; None if the run did not measure it."""
        try:
            figure = self.figure(seen)
        except KeyError:
            return None
        sign = "≥" if self.least else "≤"
        limits, verdicts = [], []
        for limit in (self.must, self.aim):
            kept = limit is not None and (figure >= limit if self.least else figure <= limit)
            limits.append("" if limit is None else f"{sign} {limit:g} {self.unit}")
            verdicts.append("" if limit is None else "yes" if kept else "**no**")
        return row((self.title, *limits, f"{figure:.2f} {self.unit}", *verdicts))


_JSON: Final = "Envoy + JSON filter"
_UNIX: Final = "canary, Unix-socket workers"
_TWO: Final = "canary, 2 processes"
_EVEN: Final = "canary, 50 versions, even shares"
_NGINX: Final = "nginx, 50 versions, even shares"
_BOTH: Final = "canary, 100 routes, 50 versions"
_TLS: Final = "canary, https"
PROMISES: Final = (
    Promise("CPU, small, of nginx's (split only)", _cpu("small", "nginx"), 1.6, 1.3),
    Promise("CPU, small, of nginx + Lua's", _cpu("small", "nginx + Lua"), 1.1, 0.9),
    Promise("CPU, varied lengths and dates, of nginx's", _cpu("varied", "nginx"), 1.6, 1.3),
    Promise("CPU, varied, of nginx + Lua's", _cpu("varied", "nginx + Lua"), 1.1, 0.9),
    Promise("CPU, varied, of Envoy + JSON's", _cpu("varied", _JSON), 0.7, 0.5),
    Promise("CPU, every head different, of nginx's (split only)", _cpu("fresh", "nginx")),
    Promise("CPU, every head different, of nginx + Lua's", _cpu("fresh", "nginx + Lua")),
    Promise("CPU, every head different, of Envoy + JSON's", _cpu("fresh", _JSON)),
    Promise("CPU, 10 KB, of nginx + Lua's", _cpu("large", "nginx + Lua"), 1.1, 0.35),
    Promise("CPU, small, of Envoy + JSON's", _cpu("small", _JSON), 0.7, 0.5),
    Promise("CPU, 10 KB, of Envoy + JSON's", _cpu("large", _JSON), 0.7, 0.2),
    Promise(
        "req/s, small, of nginx's", _requests("small", "canary", "nginx"), 0.6, 0.78, least=True
    ),
    Promise("added p50, 1 connection, of nginx's", _added, 1.5, 1.1),
    Promise("memory, one process", _memory, 60, 35, unit="MB"),
    Promise(
        "CPU, 100 routes and 50 versions, of 1 and 2", _cpu("shapes", "canary", _BOTH), 1.1, 1.03
    ),
    Promise("CPU, 50 versions of even shares, of 2", _cpu("shapes", "canary", _EVEN)),
    Promise("nginx's own: CPU, 50 versions of even shares, of 2", _cpu("shapes", "nginx", _NGINX)),
    Promise("CPU, Unix-socket workers, of TCP", _cpu("unix", "canary", _UNIX)),
    Promise("req/s, 2 processes, of 1", _requests("processes", _TWO, "canary"), least=True),
    Promise(
        "nginx's own: req/s, 2 processes, of 1",
        _requests("processes", "nginx, 2 processes", "nginx"),
        least=True,
    ),
    Promise("CPU, https on kept connections, of http", _cpu("tls", "canary", _TLS)),
    Promise(
        "nginx's own: CPU, https on kept connections, of http",
        _cpu("tls", "nginx", "nginx, https"),
    ),
    Promise("CPU, https on kept connections, of nginx's", _cpu("tls", "nginx, https", _TLS)),
    Promise("CPU of a handshake", _handshake("canary"), unit="ms"),
    Promise("nginx's own: CPU of a handshake", _handshake("nginx"), unit="ms"),
)
HEAD: Final = head(("promise", "must", "aim", "seen", "must met", "aim met"), 1)


def verdicts(seen: Seen) -> Sequence[str]:
    """The rows of what this run can tell."""
    return [line for promise in PROMISES if (line := promise.row(seen)) is not None]
