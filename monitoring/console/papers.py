"""What is written down of traffic: the routing file as it stands, and its history as far as it is
shown. Values only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.errors import Problem
from gateway.model import RoutingConfig
from monitoring.analysis.verdict import Verdict
from monitoring.history.chain import Entry, Status
from monitoring.judgement.docket import Key
from monitoring.judgement.record import Record
from monitoring.rollout.position import Position


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest record of a candidate, and what it comes to."""

    record: Record
    verdict: Verdict
    position: Position


@dataclass(frozen=True, slots=True)
class Papers:
    """``config`` is the newest that was good, None if there was none yet; ``problems`` are those of
    the file as it stands. ``entries`` are all changes, the oldest first, and ``last`` the newest
    that was made of each version. ``sentences`` are those of ``canary status``, of each version of
    which there is something to tell. ``led``: a controller acts on the file.
    """

    config: RoutingConfig | None = None
    problems: tuple[Problem, ...] = ()
    entries: tuple[Entry, ...] = ()
    judged: Mapping[Key, Judged] = field(default_factory=dict)
    last: Mapping[Key, Entry] = field(default_factory=dict)
    sentences: Mapping[Key, str] = field(default_factory=dict)
    led: bool = False

    def recent(self, route: str) -> Iterator[Entry]:
        """The changes that were made of a route, and of the file by hand; the newest first."""
        mine = (one for one in reversed(self.entries) if one.route in ("", route))
        return (one for one in mine if one.status is Status.DONE)
