"""Where every candidate stands, as gauges: replaced as a whole with each look.

Stable is no candidate: it has a phase only where it was promoted, and nothing else here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.model import Route
from monitoring.analysis.drift import statistics_of
from monitoring.analysis.question import question_of
from monitoring.analysis.saved import SAVED
from monitoring.analysis.split import p_value
from monitoring.analysis.verdict import Kind, Verdict
from monitoring.rollout.position import Phase

Pair: TypeAlias = tuple[str, str]
"""Route and version."""

SPLIT: Final = "split"


@dataclass(frozen=True, slots=True)
class Shown:
    """Where one version stands. ``step`` counts from 1, 0 is none; ``watched`` and ``pause`` are
    seconds, the latter infinite where a person decides; ``verdict`` is None where nobody judges,
    and ``kind`` its answer about the next weight, if that is another than its own; ``drift`` is how
    far its predictions are from stable's, by statistic.
    """

    route: str
    version: str
    phase: Phase
    step: int = 0
    watched: float = 0.0
    pause: float = 0.0
    verdict: Verdict | None = None
    kind: Kind | None = None
    drift: Mapping[str, float] = field(default_factory=dict)

    @property
    def judged(self) -> Kind | None:
        """The verdict in a word."""
        return self.kind or (self.verdict.kind if self.verdict else None)

    @property
    def evidence(self) -> dict[str, float]:
        """The factor by which the data speak for "worse", by signal."""
        return {one.signal: one.evidence for one in self.verdict.findings} if self.verdict else {}

    @property
    def is_split_wrong(self) -> bool:
        """Whether the verdict is that requests are not shared as the file says."""
        verdict = self.verdict
        return verdict is not None and verdict.kind is Kind.ERROR and SPLIT in verdict.reasons[:1]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a candidate: its checks with the evidence that is proof, and its drift."""

    limits: Mapping[str, float]
    statistics: Sequence[str]


class Standing:
    """All of them. Not to be used by two threads at once."""

    def __init__(self) -> None:
        self._asked: dict[Pair, _Asked] = {}
        self._shown: dict[Pair, Shown] = {}

    def known(self, routes: Iterable[Route]) -> list[Pair]:
        """The routes of the file in force; returns their candidates. Others are forgotten."""
        self._asked = {
            (route.name, version.name): _asked(route)
            for route in routes
            for version in route.candidates
        }
        self._shown = {key: one for key, one in self._shown.items() if key in self._asked}
        return list(self._asked)

    def looked(self, rows: Iterable[Shown]) -> None:
        """Where all versions stand now; what is not among them stands nowhere."""
        self._shown = {(row.route, row.version): row for row in rows}

    def families(self) -> Iterator[Metric]:
        """All gauges as of the last look."""
        yield self._phases()
        yield from self._rollouts()
        yield from self._verdicts()
        yield self._drifts()
        yield from self._splits()

    def _phases(self) -> Metric:
        phase = _gauge("rollout_phase", "1 for the phase the version is in.", "phase")
        promoted = (key for key, row in self._shown.items() if row.phase is Phase.PROMOTED)
        for pair in dict.fromkeys((*self._asked, *promoted)):
            row = self._shown.get(pair)
            for one in Phase:
                phase.add_metric([*pair, one], bool(row and row.phase == one))
        return phase

    def _rollouts(self) -> Iterator[Metric]:
        step = _gauge("rollout_step", "The step it stands at, from 1; 0 is none.")
        watched = _gauge("rollout_watched_seconds", "For how long it was watched at its weight.")
        pause = _gauge("rollout_pause_seconds", "For how long it is to be watched at its weight.")
        for pair in self._asked:
            row = self._shown.get(pair)
            step.add_metric(pair, row.step if row else 0)
            watched.add_metric(pair, row.watched if row else 0)
            pause.add_metric(pair, row.pause if row else 0)
        return iter((step, watched, pause))

    def _verdicts(self) -> Iterator[Metric]:
        stands = _gauge("verdict", "1 for the verdict as it stands.", "verdict")
        value = _gauge("check_value", "Factor by which the data speak for worse.", "check")
        threshold = _gauge("check_threshold", "The factor that is proof of worse.", "check")
        for pair, asked in self._asked.items():
            row = self._shown.get(pair)
            found = row.evidence if row else {}
            for kind in Kind:
                stands.add_metric([*pair, kind], bool(row and row.judged is kind))
            for check, limit in asked.limits.items():
                value.add_metric([*pair, check], found.get(check, 0))
                threshold.add_metric([*pair, check], limit)
        return iter((stands, value, threshold))

    def _drifts(self) -> Metric:
        drift = _gauge(
            "prediction_drift",
            "How far the candidate's predictions are from stable's, less what is chance.",
            "statistic",
        )
        for pair, asked in self._asked.items():
            row = self._shown.get(pair)
            for statistic in asked.statistics:
                drift.add_metric([*pair, statistic], row.drift.get(statistic, 0) if row else 0)
        return drift

    def _splits(self) -> Iterator[Metric]:
        chance = GaugeMetricFamily(
            "canary_sample_ratio_pvalue",
            "Anytime-valid p-value that requests are shared as the file says; 1: nothing is seen.",
            labels=["route"],
        )
        mismatch = GaugeMetricFamily(
            "canary_sample_ratio_mismatch",
            "1 if requests are proven not to be shared as the file says.",
            labels=["route"],
        )
        rows: dict[str, list[Shown]] = {}
        for (route, version), asked in self._asked.items():
            if SPLIT in asked.limits:
                found = rows.setdefault(route, [])
                row = self._shown.get((route, version))
                found += [] if row is None else [row]
        for route, several in rows.items():
            told = [row.evidence[SPLIT] for row in several if SPLIT in row.evidence]
            chance.add_metric([route], p_value(told))
            mismatch.add_metric([route], any(row.is_split_wrong for row in several))
        return iter((chance, mismatch))


def _asked(route: Route) -> _Asked:
    """Nothing where nothing is judged."""
    if route.analysis is None:
        return _Asked({}, ())
    question = question_of(route, route.analysis)
    names = [*(signal.name for signal in question.every), *([SAVED] if question.saved else [])]
    return _Asked(dict.fromkeys(names, 1 / question.alpha), statistics_of(route.prediction))


def _gauge(name: str, documentation: str, *more: str) -> GaugeMetricFamily:
    labels = ["route", "version", *more]
    return GaugeMetricFamily(f"canary_{name}", documentation, labels=labels)
