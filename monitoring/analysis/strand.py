"""What came from sources whose counts may be added, as the bets on it stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from monitoring.analysis.interval import Rates
from monitoring.analysis.lenience import proofs
from monitoring.analysis.question import Question
from monitoring.analysis.signals import good_and_bad, within_and_beyond
from monitoring.analysis.track import Track
from monitoring.readings import dumped
from monitoring.readings.evidence import Counts, Window

_NOTHING: Final = Counts()
_SLOW: Final = 0.95  # the quantile of stable beyond which a request counts as slow


@dataclass(frozen=True, slots=True)
class Strand:
    """What came from sources that are added up. ``slow`` counts requests beyond ``bound``."""

    tracks: Mapping[str, Track] = field(default_factory=dict)
    errors: Rates = field(default_factory=Rates.begun)
    slow: Rates = field(default_factory=Rates.begun)
    bound: int | None = None
    past: Counts = _NOTHING  # stable's, in this strand

    def grown(self, question: Question, window: Window) -> Strand:
        """After the counts of a window."""
        tracks = self._tracks(question, window)
        bound = self.bound if self.bound is not None else _slow_bound(self.past)
        mine, theirs = window.candidate, window.stable
        declared = question.declared
        errors = self.errors.grown(
            good_and_bad(mine, declared), good_and_bad(theirs, declared), window.share
        )
        slow = self.slow
        if bound is not None:
            slow = slow.grown(
                within_and_beyond(mine, bound), within_and_beyond(theirs, bound), window.share
            )
        return Strand(tracks, errors, slow, bound, self.past + window.stable)

    def _tracks(self, question: Question, window: Window) -> dict[str, Track]:
        tracks = dict(self.tracks)
        for signal in question.every:
            begun = tracks.get(signal.name) or Track.begun(signal, self.past)
            if begun is not None:
                tracks[signal.name] = begun
        known = {name: track.stable for name, track in tracks.items()}
        bets = proofs(question.every, known, window.share)
        for signal in question.every:
            if signal.name in tracks:
                tracks[signal.name] = tracks[signal.name].grown(
                    signal, window.candidate, window.stable, window.share, bets.get(signal.name)
                )
        return tracks

    def log_evidence(self, signal: str) -> float:
        """``log E`` of one signal; 0 as long as it has not begun."""
        track = self.tracks.get(signal)
        return 0.0 if track is None else float(track.mixture.log_evidence())

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {
            "tracks": {name: track.dumped() for name, track in self.tracks.items()},
            "errors": self.errors.dumped(),
            "slow": self.slow.dumped(),
            "bound": self.bound,
            "past": self.past.dumped(),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any], question: Question) -> Strand:
        """The opposite of :meth:`dumped`, of one that was grown for this question; without the
        steps that it has no more.
        """
        tracks, bound = document["tracks"], document["bound"]
        asked = [signal for signal in question.every if signal.name in tracks]
        return cls(
            {signal.name: Track.loaded(tracks[signal.name], signal) for signal in asked},
            Rates.loaded(document["errors"]),
            Rates.loaded(document["slow"]),
            None if bound is None else dumped.whole(bound),
            Counts.loaded(document["past"]),
        )


def _slow_bound(stable: Counts) -> int | None:
    """The bucket in which the slowest twentieth of stable's requests begins."""
    total = sum(stable.latency)
    if total < 100:
        return None
    return int(np.searchsorted(np.cumsum(stable.latency), _SLOW * total))
