"""Which truth each query of the dashboards is held against, by panel and letter of the query."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from tests.composed import truth
from tests.composed.truth import Expected, Facts, Range, Truth, by

ANY: Range = (1e-9, inf)  # more than nothing


def each(expected: Callable[[Facts], Expected], *, per_second: bool = False) -> Truth:
    return Truth(expected, per_second)


def always(expected: Expected) -> Truth:
    return Truth(lambda _: expected)


def nothing(_: Facts) -> Expected:
    return {}


def of_route(facts: Facts) -> Expected:
    return {by(route=facts.route): len(facts.answers)}


def edited(*labels: str) -> Callable[[Facts], Expected]:
    """Changes of the file, by who made them and how; without labels, how often it was read."""

    def expected(facts: Facts) -> Expected:
        if not labels:
            return {by(result="success"): len(facts.edits)}
        return {
            by(actor=row["by"], kind=row["action"]): sum(
                (one["by"], one["action"]) == (row["by"], row["action"]) for one in facts.edits
            )
            for row in facts.edits
        }

    return expected


def of_rolled_back(facts: Facts) -> bool:
    return facts.route == "breast-cancer"


def phases(facts: Facts) -> Expected:
    """The one is out, and the other goes on without steps."""
    phase = "rolled_back" if of_rolled_back(facts) else "ramping"
    return {by(version="v2", phase=phase): 1, by(version="v3", phase="idle"): 1}


def numbered_phases(facts: Facts) -> Expected:
    return {by(version="v2"): 5 if of_rolled_back(facts) else 2, by(version="v3"): 1}


def verdicts(facts: Facts) -> Expected:
    """Of who is out nothing is thought any more."""
    return {} if of_rolled_back(facts) else {by(version="v2"): 2}


def evidence(limit: float) -> Callable[[Facts], Expected]:
    """Too little for anything where a candidate is watched."""

    def expected(facts: Facts) -> Expected:
        if of_rolled_back(facts):
            return {}
        checks = ("errors", "saved", "split")
        return {by(version="v2", check=check): (1e-9, limit * 0.99) for check in checks}

    return expected


def limits(facts: Facts) -> Expected:
    """1 / max_false_rollback."""
    return {by(version=version): 100 for version in ("v2", "v3")}


def rollbacks_took(facts: Facts) -> Expected:
    return {by(route=facts.route): ANY} if of_rolled_back(facts) else {}


def processes(least: float, most: float) -> Truth:
    return always({by(process="0"): (least, most)})


IN_FORCE = each(lambda facts: {by(hash=facts.generation): 1})
ZERO = each(nothing)  # in the end, or always
RATIO = each(truth.error_ratio)
SHARES = each(truth.observed)
WEIGHTS = each(truth.configured)

TRUTHS: dict[str, Truth] = {
    "gateway: routing.yaml A now": always({by(): 1}),
    "gateway: Generation A now": IN_FORCE,
    "gateway: Scraped A now": always({by(job="gateway"): 1, by(job="controller"): 1}),
    "gateway: Overhead, p50 and p99 A": truth.overhead(0.5),
    "gateway: Overhead, p50 and p99 B": truth.overhead(0.99),
    "gateway: Requests A": each(of_route, per_second=True),
    "gateway: In flight A": ZERO,
    "gateway: Refused requests A": each(
        lambda facts: {by(reason=reason): n for reason, n in facts.refused.items()},
        per_second=True,
    ),
    "gateway: Retries A": ZERO,
    "gateway: Retries B": ZERO,
    "gateway: Fallbacks A": each(
        lambda facts: {by(route=facts.route): facts.given_way()}, per_second=True
    ),
    "gateway: Reloads A": each(edited(), per_second=True),
    "gateway: Generations served A": IN_FORCE,
    "gateway: CPU A": processes(1e-9, 64),
    "gateway: Memory A": processes(2**20, 2**40),
    "gateway: Open files A": processes(3, 2**20),
    "gateway: Serving processes A": always({by(): 1}),
    "gateway: Serving processes B": ZERO,
    "gateway: Looks A": Truth(lambda _: {by(outcome="judged"): (1, 600)}, per_second=True),
    "gateway: Since the last look A": always({by(): (0, 60)}),
    "gateway: Changes of routing.yaml A": each(edited("actor", "kind")),
    "gateway: Unrecorded changes A": ZERO,
    "gateway: Notices A": always({by(event="rollback", outcome="delivered"): (0, 1)}),
    "gateway: Rollbacks take A now": each(rollbacks_took),
    "rollout: Phase A now": each(phases),
    "rollout: Step A now": ZERO,
    "rollout: Time to the next step A now": ZERO,
    "rollout: Configured share A now": WEIGHTS,
    "rollout: Observed share A now": SHARES,
    "rollout: Error ratio A now": RATIO,
    "rollout: Split: configured and observed A": WEIGHTS,
    "rollout: Split: configured and observed B": SHARES,
    "rollout: Split: in effect A": WEIGHTS,
    "rollout: Split: in effect B": WEIGHTS,
    "rollout: Sample ratio: p-value A": each(lambda facts: {by(route=facts.route): (1e-3, 1)}),
    "rollout: Evidence against its limit A": each(evidence(100)),
    "rollout: Evidence against its limit B": each(limits),
    "rollout: Evidence, as a share of the limit A now": each(evidence(1)),
    "rollout: Verdict A": each(verdicts),
    "rollout: Phase and steps A": each(numbered_phases),
    "rollout: Error ratio A": RATIO,
    "rollout: p50 latency A": truth.quantile(0.5),
    "rollout: p95 latency A": truth.quantile(0.95),
    "rollout: p99 latency A": truth.quantile(0.99),
    "rollout: Request rate A": truth.requests(),
    "rollout: In flight A": ZERO,
    "rollout: Fallbacks A": each(truth.fallbacks, per_second=True),
    "rollout: Predictions, stable A": truth.classes("stable"),
    "rollout: Predictions, candidate A": truth.classes("candidate"),
    "rollout: Scores, stable A": truth.score_buckets("stable"),
    "rollout: Scores, candidate A": truth.score_buckets("candidate"),
    "rollout: Mean score A": each(truth.scores),
    "route: Requests by code A": truth.requests("status"),
    "route: Requests by assignment A": truth.requests("assignment"),
    "route: Errors by reason A": each(truth.errors, per_second=True),
    "route: Unreadable predictions A": each(truth.unreadable, per_second=True),
    "route: Retries A": ZERO,
    "route: Retries refused A": ZERO,
    "route: Latency, stable A": truth.latency_buckets("stable"),
    "route: Latency, candidate A": truth.latency_buckets("candidate"),
    "route: p95 latency A": truth.quantile(0.95),
    "route: p95 in the worker A": truth.quantile(0.95, in_worker=True),
}
# What cannot be known from outside: only that it is shown, with its labels, is asked.
UNCOUNTED = {"rollout: Drift of the predictions A": "the controller's own arithmetic"}
