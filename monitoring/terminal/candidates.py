"""What is shown of a candidate that is under way: its verdict, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from math import isinf
from typing import Final

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT, Route
from monitoring.analysis.verdict import Kind
from monitoring.judgement.acting import outlook
from monitoring.judgement.ahead import ahead
from monitoring.judgement.docket import Judgement
from monitoring.judgement.record import Record
from monitoring.readings.live import Traffic
from monitoring.rollout.position import Position, position_of
from monitoring.rollout.watch import gap_after
from monitoring.terminal.sight import Sight
from monitoring.terminal.view import CandidateRow, SignalRow, VersionRow

LABELS: Final = 3  # of the most frequent


def candidate_row(sight: Sight, route: Route, row: VersionRow) -> CandidateRow:
    """Of a version that has a weight, in a route that judges it or takes it through steps."""
    key = route.name, row.name
    shares = _shares(sight, route, row.name)
    judgement, record = sight.judgements.get(key), sight.records.get(key)
    if judgement is None:
        return CandidateRow(row.name, "", "no verdict on what is served now yet", shares=shares)
    watched = _watched(sight, judgement, record)
    position = position_of(judgement.route, row.name, watched)
    verdict, rollout = judgement.verdict, route.rollout(row.name)
    following = position.following or FULL_WEIGHT
    kind, (evidence, proof) = verdict.on(following), _signals(judgement, following)
    word = _word(kind, position)
    written = record.kind if record is not None and _is_same_weight(judgement, record) else kind
    return CandidateRow(
        version=row.name,
        verdict=word,
        sentence=verdict.sentence,
        written=str(written) if written != kind else "",
        alerts=verdict.alerts,
        factor=verdict.evidence,
        limit=verdict.limit,
        evidence=evidence,
        proof=proof,
        stand=str(position.stand),
        steps=tuple(percent_text(step.weight) for step in rollout.steps) if rollout else (),
        step=position.step,
        watched=watched,
        pause=None if isinf(position.pause) else position.pause,
        outlook=outlook(position, watched, verdict),
        next=ahead(
            position,
            watched,
            verdict,
            rollout,
            is_led=sight.looked is not None,
            has_traffic=sight.seconds == 0 or bool((sight.traffic.get(key) or Traffic()).asked),
        ),
        shares=shares,
    )


def _signals(judgement: Judgement, following: int) -> tuple[tuple[SignalRow, ...], ...]:
    """What speaks for "worse", and what for "good enough for the next weight"."""
    if judgement.filed is None:
        return (), ()
    question, findings = judgement.filed.question, judgement.verdict.findings
    steps = {one.name for one in question.steps}
    needed = {one.name for one in question.proofs(following)}
    worse = (SignalRow(one.signal, one.evidence) for one in findings if one.signal not in steps)
    good = (
        SignalRow(one.signal, one.proof)
        for one in findings
        if one.signal in needed and one.proof is not None
    )
    return tuple(worse), tuple(good)


def _word(kind: Kind, position: Position) -> str:
    following = position.following
    for_what = f" for {percent_text(following)} %" if following else ""
    return f"{kind}{for_what if kind is Kind.SUCCESSFUL else ''}"


def _is_same_weight(judgement: Judgement, record: Record) -> bool:
    return record.filed.watch.weight == judgement.candidate.weight


def _watched(sight: Sight, judgement: Judgement, record: Record | None) -> float:
    """Seconds: those written down and, while somebody watches, those since. So an estimate, right
    as long as each look finds evidence, and never more than would have been written down.
    """
    if judgement.filed is None:
        return 0.0
    seconds = judgement.filed.watch.seconds
    if record is None or sight.looked is None or not _is_same_weight(judgement, record):
        return seconds
    watching = record.kind != Kind.ERROR and judgement.verdict.kind is not Kind.ERROR
    since = min(max(0.0, sight.looked - unix(record.at)), gap_after(seconds) + 1.0)
    return seconds + since if watching else seconds


def _shares(sight: Sight, route: Route, version: str) -> tuple[tuple[str, float, float], ...]:
    """The labels that either gives most, with the shares of both in percent."""
    both = [
        (sight.traffic.get((route.name, one)) or Traffic()).mix for one in (version, route.stable)
    ]
    mine, theirs = both
    if not mine:
        return ()
    top = sorted({*mine, *theirs}, key=lambda one: -max(mine.get(one, 0.0), theirs.get(one, 0.0)))
    return tuple(
        (label, 100 * mine.get(label, 0.0), 100 * theirs.get(label, 0.0)) for label in top[:LABELS]
    )


def unix(at: str) -> float:
    """Seconds of an ISO 8601 time; 0 if it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0
