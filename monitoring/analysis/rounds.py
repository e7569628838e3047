"""What sticky users show when they count again: a strand of its own for each round.

Who is whose was drawn once. A user that fails in every version fails in every round of the same
one, so a bet that multiplied what all rounds show would take one draw for many. Each round alone is
a fair game, as the first one was: given what becomes of the users in it, the draw of who is whose
says nothing about it in a healthy candidate. So each has a part of the promise that was fixed
beforehand, 1 / (n (n + 1)) for the n-th, which add up to one: by Bonferroni's inequality the chance
that any of them is ever wrong is at most the sum of the parts.

The bets of a round begin with what was known before the run and learn from the round itself.
Nothing that an earlier round showed may shape them: by then it is known how the users of each
version fare, and so which version those who fail are likely to have. That would be a bet on a draw
whose result is known.

A round speaks for "worse" only. To prove a candidate good there are new users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Any, Final

from monitoring.analysis.constant import Constant
from monitoring.analysis.question import Question
from monitoring.analysis.signals import answers_of
from monitoring.analysis.strand import Strand
from monitoring.readings import dumped
from monitoring.readings.evidence import AGAIN, Counts, Window

PART: Final = 0.2  # of the promise, for all rounds but the first together
_NO_ANSWER: Final = Constant()
_LIVE: Final = 2  # rounds of a gateway that still grow: the last one, and what ends late


@dataclass(frozen=True, slots=True)
class Round:
    """The ``number``-th repeat of a run in its gateway, from 1 on."""

    number: int
    strand: Strand
    constant: Constant = _NO_ANSWER

    def grown(self, question: Question, window: Window) -> Round:
        """After the counts of a window."""
        constant = self.constant.after(answers_of(window.candidate))
        return Round(self.number, self.strand.grown(question, window), constant)

    @property
    def log_part(self) -> float:
        """Of the promise, in a single gateway."""
        return log(PART / (self.number * (self.number + 1)))

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {
            "number": self.number,
            "strand": self.strand.dumped(),
            "constant": self.constant.dumped(),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any], question: Question) -> Round:
        """The opposite of :meth:`dumped`."""
        strand = Strand.loaded(document["strand"], question)
        return cls(dumped.whole(document["number"]), strand, Constant.loaded(document["constant"]))


@dataclass(frozen=True, slots=True)
class Rounds:
    """``live`` are those that still grow, by gateway and name; ``begun`` is how many there were, by
    gateway. Of the others only the largest log evidence is kept, by signal, with its part in it.
    """

    live: Mapping[str, Round] = field(default_factory=dict)
    begun: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, float] = field(default_factory=dict)

    def after(self, window: Window, past: Counts) -> Rounds:
        """After a window of a source that was not seen before: perhaps the first of a round.
        ``past`` are stable's requests before the run.
        """
        key = key_of(window)
        if not window.round or key in self.live:
            return self
        gateway = _gateway_of(key)
        number = self.begun.get(gateway, 0) + 1
        live = {**self.live, key: Round(number, Strand(past=past))}
        begun = {**self.begun, gateway: number}
        return Rounds(live, begun, self.ended)._settled(gateway)

    def grown(self, question: Question, key: str, window: Window) -> Rounds:
        """After the new counts of a window. What comes so late that its round has ended, of both
        versions alike, is left out.
        """
        known = self.live.get(key)
        if known is None:
            return self
        return replace(self, live={**self.live, key: known.grown(question, window)})

    def log_evidence(self, signal: str) -> float | None:
        """The largest of all rounds, each held to its part; None: there was none."""
        found = [one.log_part + one.strand.log_evidence(signal) for one in self.live.values()]
        if signal in self.ended:
            found.append(self.ended[signal])
        return max(found, default=None)

    def _settled(self, gateway: str) -> Rounds:
        live, ended = dict(self.live), dict(self.ended)
        own = [key for key in live if _gateway_of(key) == gateway]
        for key in sorted(own, key=lambda one: live[one].number)[:-_LIVE]:
            over = live.pop(key)
            for signal in over.strand.tracks:
                said = over.log_part + over.strand.log_evidence(signal)
                ended[signal] = max(said, ended.get(signal, said))
        return Rounds(live, self.begun, ended)

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {
            "live": {key: one.dumped() for key, one in self.live.items()},
            "begun": dict(self.begun),
            "ended": dict(self.ended),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any], question: Question) -> Rounds:
        """The opposite of :meth:`dumped`."""
        live = {key: Round.loaded(one, question) for key, one in document["live"].items()}
        ended = {name: dumped.number(one, -dumped.MOST) for name, one in document["ended"].items()}
        return cls(live, dumped.counts(document["begun"]), ended)


def without_ended(
    seen: Mapping[str, tuple[Counts, Counts]], windows: Sequence[Window]
) -> dict[str, tuple[Counts, Counts]]:
    """The counts of sources as last seen, but not of rounds that their gateway tells of no more: it
    never will again, and there are 45 a day.
    """
    told = {window.source for window in windows}
    gateways = {_gateway_of(source) for source in told}
    return {
        source: counts
        for source, counts in seen.items()
        if source in told or not source.endswith(AGAIN) or _gateway_of(source) not in gateways
    }


def key_of(window: Window) -> str:
    """The name of its round among those of all gateways."""
    return f"{_gateway_of(window.source)}/{window.round}"


def _gateway_of(name: str) -> str:
    return name.partition("/")[0]
