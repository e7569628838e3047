"""The one Markdown table, and the figures in it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.cases import Case, Target
from benchmarks.python_peers import GATEWAY, ROOT
from benchmarks.rounds import Measured
from benchmarks.site import ONE_ROUTE, Shape

_COLUMNS: Final = (
    *("case", "target", "CPU us", "min-max", "canary / it", "min-max", "req/s"),
    *("p50 us", "+ p50", "p99 us", "MB", "failed"),
)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def head(names: Sequence[str], words: int) -> str:
    """The first lines of a table; all columns but the first ``words`` hold numbers."""
    return "\n".join((row(names), row(["---"] * words + ["--:"] * (len(names) - words))))


HEAD: Final = head(_COLUMNS, 2)


def rows(case: Case, measured: Sequence[Measured]) -> str:
    """The rows of one case; the first column names the case once."""
    direct = plain(measured, Target(None))
    return "\n".join(
        row(
            (
                case.title if each is measured[0] else "",
                each.target.name,
                *_cpu(each, opposite(measured, each)),
                *_latency(each, direct),
                f"{each.pss:.0f}" if each.pss else "",
                str(sum(result.failed for result in each.results)),
            )
        )
        for each in measured
    )


def _cpu(each: Measured, gateway: Measured | None) -> tuple[str, str, str, str]:
    if each.target.peer is None:
        return "", "", "", ""
    share, spread = "", ""
    if gateway is not None and gateway is not each:
        seen = ratios(gateway, each)
        share, spread = f"{median(seen):.2f}", f"{min(seen):.2f}-{max(seen):.2f}"
    return f"**{median(each.cpu):.1f}**", spread_of(each.cpu), share, spread


def _latency(each: Measured, direct: Measured | None) -> tuple[str, str, str, str]:
    added = f"{p50(each) - p50(direct):,.0f}" if direct not in (None, each) and direct else ""
    p99 = median(result.p99 for result in each.results)
    return f"{throughput(each):,.0f}", f"{p50(each):,.0f}", added, f"{p99:,.0f}"


def spread_of(values: Sequence[float]) -> str:
    """The least and the most of the rounds."""
    return f"{min(values):.1f}-{max(values):.1f}"


def ratios(one: Measured, other: Measured) -> list[float]:
    """CPU of one in units of the other, round by round."""
    return [a / b if b else 0.0 for a, b in zip(one.cpu, other.cpu, strict=True)]


def ratio(one: Measured, other: Measured) -> float:
    """CPU of one in units of the other: the median of the ratios within each round."""
    return median(ratios(one, other))


def throughput(each: Measured) -> float:
    """Requests/s."""
    return median(result.requests / result.seconds for result in each.results)


def p50(each: Measured) -> float:
    """Microseconds."""
    return median(result.p50 for result in each.results)


def opposite(measured: Sequence[Measured], each: Measured) -> Measured | None:
    """The gateway this one is compared with: another program over TLS with the gateway over TLS,
    anything else with its plain form.
    """
    for one in measured:
        alike = one.target.shape == Shape(tls=True) == each.target.shape
        if alike and one.target.peer is GATEWAY is not each.target.peer:
            return one
    return plain(measured, Target(GATEWAY))


def plain(measured: Sequence[Measured], wanted: Target) -> Measured | None:
    """The plain form of a peer (the worker itself is one), if it was measured."""
    for each in measured:
        target = each.target
        if target.peer is wanted.peer and target.shape == ONE_ROUTE and target.checkout == ROOT:
            return each
    return None
