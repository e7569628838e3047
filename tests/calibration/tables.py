"""What was measured, as rows of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tests.calibration.cases import Case
from tests.calibration.limits import lowest_rank, most_alarms
from tests.calibration.races import NEVER
from tests.calibration.streams import Ints

SLOWER = 1.15  # times the reference's quantiles that is still accepted
MOST = {  # mean over the limit
    "delay: errors": 2.0,
    "delay: errors, unseen cases": 2.0,
    "delay: errors, +0.5 points on 0.5 % tolerated": 2.0,
    "delay: latency": 2.9,
    "delay: classes": 3.3,
    "delay: split": 1.8,
}
PASS, NOISE, FAIL = "PASS", "PASS (within noise)", "**FAIL**"
SHOWN = "for comparison"  # nothing is promised


def table(cases: Sequence[tuple[Case, Mapping[str, Ints]]], header: str) -> str:
    """The rows of one table under the columns they need."""
    rows = [row_of(case, found) for case, found in cases]
    names = list(rows[0])
    lines = [f"### {header}", "", _line(names), _line(["---"] * len(names))]
    lines += [_line(row.get(name, "-") for name in names) for row in rows]
    return "\n".join([*lines, "", *_average(cases), ""])


def _average(cases: Sequence[tuple[Case, Mapping[str, Ints]]]) -> list[str]:
    """The mean over the limit, of all rows of a table that have one."""
    times = [
        float(case.delays(found["ours"]).mean() / case.limit) for case, found in cases if case.limit
    ]
    return [f"Mean / limit: {np.mean(times):.2f} on average."] if times else []


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def row_of(case: Case, found: Mapping[str, Ints]) -> dict[str, str]:
    """The cells of one case, by column."""
    if case.rivals:
        cells = {name: _short(case, when) for name, when in found.items()}
        return {"case": case.name, "runs": f"{len(found['ours']):,}", **cells}
    when = found["ours"]
    return _delay(case, when) if case.limit or case.reference else _null(case, when)


def _null(case: Case, when: Ints) -> dict[str, str]:
    alarms, most = int((when != NEVER).sum()), most_alarms(len(when))
    verdict = (PASS if alarms <= most else FAIL) if case.bounded else SHOWN
    return {
        "case": case.name,
        "runs": f"{len(when):,}",
        "requests": f"{case.requests:,}",
        "alarms": f"{alarms} ({100 * alarms / len(when):.1f} %)",
        "at most": str(most) if case.bounded else "-",
        "": verdict,
    }


def _delay(case: Case, when: Ints) -> dict[str, str]:
    delays = case.delays(when)
    cut = int((when == NEVER).sum())
    row = {"case": case.name, "runs": f"{len(delays):,}"}
    if case.limit:
        row["limit"] = f"{case.limit:,.0f}"
    row["median / p95"] = f"{np.median(delays):,.0f} / {np.quantile(delays, 0.95):,.0f}"
    if case.limit:
        row["mean / limit"] = f"{delays.mean() / case.limit:.2f}" + ("*" if cut else "")
    if case.reference:
        known = case.reference
        row["reference"] = f"{known.median:,.0f} / {known.p95:,.0f}".replace("inf", ">300,000")
        if case.limit:
            row["its mean / limit"] = f"{known.mean:.2f}" if known.mean else "-"
        row["median, p95 / reference"] = " ".join(
            f"{np.quantile(delays, part) / one:.2f}"
            for part, one in ((0.5, known.median), (0.95, known.p95))
        )
    row[""] = verdict_on(case, delays)
    return row


def verdict_on(case: Case, delays: Ints) -> str:
    """Failed if even the fast end of what the median, the 95 % quantile or the mean may be is too
    slow.
    """
    checks: list[tuple[float, float, float]] = []  # found, its fast end, accepted
    ordered = np.sort(delays)
    if case.reference:
        for part, known in ((0.5, case.reference.median), (0.95, case.reference.p95)):
            fast = ordered[lowest_rank(len(delays), part)]
            checks.append((float(np.quantile(delays, part)), fast, SLOWER * known))
    if case.limit and case.table in MOST and not case.extreme:
        mean = float(delays.mean())
        fast = mean - 2 * delays.std() / np.sqrt(len(delays))
        checks.append((mean, fast, MOST[case.table] * case.limit))
    if not checks:
        return SHOWN
    if any(fast > accepted for _, fast, accepted in checks):
        return FAIL
    return NOISE if any(found > accepted for found, _, accepted in checks) else PASS


def _short(case: Case, when: Ints) -> str:
    """Median and 95 % quantile where there is something to find, else the share of alarms."""
    alarmed = when != NEVER
    if "equal" in case.name or (case.traffic.drawn in {w for _, w in case.traffic.steps}):
        return f"{100 * alarmed.mean():.1f} %"
    if alarmed.mean() < 0.5:
        return f"never for {100 - 100 * alarmed.mean():.0f} %"
    delays = np.where(alarmed, when, case.requests)
    p95 = np.quantile(delays, 0.95)
    return f"{np.median(delays):,.0f} / {'>' if p95 >= case.requests else ''}{p95:,.0f}"


def failures(cases: Iterable[tuple[Case, Mapping[str, Ints]]]) -> list[str]:
    """What did not pass, by table and name."""
    return [
        f"{case.table}: {case.name}"
        for case, found in cases
        if FAIL in row_of(case, found).values()
    ]
