"""For how long a candidate has been watched, at one weight and one address.

Only time between two looks counts, and only if both found evidence: what nobody saw was not
watched, so a controller that was down, and a gateway that said nothing, make a rollout longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.model import FULL_WEIGHT, Route
from monitoring.readings import dumped

MOST_PER_LOOK: Final = 5.0  # seconds; a look that comes later than that has not watched

_LEAST_GAP: Final = 10.0  # seconds watched between two rows that only say how far one has come
_MOST_GAP: Final = 1800.0
_GAP: Final = 0.1  # of what was watched so far


def gap_after(seconds: float) -> float:
    """For how many seconds more a controller watches until it writes down that it has: so much is
    lost if it is killed.
    """
    return min(max(_LEAST_GAP, _GAP * seconds), _MOST_GAP)


@dataclass(frozen=True, slots=True)
class Watch:
    """What was watched, and for how many seconds. Another weight, stable or address of the
    candidate is another watch.
    """

    stable: str
    weight: int
    addresses: tuple[str, ...]
    seconds: float = 0.0

    @classmethod
    def begun(cls, route: Route, candidate: str) -> Watch:
        """Nothing was seen yet."""
        version = route.version(candidate)
        addresses = sorted(endpoint.url for endpoint in version.endpoints)
        return cls(route.stable, version.weight, tuple(addresses))

    def after(self, begun: Watch, elapsed: float) -> Watch:
        """After a look that found the rollout as in ``begun``, so many seconds after the last."""
        if not self.is_same_weight(begun):
            return begun
        return replace(self, seconds=self.seconds + min(max(elapsed, 0.0), MOST_PER_LOOK))

    def is_same_weight(self, other: Watch) -> bool:
        """Whether the time watched in the one counts for the other."""
        return replace(self, seconds=0.0) == replace(other, seconds=0.0)

    def is_same_trial(self, other: Watch) -> bool:
        """Whether the evidence for the one is evidence for the other: the same stable, and no
        address of the candidate that was not there before.
        """
        known = set(self.addresses) >= set(other.addresses)
        return self.stable == other.stable and known

    def dumped(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "stable": self.stable,
            "weight": self.weight,
            "addresses": list(self.addresses),
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Watch:
        """The opposite of :meth:`dumped`."""
        return cls(
            dumped.text(document["stable"]),
            dumped.whole(document["weight"], FULL_WEIGHT),
            tuple(map(dumped.text, document["addresses"])),
            dumped.number(document["seconds"]),
        )
