"""The sentence a tired person understands."""

from __future__ import annotations

from itertools import accumulate

from gateway.counting.grid import LATENCY_BOUNDS
from monitoring.analysis import spans
from monitoring.analysis.case import Case
from monitoring.analysis.interval import Interval
from monitoring.analysis.question import Question
from monitoring.analysis.saved import SAVED
from monitoring.analysis.signals import Latency, bad_of
from monitoring.readings.evidence import Counts


def compared(leading: str, question: Question, case: Case) -> str:
    """What the leading signal says, with its numbers."""
    candidate, stable = case.candidate, case.stable
    if leading == "error limit":
        return f"it fails more often than the limit allows: {_rate(candidate, question.declared)}"
    if leading == "latency limit":
        return "more of its answers are slow than the limit allows"
    if leading == "latency":
        floor = max((one.floor for one in question.signals if isinstance(one, Latency)), default=0)
        return _slower(candidate, stable, floor)
    if leading == SAVED:
        return _saved(case)
    if leading in ("labels", "scores", "values"):
        return shifted(leading, candidate, stable)
    return f"it fails more often than stable: {_failures(question, case)}"


def shifted(signal: str, candidate: Counts, stable: Counts) -> str:
    """How the answers differ."""
    if signal == "scores":
        return "its scores are distributed differently from stable's"
    if signal == "values":
        return _values(candidate, stable)
    mine, theirs = _shares(candidate), _shares(stable)
    if not mine or not theirs:
        return "it answers differently from stable"
    most = max({**mine, **theirs}, key=lambda one: abs(mine.get(one, 0.0) - theirs.get(one, 0.0)))
    return (
        f"it answers differently: {most!r} in {100 * mine.get(most, 0.0):.1f} % of its answers "
        f"against {100 * theirs.get(most, 0.0):.1f} % of stable's"
    )


def _values(candidate: Counts, stable: Counts) -> str:
    found = spans.farthest(candidate.values, stable.values)
    if found is None:
        return "its values are distributed differently from stable's"
    bound, mine, theirs = found
    return (
        f"it answers differently: {100 * mine:.1f} % of its values are over {bound:g} against "
        f"{100 * theirs:.1f} % of stable's"
    )


def _saved(case: Case) -> str:
    """Of the last looks that were bad; of all, if the last one was not."""
    asked, saved = case.saved.spell
    if asked:
        of = f"{saved:,} of its last {asked:,} requests"
    else:
        of = f"{case.candidate.saved:,} of {case.candidate.asked:,} requests"
    return f"stable answered {of} after it had failed them: more than a quarter is no chance"


def proven(question: Question, case: Case) -> str:
    """Why it may be promoted."""
    rails = " and ".join(signal.name for signal in question.signals if signal.rail)
    return f"proven no worse than tolerated in {rails}: {_failures(question, case)}"


def unproven(question: Question, case: Case, evidence: float, remaining: int | None) -> str:
    """Why nothing is decided."""
    limit = 1 / question.alpha
    if not case.candidate.assigned:
        return f"no request yet (evidence 1 of {limit:.3g} needed)"
    told = f"not proven worse: {_failures(question, case)}"
    soon = f", about {remaining:,} more requests to prove it good" if remaining else ""
    return f"{told} (evidence {evidence:.3g} of {limit:.3g} needed{soon})"


def uneven(candidate: Counts, stable: Counts) -> str:
    """Why nothing may be compared."""
    return (
        f"the requests are not split as the file says: {candidate.assigned:,} to it against "
        f"{stable.assigned:,} to stable; nothing is judged by them"
    )


def _failures(question: Question, case: Case) -> str:
    """Those of both versions, and how much they differ."""
    both = (_rate(one, question.declared) for one in (case.candidate, case.stable))
    return "{} against {} of stable".format(*both) + _between(
        case.main.errors.interval(question.alpha)
    )


def _between(interval: Interval) -> str:
    if interval.low <= -1.0 and interval.high >= 1.0:
        return ""
    low = f"{100 * interval.low:+.4g}" if interval.low > -1.0 else ""
    high = f"{100 * interval.high:+.4g}" if interval.high < 1.0 else ""
    if low and high:
        return f", a difference between {low} and {high} points"
    return f", a difference of {'at least ' + low if low else 'at most ' + high} points"


def _rate(counts: Counts, declared: bool) -> str:
    bad, every = bad_of(counts, declared), counts.assigned - counts.gone
    share = 100 * bad / every if every else 0.0
    return f"{bad:,} bad of {every:,} ({share:.2f} %)"


def _slower(candidate: Counts, stable: Counts, floor: int) -> str:
    """Told by the bound, of those that count, at which the two differ most."""
    size = max(len(candidate.latency), len(stable.latency))
    mine, theirs = (_beyond(one.latency, size) for one in (candidate, stable))
    if not mine or not theirs or size <= floor:
        return "its answers take longer than stable's"
    most = max(range(floor, size), key=lambda bucket: mine[bucket] - theirs[bucket])
    bound = 1000 * LATENCY_BOUNDS[min(most, len(LATENCY_BOUNDS) - 1)]
    return (
        f"it is slower than stable: {100 * mine[most]:.1f} % of its answers take more than "
        f"{bound:.3g} ms against {100 * theirs[most]:.1f} % of stable's"
    )


def _beyond(latency: tuple[int, ...], size: int) -> list[float]:
    """What share took longer than each bound; empty if nothing was counted."""
    total = sum(latency)
    padded = [*latency, *[0] * (size - len(latency))]
    return [1 - one / total for one in accumulate(padded)] if total else []


def _shares(counts: Counts) -> dict[str, float]:
    total = sum(number for _, number in counts.labels)
    return {label: number / total for label, number in counts.labels}
