"""What was measured, as rows of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tests.calibration.cases import Case
from tests.calibration.limits import median_band, most_alarms
from tests.calibration.races import NEVER
from tests.calibration.streams import Ints

SLOWER = 1.15  # times the reference's median that is still accepted
PASS, NOISE, FAIL = "PASS", "PASS (within noise)", "**FAIL**"


def table(cases: Iterable[tuple[Case, Mapping[str, Ints]]], header: str) -> str:
    """The rows of one table under the columns they need."""
    rows = [row_of(case, found) for case, found in cases]
    names = list(rows[0])
    lines = [f"### {header}", "", _line(names), _line(["---"] * len(names))]
    return "\n".join([*lines, *(_line(row.get(name, "-") for name in names) for row in rows), ""])


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
    verdict = (PASS if alarms <= most else FAIL) if case.bounded else "for comparison"
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
        row["median / reference"] = f"{np.median(delays) / known.median:.2f}"
        row[""] = verdict_on(delays, known.median)
    return row


def verdict_on(delays: Ints, reference: float) -> str:
    """Failed if even the fast end of what the median may be is too slow."""
    low, _ = median_band(len(delays))
    if np.median(delays) <= SLOWER * reference:
        return PASS
    return NOISE if np.sort(delays)[low] <= SLOWER * reference else FAIL


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
