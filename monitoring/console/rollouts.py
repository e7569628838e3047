"""Where a candidate stands, what was found of it, and what comes next, as a page shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT, OnSuccess, Rollout, Route, Version
from monitoring.analysis.verdict import Finding, Verdict
from monitoring.console import figures
from monitoring.console.drawing import reach, ticks
from monitoring.console.papers import Judged, Papers
from monitoring.judgement.acting import span
from monitoring.rollout.position import Position, Stand, position_of, resting_phase
from monitoring.rollout.rules import Action

UNJUDGED: Final = "not judged"


@dataclass(frozen=True, slots=True)
class StepView:
    """``state`` is ``done``, ``here`` or ``ahead``."""

    weight: str
    pause: str
    state: str


@dataclass(frozen=True, slots=True)
class Ramp:
    """``until`` is the Unix time at which the pause of the step is over, None where that does not
    depend on time alone; ``left`` says so in words.
    """

    steps: tuple[StepView, ...]
    left: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Gauge:
    """How far evidence has come: ``reach`` in percent of the way to the limit."""

    text: str
    reach: float
    full: bool


@dataclass(frozen=True, slots=True)
class SignalView:
    """One signal: what speaks for worse, and what for good; None where nothing is asked."""

    name: str
    alert: bool
    worse: Gauge
    good: Gauge | None
    difference: str


@dataclass(frozen=True, slots=True)
class CandidateView:
    """``verdict`` is its word, ``sentence`` that of ``canary status``; ``good_for`` is the weight
    that has to be proven next.
    """

    name: str
    phase: str
    verdict: str
    sentence: str
    ramp: Ramp | None
    signals: tuple[SignalView, ...]
    alerts: tuple[str, ...]
    limit: str
    ticks: tuple[float, ...]
    good_for: str
    until: str


def candidate_views(route: Route, papers: Papers) -> list[CandidateView]:
    """Of those that are under way; else of those whose rollout has ended, as it did."""
    found = [_view(route, version, papers) for version in route.versions]
    return [one for one in found if one is not None]


def _view(route: Route, version: Version, papers: Papers) -> CandidateView | None:
    key = route.name, version.name
    sentence = papers.sentences.get(key)
    if sentence is None:
        return None
    judged, last = papers.judged.get(key), papers.last.get(key)
    running = bool(version.weight) and version.name != route.stable
    if judged and not _is_about(judged, route, version, running):
        judged = None
    position = judged.position if judged else None
    if running:
        position = position or position_of(route, version.name, 0.0)
        phase = position.phase
    else:
        phase = resting_phase(route, version.name, last.action if last else "")
    following = position.following if position else None
    return CandidateView(
        name=version.name,
        phase=str(phase).replace("_", " "),
        verdict=judged.record.kind if judged else UNJUDGED if running else "",
        sentence=sentence,
        ramp=_ramp(route.rollout(version.name), position, judged, papers.led) if running else None,
        signals=tuple(_signals(judged)) if judged else (),
        alerts=judged.verdict.alerts if judged and running else (),
        limit=f"{judged.verdict.limit:g}" if judged else "",
        ticks=ticks(judged.verdict.limit) if judged else (),
        good_for=f"{percent_text(following or FULL_WEIGHT)} %",
        until="" if running or judged is None else judged.record.at,
    )


def _is_about(judged: Judged, route: Route, version: Version, running: bool) -> bool:
    """Whether a record is about the present weight; of a rollout that has ended, about its end."""
    if running:
        return bool(route.analysis) and judged.record.filed.watch.weight == version.weight
    return judged.record.action in (Action.ROLLBACK, Action.PROMOTE)


def _ramp(
    rollout: Rollout | None, position: Position | None, judged: Judged | None, led: bool
) -> Ramp | None:
    if position is None or rollout is None or not rollout.steps:
        return None
    steps = [
        StepView(
            f"{percent_text(step.weight)} %",
            "until a person" if step.pause is None else span(step.pause),
            _state(number, position.step),
        )
        for number, step in enumerate(rollout.steps, 1)
    ]
    ends = "promoted" if rollout.on_success is OnSuccess.PROMOTE else "held"
    left, until = _left(position, judged, led)
    return Ramp((*steps, StepView(ends, "", "ahead")), left, until)


def _state(number: int, here: int) -> str:
    return "here" if number == here else "done" if number < here else "ahead"


def _left(position: Position, judged: Judged | None, led: bool) -> tuple[str, int | None]:
    match position.stand:
        case Stand.PAUSED:
            return "paused; resume to go on", None
        case Stand.WAITING:
            return "waits for a person", None
        case Stand.WATCHING if judged and led:
            watched = judged.record.filed.watch.seconds
            began = datetime.fromisoformat(judged.record.at).timestamp()
            left = max(0.0, position.pause - watched)
            return f"{span(left)} left of this step's pause", int(began + left)
        case Stand.WATCHING:
            return "nobody watches" if not led else f"{span(position.pause)} to be watched", None
    return "watched long enough", None


def _signals(judged: Judged) -> Iterator[SignalView]:
    verdict, following = judged.verdict, judged.position.following
    alerts = {one.name for one in judged.record.filed.question.alerts}
    findings = {one.signal: one for one in verdict.findings}
    for finding in verdict.findings:
        if " up to " in finding.signal:
            continue  # no signal of its own, but what is proven of one for the next weight
        proof = findings.get(f"{finding.signal} up to {percent_text(following or 0)} %", finding)
        yield SignalView(
            finding.signal,
            finding.signal in alerts,
            _gauge(finding.evidence, verdict),
            None if proof.proof is None else _gauge(proof.proof, verdict),
            _difference(finding),
        )


def _gauge(evidence: float, verdict: Verdict) -> Gauge:
    limit = verdict.limit
    text = f"{figures.factor(evidence)} of {limit:g}"
    return Gauge(text, round(100 * reach(evidence, limit), 1), evidence >= limit)


def _difference(finding: Finding) -> str:
    interval = finding.interval
    if interval is None or (interval.low <= -1 and interval.high >= 1):
        return figures.NONE
    return f"{100 * interval.low:+g} to {100 * interval.high:+g} points"
