"""All that is remembered of one candidate between two looks, and how it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Any, Final

import numpy as np

from monitoring.analysis.constant import Constant
from monitoring.analysis.question import Question
from monitoring.analysis.rounds import PART, Rounds, key_of, without_ended
from monitoring.analysis.saved import SAVED, Saved
from monitoring.analysis.signals import answers_of
from monitoring.analysis.strand import Strand
from monitoring.readings import dumped
from monitoring.readings.evidence import Counts, Window

TOGETHER: Final = ""  # the strand of all sources whose counts are added
_NOTHING: Final = Counts()


_NO_ANSWER: Final = Constant()


@dataclass(frozen=True, slots=True)
class Case:
    """``seen`` holds the counts of each source as of the last look, candidate and stable; ``past``
    are stable's requests before; ``due`` is how many of all requests should have been the
    candidate's, ``pending`` how many it has not answered yet. ``saved`` is no part of any strand:
    each request is its own there, whichever gateway it came to. ``failed``: why it was once found
    to fail, reason and sentence. The promise is about EVER, so that is not taken back. ``rounds``
    are those in which sticky users count again.
    """

    gateways: int = 1
    past: Counts = _NOTHING
    strands: Mapping[str, Strand] = field(default_factory=dict)
    seen: Mapping[str, tuple[Counts, Counts]] = field(default_factory=dict)
    candidate: Counts = _NOTHING
    stable: Counts = _NOTHING
    constant: Constant = _NO_ANSWER
    due: float = 0.0
    pending: int = 0
    saved: Saved = field(default_factory=Saved.begun)
    failed: tuple[str, str] | None = None
    rounds: Rounds = field(default_factory=Rounds)

    @classmethod
    def opened(cls, past: Counts = _NOTHING, gateways: int = 1) -> Case:
        """Before the first look at so many gateways. ``past`` are stable's requests before the
        candidate got any: they shape the first bets and are no evidence.
        """
        return cls(gateways, past)

    def from_here(self, windows: Sequence[Window]) -> Case:
        """The same, for which what the windows hold so far counts for nothing."""
        rounds = self.rounds
        for window in windows:
            rounds = rounds.after(window, self.past)
        seen = {one.source: (one.candidate, one.stable) for one in windows}
        return replace(self, seen=seen, rounds=rounds)

    def grown(self, question: Question, windows: Sequence[Window]) -> Case:
        """After a look at the windows as they stand, oldest first.

        Raises :class:`~monitoring.readings.evidence.BadEvidence` where counts became smaller.
        """
        seen = dict(self.seen)
        steps: dict[tuple[str, float], Window] = {}
        mine = theirs = _NOTHING
        rounds = self.rounds
        for window in windows:
            if window.source not in seen:
                rounds = rounds.after(window, self.past)
            before = seen.get(window.source, (_NOTHING, _NOTHING))
            if window.source in seen and before == (window.candidate, window.stable):
                continue  # most windows of a run are over
            seen[window.source] = window.candidate, window.stable
            strand = window.source.partition("/")[0] if window.alone else TOGETHER
            strand = key_of(window) if window.round else strand
            new = replace(
                window, candidate=window.candidate - before[0], stable=window.stable - before[1]
            )
            mine, theirs = mine + new.candidate, theirs + new.stable
            if not new.candidate.assigned and not new.stable.assigned:
                continue
            # Counts of one share are added before anything is made of them: replicas and processes
            # give the same numbers to the last bit in whatever order they are asked.
            key = strand, window.share
            steps[key] = _added(steps[key], new) if key in steps else new
        return replace(
            self._after(question, steps, rounds),
            seen=without_ended(seen, windows),
            candidate=self.candidate + mine,
            stable=self.stable + theirs,
            pending=sum(window.pending for window in windows),
            saved=self.saved.grown(mine) if question.saved else self.saved,
        )

    def _after(
        self, question: Question, steps: Mapping[tuple[str, float], Window], rounds: Rounds
    ) -> Case:
        strands = dict(self.strands)
        constant, due = self.constant, self.due
        for (name, _), window in steps.items():
            due += window.share * (window.candidate.assigned + window.stable.assigned)
            if window.round:
                rounds = rounds.grown(question, name, window)
                continue
            strand = strands.get(name) or Strand(past=self.past)
            strands[name] = strand.grown(question, window)
            constant = constant.after(answers_of(window.candidate))
        return replace(self, strands=strands, constant=constant, due=due, rounds=rounds)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """How long it has given the same answer: to new users, and in each round. A user that is
        asked in two rounds may well get the same one twice.
        """
        return self.constant, *(one.constant for one in self.rounds.live.values())

    @property
    def short(self) -> bool:
        """Whether too few requests came to the candidate, and none that are under way explain it:
        a slow one answers later than stable.
        """
        return self.candidate.assigned + self.pending < self.due

    def log_evidence(self, signal: str) -> float:
        """Of one signal: the largest of all strands, each held to its part of the promise."""
        if signal == SAVED:
            return self.saved.log_evidence()
        found = [
            one.log_evidence(signal)
            + (0.0 if name == TOGETHER else log(1 - PART))
            + self._part(name)
            for name, one in self.strands.items()
        ]
        again = self.rounds.log_evidence(signal)
        if again is not None:
            found.append(again - log(self.gateways))
        return max(found, default=0.0)

    def combined(self, weights: Mapping[str, float]) -> tuple[float, str]:
        """``log E`` of signals together, and which one speaks loudest.

        They are averaged, which is valid however they depend on one another. That each is the
        largest of its strands is so as well: it is no more than the sum of all, held to parts that
        add up to one.
        """
        logs = {one: log(part) + self.log_evidence(one) for one, part in weights.items()}
        return float(np.logaddexp.reduce(list(logs.values()))), max(logs, key=lambda one: logs[one])

    def log_proof(self, signal: str) -> float | None:
        """The same of the mirror test. None where there is none."""
        logs = []
        for name, strand in self.strands.items():
            track = strand.tracks.get(signal)
            log_proof = None if track is None else track.log_proof()
            if log_proof is not None:
                logs.append(log_proof + self._part(name))
        return max(logs, default=None)

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {
            "gateways": self.gateways,
            "past": self.past.dumped(),
            "strands": {name: strand.dumped() for name, strand in self.strands.items()},
            "seen": {
                source: [counts.dumped() for counts in pair] for source, pair in self.seen.items()
            },
            "candidate": self.candidate.dumped(),
            "stable": self.stable.dumped(),
            "constant": self.constant.dumped(),
            "due": self.due,
            "pending": self.pending,
            "saved": self.saved.dumped(),
            "failed": self.failed,
            "rounds": self.rounds.dumped(),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any], question: Question) -> Case:
        """The opposite of :meth:`dumped`, of one that was grown for this question. Raises
        ValueError, or another error of what is no such document.
        """
        failed = document["failed"]
        strands = document["strands"].items()
        return cls(
            max(1, dumped.whole(document["gateways"])),
            Counts.loaded(document["past"]),
            {name: Strand.loaded(strand, question) for name, strand in strands},
            {
                source: (Counts.loaded(candidate), Counts.loaded(stable))
                for source, (candidate, stable) in document["seen"].items()
            },
            Counts.loaded(document["candidate"]),
            Counts.loaded(document["stable"]),
            Constant.loaded(document["constant"]),
            dumped.number(document["due"]),
            dumped.whole(document["pending"]),
            Saved.loaded(document["saved"]),
            None if failed is None else _reason_and_sentence(*failed),
            Rounds.loaded(document["rounds"], question),
        )

    def _part(self, strand: str) -> float:
        """The logarithm of a strand's part of the promise.

        What several gateways tell of sticky users may be of the same ones, so it is not added. By
        Bonferroni's inequality the chance that any of them is wrong is at most the sum of parts.
        """
        return 0.0 if strand == TOGETHER else -log(self.gateways)

    @property
    def main(self) -> Strand:
        """The strand with the most requests."""
        return max(self.strands.values(), key=lambda strand: strand.past.assigned, default=Strand())


def _reason_and_sentence(reason: object, sentence: object) -> tuple[str, str]:
    return dumped.text(reason), dumped.text(sentence)


def _added(a: Window, b: Window) -> Window:
    return replace(a, candidate=a.candidate + b.candidate, stable=a.stable + b.stable)
