"""The suspicion that a candidate fails what stable then answers, whoever asks.

Where users stick, each is evidence once: what a candidate does to them later is no draw. But where
stable answers what a candidate fails, it is asked the same by the same user a moment later. Let
both be the same model, and let a request fail with chance ``p`` at either: "the candidate fails and
stable does not" has chance ``p (1 - p)``, a quarter at most, whatever the request is and whoever
asks. So no part of it may be more, of all requests, counted at every repetition.

One look is one bet, however many requests came since the last one. What fails many of them at one
moment (a connection that both share is reset) is over when stable is asked, and would be saved in
any candidate: requests of one moment are not independent. Of the share ``x`` that was saved since
the last look nothing is needed but that its mean is a quarter at most. Then

    s x / (1 / 4) + (1 - s) (1 - x) / (3 / 4),   1 / 4 <= s < 1,

has a mean of 1 at most if the stake ``s`` was known beforehand (betting on a bounded mean:
Waudby-Smith, Ramdas 2024, "Estimating means of bounded random variables by betting"). It is a share
that the last looks suggest, so nothing is staked, and nothing lost, as long as nothing is saved: a
candidate that turns bad after a week is found as soon as one that does so at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitoring.analysis.betting import Array
from monitoring.analysis.mixture import Mixture
from monitoring.readings import dumped
from monitoring.readings.evidence import Counts

SAVED: Final = "saved"  # the name of the signal
WEIGHT: Final = 0.1  # as of a limit
_MOST: Final = 0.25  # the largest share in a healthy candidate
_SUREST: Final = 0.95
# How much of what is suggested is the last look's: at once, over some ten and some hundred looks.
_MEMORIES: Final = np.array([0.5, 0.1, 0.01])
_LOG_PRIOR: Final = np.log(np.array([0.6, 0.3, 0.1]))


@dataclass(frozen=True, slots=True)
class Saved:
    """``recent`` is the share that each memory suggests, ``(3,)``; ``spell`` how many requests were
    asked, and saved, since the last look at which no more were saved than may be.
    """

    mixture: Mixture
    recent: Array
    spell: tuple[int, int] = (0, 0)

    @classmethod
    def begun(cls) -> Saved:
        """Before the first look."""
        return cls(Mixture.begun(_LOG_PRIOR), np.zeros(len(_MEMORIES)))

    def grown(self, new: Counts) -> Saved:
        """After a look at which so many requests of the candidate were new."""
        if not new.asked:
            return self
        share = new.saved / new.asked
        stake = np.clip(self.recent, _MOST, _SUREST)
        factor = stake * share / _MOST + (1 - stake) * (1 - share) / (1 - _MOST)
        asked, saved = self.spell
        return Saved(
            self.mixture.grown(_LOG_PRIOR, np.log(factor), 1),
            self.recent + _MEMORIES * (share - self.recent),
            (asked + new.asked, saved + new.saved) if share > _MOST else (0, 0),
        )

    def log_evidence(self) -> float:
        """``log E``: the factor by which the requests speak against a healthy candidate."""
        return float(self.mixture.log_evidence())

    def dumped(self) -> dict[str, Any]:
        """As JSON, from which it is read back to the last bit."""
        return {
            **self.mixture.dumped(),
            "recent": self.recent.tolist(),
            "spell": list(self.spell),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Saved:
        """The opposite of :meth:`dumped`."""
        mixture = Mixture.loaded(document, len(_MEMORIES))
        recent = dumped.numbers(document["recent"], len(_MEMORIES), least=0.0)
        asked, saved = document["spell"]
        return cls(mixture, np.array(recent), (dumped.whole(asked), dumped.whole(saved)))
