"""What the controller tells Prometheus: a collector over what it was told itself.

Label values come from ``routing.yaml`` or closed sets. Every known series exists at 0 from the
start, so that a rate or an alert over it works from the first scrape; what belongs to a route or
version that left the file goes with it. Whoever looks, acts and delivers calls one of the small
methods here, from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from time import time
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.metrics.exposition import expose
from gateway.model import Event, Route
from monitoring.analysis.saved import SAVED
from monitoring.analysis.verdict import Kind, Verdict
from monitoring.metrics.standing import SPLIT, Shown, Standing
from monitoring.metrics.tally import Durations, Tally
from monitoring.notices.postman import Outcome

FRESH: Final = 10.0  # seconds since the last look for which a controller counts as healthy

NONE: Final = "none"
OPERATOR: Final = "operator"  # the reason of a rollback that a person made
OTHER: Final = "other"  # a word that no closed set holds
_SIGNALS: Final = (
    *("errors", "error limit", "latency", "latency limit", "labels", "scores", "values"),
    SAVED,
)
_REASONS: Final[Mapping[str, tuple[str, ...]]] = {
    Kind.SUCCESSFUL: (NONE,),
    Kind.FAILED: (*_SIGNALS, "collapse"),
    Kind.INCONCLUSIVE: (NONE,),
    Kind.ERROR: (SPLIT, NONE),
}
_ROLLBACKS: Final = (*_REASONS[Kind.FAILED], OPERATOR)
_ACTORS: Final = (OPERATOR, "controller")
_KINDS: Final = (
    *("start", "set-weight", "advance", "promote", "rollback", "pause", "resume", "by-hand"),
    *("add-version", "remove-version"),
)
_LOOKS: Final = ("judged", "no_evidence", "bad_file", "standing_by")
# Seconds: an edit is in force within a fraction of one, and is seen with the next look.
_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


def reason_of(verdict: Verdict) -> str:
    """What a verdict rests on, as a word of a closed set: a signal, ``collapse``, ``split`` or
    ``none``.
    """
    first = verdict.reasons[0] if verdict.reasons else NONE
    return first if first in _REASONS[verdict.kind] else NONE


class Metrics(Collector):
    """Everything the controller tells, in a registry of its own. ``clock`` is Unix time."""

    def __init__(self, version: str, clock: Callable[[], float] = time) -> None:
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        self._standing = Standing()
        self._last_look = 0.0
        self._unrecorded = 0
        self._verdicts = Tally(
            "canary_verdicts",
            "Changes of the verdict, by what the new one rests on.",
            ["route", "version", "verdict", "reason"],
        )
        self._rollbacks = Tally(
            "canary_rollbacks",
            "Candidates taken out, by the controller or by a person.",
            ["route", "version", "reason"],
        )
        self._changes = Tally(
            "canary_weight_changes",
            "Changes of routing.yaml.",
            ["actor", "kind"],
            product(_ACTORS, _KINDS),
        )
        self._notices = Tally(
            "canary_notices",
            "What became of notices for webhooks.",
            ["event", "outcome"],
            product(map(str, Event), map(str, Outcome)),
        )
        self._looks = Tally(
            "canary_controller_looks",
            "Looks by what came of them.",
            ["outcome"],
            product(_LOOKS),
        )
        self._durations = Durations(
            "canary_rollback_duration_seconds",
            "From the decision to roll back until all gateways served the new file.",
            "route",
            _BOUNDS,
        )
        self._registry = CollectorRegistry()
        self._registry.register(self)

    # What happens.

    def known(self, routes: Iterable[Route]) -> None:
        """The routes of the file in force: what is of none of them is forgotten.

        Stable begins no series. What was counted of it as a candidate stays: its last verdict comes
        with its promotion.
        """
        routes = list(routes)
        pairs = {(route.name, version.name) for route in routes for version in route.versions}
        with self._lock:
            for tally in (self._verdicts, self._rollbacks):
                tally.keep(pairs)
            self._durations.keep(dict.fromkeys(route.name for route in routes))
            for pair in self._standing.known(routes):
                self._rollbacks.begin((*pair, reason) for reason in _ROLLBACKS)
                self._verdicts.begin(
                    (*pair, str(kind), reason)
                    for kind, reasons in _REASONS.items()
                    for reason in reasons
                )

    def looked(self, rows: Sequence[Shown]) -> None:
        """Where all versions stand now; what is not among them stands nowhere."""
        with self._lock:
            self._standing.looked(rows)

    def look(self, outcome: str) -> None:
        """The controller looked: ``judged``, ``no_evidence``, ``bad_file`` or ``standing_by``."""
        with self._lock:
            self._looks.add(outcome if outcome in _LOOKS else OTHER)
            self._last_look = self._clock()

    def verdict_changed(
        self, route: str, version: str, verdict: Verdict, kind: Kind | None = None
    ) -> None:
        """It is another one than at the last look; ``kind`` as in :class:`Shown`."""
        with self._lock:
            self._verdicts.add(route, version, str(kind or verdict.kind), reason_of(verdict))

    def changed(self, actor: str, kind: str) -> None:
        """The file was changed by ``controller``, or else by a person; ``kind`` is the word of the
        command, ``advance`` or ``by-hand``.
        """
        who = "controller" if actor == "controller" else OPERATOR
        with self._lock:
            self._changes.add(who, kind if kind in _KINDS else OTHER)

    def rolled_back(self, route: str, version: str, reason: str) -> None:
        """``reason`` is that of the verdict (:func:`reason_of`), or ``operator``."""
        with self._lock:
            self._rollbacks.add(route, version, reason if reason in _ROLLBACKS else NONE)

    def acknowledged(self, route: str, seconds: float) -> None:
        """So long after a rollback was decided all gateways served the file that says so."""
        with self._lock:
            self._durations.add(route, seconds)

    def told(self, event: Event, outcome: Outcome) -> None:
        """What became of a notice at one webhook."""
        with self._lock:
            self._notices.add(str(event), str(outcome))

    def unrecorded(self, number: int) -> None:
        """So many changes were made and could not be written into the history yet."""
        with self._lock:
            self._unrecorded = number

    # What is told.

    def trouble(self) -> str:
        """Why the controller is not healthy; empty if it is."""
        with self._lock:
            last = self._last_look
        if not last:
            return "the controller has not looked yet"
        ago = self._clock() - last
        if ago < FRESH:
            return ""
        return f"the last look was {ago:.0f} s ago; it looks once a second"

    def render(self, accept: str) -> tuple[str, bytes]:
        """Content type and text, as the field Accept asks for."""
        return expose(self._registry, accept)

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is to tell depends on the file."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        tallies = (self._verdicts, self._rollbacks, self._changes, self._notices, self._looks)
        with self._lock:
            counted = [each.family() for each in tallies]
            families = (*self._standing.families(), *counted, self._durations.family())
            last, unrecorded = self._last_look, self._unrecorded
        yield from families
        yield GaugeMetricFamily(
            "canary_controller_last_look_timestamp_seconds",
            "Unix time of the last look.",
            value=last,
        )
        yield GaugeMetricFamily(
            "canary_controller_unrecorded_changes",
            "Changes made that could not be written into the history yet.",
            value=float(unrecorded),
        )
        build = GaugeMetricFamily("canary_build_info", "1; names this build.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
