"""What one look found, before anything is said about it: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.model import RoutingConfig
from monitoring.history.chain import Entry
from monitoring.judgement.docket import Judgement, Key
from monitoring.judgement.record import Record
from monitoring.readings.live import Traffic

LATELY: Final = 2  # slices


@dataclass(frozen=True, slots=True)
class Gateway:
    """One that was asked. ``status`` is what ``/api/status`` said the last time it said anything,
    ``why`` why it does not now; empty if it does.
    """

    address: str
    status: Mapping[str, Any] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """Times are Unix time. ``heard`` is when a gateway said something last, None: never; ``looked``
    when the controller did, None: there is none. ``traffic`` is of the last ``seconds``, ``slices``
    are shorter parts of them, the newest last. ``config`` is the file as it stands, None if it is
    refused or not here; without it there are no judgements (by the counts as of now), records (what
    the controller wrote down), changes and lines (as ``canary status`` says them).
    ``disagreement`` says that another file than this one is served, for longer than a moment.
    """

    at: float
    gateways: tuple[Gateway, ...]
    heard: float | None = None
    traffic: Mapping[Key, Traffic] = field(default_factory=dict)
    seconds: float = 0.0
    slices: Sequence[Mapping[Key, Traffic]] = ()
    config: RoutingConfig | None = None
    judgements: Mapping[Key, Judgement] = field(default_factory=dict)
    records: Mapping[Key, Record] = field(default_factory=dict)
    changes: Sequence[Entry] = ()
    outcomes: Mapping[Key, str] = field(default_factory=dict)
    lines: Sequence[str] = ()
    looked: float | None = None
    disagreement: str = ""

    @property
    def lately(self) -> float:
        """Seconds of the newest slices that rates are of: who gets no more requests is seen to."""
        return sum(_seconds(one) for one in self.slices[-LATELY:])

    def traffic_lately(self, key: Key) -> Traffic:
        """In that time; rates only."""
        several = [one[key] for one in self.slices[-LATELY:] if key in one]
        return Traffic(
            self.lately,
            answered=sum(one.answered for one in several),
            asked=sum(one.asked for one in several),
        )


def _seconds(slice: Mapping[Key, Traffic]) -> float:
    return next((one.seconds for one in slice.values()), 0.0)
