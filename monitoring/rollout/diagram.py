"""The table of :mod:`monitoring.rollout.rules` for people: ``python -m monitoring.rollout.diagram``
prints what stands in the README.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from monitoring.analysis.verdict import Kind
from monitoring.rollout.position import Stand
from monitoring.rollout.rules import TABLE, Rule

_CELLS: Final = {
    Rule.HOLD: "hold",
    Rule.ADVANCE: "next weight",
    Rule.ON_SUCCESS: "`on_success`",
    Rule.ON_FAILURE: "`on_failure`",
}
_STANDS: Final = {
    Stand.WATCHING: "a step, its `pause` not over",
    Stand.READY: "a step, its `pause` over",
    Stand.READY_TO_PROMOTE: "the last step, its `pause` over",
    Stand.WAITING: "a step with `pause: forever`",
    Stand.PAUSED: "`paused: true`",
    Stand.FIXED: "no steps",
}
_NAMES: Final = {stand: stand.replace(" ", "_") for stand in Stand}
# Where a rule leads to. A failure may also only pause or alert, as the file says.
_LEADS_TO: Final = {
    Rule.ADVANCE: _NAMES[Stand.WATCHING],
    Rule.ON_SUCCESS: "promoted",
    Rule.ON_FAILURE: "rolled_back",
}
_OF_TIME_AND_PEOPLE: Final = (
    f"[*] --> {_NAMES[Stand.WATCHING]}: canary start",
    f"{_NAMES[Stand.WATCHING]} --> {_NAMES[Stand.READY]}: pause over",
    f"{_NAMES[Stand.WATCHING]} --> {_NAMES[Stand.READY_TO_PROMOTE]}: pause over, last step",
    f"{_NAMES[Stand.WATCHING]} --> {_NAMES[Stand.PAUSED]}: canary pause",
    f"{_NAMES[Stand.PAUSED]} --> {_NAMES[Stand.WATCHING]}: canary resume",
    f"{_NAMES[Stand.WAITING]} --> {_NAMES[Stand.WATCHING]}: canary resume",
    f"{_NAMES[Stand.WAITING]} --> promoted: canary promote",
    "promoted --> rolled_back: canary rollback",
    f"rolled_back --> {_NAMES[Stand.WATCHING]}: canary start",
)


def table() -> str:
    """In Markdown: a row for what a rollout waits for, a column for each verdict."""
    rows = [
        f"| at | {' | '.join(f'`{kind}`' for kind in Kind)} |",
        "|---|" + "---|" * len(Kind),
    ]
    for stand in Stand:
        cells = " | ".join(_CELLS[TABLE[stand, kind]] for kind in Kind)
        rows.append(f"| {_STANDS[stand]} | {cells} |")
    return "\n".join(rows)


def diagram() -> str:
    """In Mermaid. Verdicts that hold lead nowhere and are left out."""
    lines = ["stateDiagram-v2", *_OF_TIME_AND_PEOPLE, *_moves()]
    return "\n    ".join(lines)


def _moves() -> Iterator[str]:
    for (stand, kind), rule in TABLE.items():
        if rule is not Rule.HOLD:
            yield f"{_NAMES[stand]} --> {_LEADS_TO[rule]}: {kind}, {rule}"


if __name__ == "__main__":
    print(f"{table()}\n\n```mermaid\n{diagram()}\n```")
