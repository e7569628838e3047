"""What the evidence means: one of four words, the reasons, and a sentence.

Kinds are values, not actions; what is done about them is somebody else's choice. "Don't know" is
``Inconclusive`` (too little was seen) or ``Error`` (what was seen cannot be trusted): neither ever
rolls back, neither ever promotes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, exp, inf, log
from typing import Final

import numpy as np

from gateway.model import FULL_WEIGHT
from monitoring.analysis import guards, words
from monitoring.analysis.case import Case
from monitoring.analysis.effects import Effects, effects
from monitoring.analysis.interval import Interval
from monitoring.analysis.question import Question
from monitoring.analysis.saved import SAVED, WEIGHT
from monitoring.analysis.signals import Signal, bad_of
from monitoring.readings.evidence import Counts

_MOST: Final = 700.0  # beyond it exp() has no number


class Kind(StrEnum):
    """Argo Rollouts' words for the outcome of an analysis."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One signal. ``evidence`` is the factor by which the data speak for "worse", ``proof`` for "no
    worse than tolerated" (None: nothing is tolerated, or nothing was seen); ``interval`` is the
    difference of rates, candidate minus stable; ``shift`` how different the answers are.
    """

    signal: str
    evidence: float
    proof: float | None = None
    interval: Interval | None = None
    shift: Effects | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a candidate may get ``weight`` basis points; full weight is a promotion.

    ``wanting`` are the signals that have not proven it yet, with a word why. ``remaining``
    estimates how many more requests of both versions that takes; None: it cannot be said.
    """

    weight: int
    wanting: tuple[str, ...] = ()
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``evidence`` reaches ``limit`` in a healthy candidate with a chance of at most ``1 / limit``,
    however often one looks. ``leading`` is the signal that speaks loudest. ``remaining`` estimates
    how many more requests of both versions a proof of "good" takes; None: it cannot be said.
    """

    kind: Kind
    sentence: str
    evidence: float
    limit: float
    leading: str
    candidate: Counts
    stable: Counts
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    alerts: tuple[str, ...] = ()
    remaining: int | None = None
    allowances: tuple[Allowance, ...] = ()

    def on(self, weight: int) -> Kind:
        """The answer to "may it get so many basis points?"."""
        found = self.allowance(weight)
        proven = found is not None and not found.wanting
        return Kind.SUCCESSFUL if self.kind is Kind.INCONCLUSIVE and proven else self.kind

    def allowance(self, weight: int) -> Allowance | None:
        """What is known of that weight; None: nothing."""
        return next((one for one in self.allowances if one.weight == weight), None)


def error(why: str, limit: float) -> Verdict:
    """The evidence cannot be had or trusted."""
    return Verdict(Kind.ERROR, why, 1.0, limit, "", Counts(), Counts(), (why,))


def unjudged(why: str) -> Verdict:
    """Nothing is asked, so nothing is known."""
    return Verdict(Kind.INCONCLUSIVE, why, 0.0, 1.0, "", Counts(), Counts(), (why,))


def judge(question: Question, case: Case) -> Verdict:
    """The verdict on a candidate as of now."""
    limit = 1 / question.alpha
    evidence, leading = _evidence(question, case)
    logs = {one.name: case.log_evidence(one.name) for one in question.every}
    findings = tuple(
        _finding(question, case, signal, logs[signal.name]) for signal in question.every
    )
    if question.saved:
        worse = exp(min(case.log_evidence(SAVED), _MOST))
        findings = (*findings, Finding(SAVED, worse))
    alerts = tuple(
        words.shifted(signal.name, case.candidate, case.stable)
        for signal in question.alerts
        if logs[signal.name] >= log(limit)
    )
    kind, reasons, sentence = _decided(question, case, evidence, leading, logs)
    weights = sorted({each.up_to for each in question.steps} | {FULL_WEIGHT})
    allowances = tuple(_allowance(question, case, weight) for weight in weights)
    remaining = allowances[-1].remaining if kind is Kind.INCONCLUSIVE else None
    factor = exp(min(evidence, _MOST))
    if kind is Kind.INCONCLUSIVE:
        sentence = words.unproven(question, case, factor, remaining)
    return Verdict(
        kind,
        sentence,
        factor,
        limit,
        leading,
        case.candidate,
        case.stable,
        reasons,
        findings,
        alerts,
        remaining,
        allowances,
    )


def _evidence(question: Question, case: Case) -> tuple[float, str]:
    """Of all signals that lead to a rollback, and which leads. Errors alone say nothing below the
    floor of bad answers: their part counts as undecided then.
    """
    weights = _weights(question)
    few = _below_the_floor(question, case)
    counted = {name: part for name, part in weights.items() if name not in few}
    undecided = 1.0 - sum(counted.values())
    if not counted:
        return 0.0, next(iter(weights))
    evidence, leading = case.combined(counted)
    return float(np.logaddexp(evidence, log(undecided))) if undecided > 1e-9 else evidence, leading


def _below_the_floor(question: Question, case: Case) -> set[str]:
    """The signals of bad answers that have seen too few of them."""
    few: set[str] = set()
    if bad_of(case.candidate, question.declared) < question.min_bad:
        few |= {"errors", "error limit"}
    if case.candidate.saved < question.min_bad:
        few.add(SAVED)
    return few


def _proven_by_saved(question: Question, case: Case) -> bool:
    """Whether what stable had to answer is enough, without anything that depends on the split."""
    if not question.saved or SAVED in _below_the_floor(question, case):
        return False
    part = _weights(question)[SAVED]
    return log(part) + case.saved.log_evidence() >= -log(question.alpha)


def _decided(
    question: Question, case: Case, evidence: float, leading: str, logs: dict[str, float]
) -> tuple[Kind, tuple[str, ...], str]:
    """Guards first, then what cannot be trusted, then the evidence; "good" needs every proof."""
    if case.failed is not None:
        reason, sentence = case.failed
        return Kind.FAILED, (reason,), sentence
    enough = -log(question.alpha)
    collapse = guards.collapse(case)
    if collapse is not None:
        return Kind.FAILED, ("collapse",), collapse
    if not case.candidate.assigned:
        return Kind.INCONCLUSIVE, ("no request yet",), ""
    split = logs[question.split.name]
    late = case.candidate.assigned < case.due and not case.short
    # Where too few requests are the candidate's, those of stable alone look like evidence against
    # it, and sooner than the split is proven wrong: what speaks for that does not speak against
    # the candidate, and nothing does any more once it is proven. Too many only make the other
    # bets dearer: they stay safe (see `make calibrate`).
    uneven = split >= enough and not late
    doubt = (inf if uneven else max(split, 0.0)) if case.short else 0.0
    if evidence - doubt >= enough:
        return Kind.FAILED, (leading,), words.compared(leading, question, case)
    if _proven_by_saved(question, case):
        return Kind.FAILED, (SAVED,), words.compared(SAVED, question, case)
    if uneven:
        return Kind.ERROR, ("split",), words.uneven(case.candidate, case.stable)
    unproven = _wanting(question, case, question.rails)
    if not unproven:
        return Kind.SUCCESSFUL, ("proven",), words.proven(question, case)
    return Kind.INCONCLUSIVE, unproven, ""


def _allowance(question: Question, case: Case, weight: int) -> Allowance:
    proofs = question.proofs(weight)
    wanting = _wanting(question, case, proofs)
    return Allowance(weight, wanting, _remaining(question, case, proofs) if wanting else 0)


def _wanting(question: Question, case: Case, proofs: Iterable[Signal]) -> tuple[str, ...]:
    """The signals that have not proven the candidate good yet, with a word why."""
    enough = -log(question.alpha)
    missing = []
    for signal in proofs:
        proof = case.log_proof(signal.name)
        if signal.proof_log_prior() is None:
            missing.append(f"{signal.name}: nothing is tolerated, so nothing can be proven")
        elif proof is None or proof < enough:
            missing.append(f"{signal.name}: too few samples")
    return tuple(missing)


def _weights(question: Question) -> dict[str, float]:
    """The parts of the signals; they add up to one."""
    weights = {signal.name: signal.weight for signal in question.signals}
    if question.saved:
        weights[SAVED] = WEIGHT
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _finding(question: Question, case: Case, signal: Signal, log_evidence: float) -> Finding:
    proof = case.log_proof(signal.name)
    strand = case.main
    interval: Interval | None = None
    if signal.name in ("errors", "latency"):
        rates = strand.errors if signal.name == "errors" else strand.slow
        interval = rates.interval(question.alpha)
    shift: Effects | None = None
    track = strand.tracks.get(signal.name)
    if signal.name in ("labels", "scores", "values") and track is not None:
        pair = (signal.outcomes(counts, track.frame) for counts in (case.candidate, case.stable))
        shift = effects(*pair)
    return Finding(
        signal.name,
        exp(min(log_evidence, _MOST)),
        None if proof is None else exp(min(proof, _MOST)),
        interval,
        shift,
    )


def _remaining(question: Question, case: Case, proofs: Iterable[Signal]) -> int | None:
    """Requests until the slowest proof is expected, at the speed at which it has grown so far."""
    enough = -log(question.alpha)
    slowest = 0
    requests = case.candidate.assigned + case.stable.assigned
    for signal in proofs:
        proof = case.log_proof(signal.name)
        if proof is None or proof <= 0 or not requests:
            return None
        if proof < enough:
            slowest = max(slowest, ceil((enough - proof) * requests / proof))
    return slowest
