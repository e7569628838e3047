"""What a ramp does with a bad candidate, and what its users have of it meanwhile.

Beside two policies that go through the same steps, on the same simulated gateways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gateway.config.quantities import duration
from gateway.edit import SetWeight
from monitoring import editing
from monitoring.rollout.rules import Action
from tests.calibration.limits import most_alarms
from tests.calibration.policies import FixedLimits, Minutes, Policy, TimeOnly
from tests.calibration.ramps import Site, Steps, directory, text_of
from tests.calibration.tables import FAIL, PASS
from tests.calibration.weather import Answers, Defect

STEPS: Final[Steps] = ((1, "2m"), (5, "4m"), (25, "4m"), (50, "6m"))
ALPHA: Final = 1.0  # percent
PER_SECOND: Final = 100.0
LOOK: Final = 5.0  # seconds
HORIZON: Final = 3600.0  # seconds after the start, in which harm is counted
TURNS: Final = 120.0  # seconds after the weight of 25 %: when it turns bad, if not at once
RAMPS: Final = 15  # of 1000 runs

DEFECTS: Final = (
    Defect("nothing is wrong"),
    Defect("errors +1 point", bad=0.01),
    Defect("errors +3 points", bad=0.03),
    Defect("errors +30 points", bad=0.3),
    Defect("1.3 times as slow", slower=1.3),
    Defect("one answer only", constant=True),
)
OURS: Final = "ours"
POLICIES: Final[dict[str, Callable[[], Policy]]] = {
    "fixed limits": FixedLimits,
    "time alone": TimeOnly,
}


@dataclass(frozen=True)
class Outcome:
    """``harmed`` are requests, within the first hour, that were worse answered than without it."""

    action: Action
    weight: float
    harmed: float


Job = tuple[str, Defect, bool, int, int]
"""Policy, defect, whether it is there from the start, seed, number."""


def jobs(runs: int, seed: int) -> list[Job]:
    return [
        (policy, defect, at_once, seed, number)
        for defect in DEFECTS
        for at_once in ((True,) if not defect.harm else (True, False))
        for policy in (OURS, *POLICIES)
        for number in range(max(round(RAMPS * runs / 1000), 2))
    ]


class Trial:
    """One ramp with a candidate that has a defect, or gets it on its way."""

    def __init__(self, path: Path, defect: Defect, at_once: bool, seed: int) -> None:
        self.defect = defect
        self.bad_from = 0.0 if at_once else np.inf
        self._asked_before: int | None = 0 if at_once else None
        text = text_of(STEPS, ALPHA)
        self.site = Site(path, text, self._behaves, PER_SECOND, LOOK, seed, swings=False)
        self.site.rest(600.0)  # stable alone
        self.began = self.site.clock.now

    def _behaves(self, version: str, now: float) -> Answers:
        bad = version == "v2" and now > self.bad_from
        return self.defect.of(Answers()) if bad else Answers()

    @property
    def _asked(self) -> int:
        return self.site.gateway.asked.get(("shop", "v2"), 0)

    def seen(self, weight: int) -> None:
        """Of 25 % on the candidate turns bad after a while."""
        now = self.site.clock.now
        if weight >= 2500 and self.bad_from == np.inf:
            self.bad_from = now + TURNS
        if now >= self.bad_from and self._asked_before is None:
            self._asked_before = self._asked

    def outcome(self, action: Action, weight: float) -> Outcome:
        """At the end of the ramp; whoever was promoted gets all requests from there on."""
        asked = 0.0 if self._asked_before is None else float(self._asked - self._asked_before)
        if action is Action.PROMOTE:
            now, end = self.site.clock.now, self.began + HORIZON
            asked += max(end - max(now, min(self.bad_from, end)), 0.0) * PER_SECOND
        return Outcome(action, weight, self.defect.harm * asked)


def work(job: Job) -> Outcome:
    """One ramp."""
    name, defect, at_once, seed, number = job
    draws = np.random.default_rng([seed, number])
    with directory() as path:
        trial = Trial(path, defect, at_once, int(draws.integers(2**31)))
        if name == OURS:
            end = trial.site.ramp(HORIZON, seen=trial.seen)
            return trial.outcome(end.action, end.weight)
        return _naive(trial, POLICIES[name]())


def _naive(trial: Trial, policy: Policy) -> Outcome:
    """The same steps by another policy, which looks once a minute."""
    site, minutes = trial.site, Minutes("v2")
    weights = [round(100 * weight) for weight, _ in STEPS]
    pauses = [duration(pause) for _, pause in STEPS]
    minutes.since(site.gateway.evidence())
    site.start()
    step, since = 0, site.clock.now
    site.gateway.evidence()
    while site.clock.now - trial.began < HORIZON:
        for _ in range(round(60 / LOOK)):
            site.clock.pass_(LOOK)
            document = site.gateway.evidence()
            trial.seen(weights[step])
        said = policy.minute(*minutes.since(document))
        if said is Action.ROLLBACK:
            return trial.outcome(said, weights[step] / 100)
        if said is Action.ADVANCE and site.clock.now - since >= pauses[step]:
            if step == len(STEPS) - 1:
                return trial.outcome(Action.PROMOTE, weights[step] / 100)
            step, since = step + 1, site.clock.now
            _edit(site, SetWeight("shop", "v2", weights[step]))
    return trial.outcome(Action.HOLD, weights[step] / 100)


def _edit(site: Site, change: SetWeight) -> None:
    editing.change(
        site.file, change, by="cli:ana", reason="", action="set-weight", clock=site.clock.time
    )
    site.gateway.evidence()


def report(found: Sequence[tuple[Job, Outcome]]) -> tuple[str, list[str]]:
    """The table, and what is broken."""
    policies = (OURS, *POLICIES)
    columns = [
        *("candidate", "bad", "ramps", "promoted", "held", "out at (ramps)"),
        *(f"harmed, {name}" for name in policies),
        *(f"promoted, {name}" for name in POLICIES),
        "",
    ]
    lines = [
        "### what a ramp does with a bad candidate, the whole controller\n",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
    ]
    broken = []
    kinds = dict.fromkeys((job[1], job[2]) for job, _ in found)
    for defect, at_once in kinds:
        of = {
            name: [end for job, end in found if job[:3] == (name, defect, at_once)]
            for name in policies
        }
        ours, name = of[OURS], defect.name
        wrong = Action.PROMOTE if defect.harm else Action.ROLLBACK
        good = sum(one.action is wrong for one in ours) <= most_alarms(len(ours), ALPHA / 100)
        out = Counter(one.weight for one in ours if one.action is Action.ROLLBACK)
        cells = [
            *(name, ("from the start" if at_once else "in the middle of 25 %")),
            *(str(len(ours)), _number(ours, Action.PROMOTE), _number(ours, Action.HOLD)),
            ", ".join(f"{weight:g} % ({n})" for weight, n in sorted(out.items())) or "-",
            *(f"{np.mean([one.harmed for one in of[each]]):,.0f}" for each in policies),
            *(_number(of[each], Action.PROMOTE) for each in POLICIES),
            PASS if good else FAIL,
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if not good:
            broken.append(f"bad candidates: {name}, {cells[1]}")
    return "\n".join([*lines, "", ""]), broken


def _number(outcomes: Sequence[Outcome], action: Action) -> str:
    return str(sum(one.action is action for one in outcomes))
