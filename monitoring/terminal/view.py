"""What is shown of a look, as rows of values: no colours, no widths. Also what ``--json`` tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentile:
    """Seconds; ``beyond``: all that is known is that it is more."""

    seconds: float
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class VersionRow:
    """Shares are percent: ``weight`` as configured, ``observed`` of the draws since the file in
    force was taken, ``errors`` of the requests it was asked. The rest is of the last minute,
    save ``rate``, requests a second that it was asked in the last few; ``trend`` is the p95 of each
    few seconds, in seconds. ``mix`` are its most frequent labels, of ``labels``. None: nothing is
    known.
    """

    name: str
    role: str
    weight: float
    observed: float | None = None
    rate: float | None = None
    errors: float | None = None
    p50: Percentile | None = None
    p95: Percentile | None = None
    in_flight: int = 0
    trend: tuple[float | None, ...] = ()
    mix: tuple[tuple[str, float], ...] = ()
    labels: int = 0


@dataclass(frozen=True, slots=True)
class SignalRow:
    """By which factor the data of one signal speak for something."""

    name: str
    factor: float


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One that is under way. ``verdict`` is a word (and for which weight), ``written`` what the
    controller wrote down if that is another one. ``evidence`` is what speaks for "worse", ``proof``
    for "no worse than tolerated at the next weight"; each decides where it reaches ``limit``, and
    ``factor`` is that of all evidence together.
    ``steps`` are the weights of its rollout and
    ``step`` where it is, from 1; ``watched`` and ``pause`` seconds at it, ``pause`` None if a
    person decides. ``outlook`` and ``next`` are sentences, ``shares`` its labels beside stable's in
    percent.
    """

    version: str
    verdict: str
    sentence: str
    written: str = ""
    alerts: tuple[str, ...] = ()
    factor: float = 0.0
    limit: float = 1.0
    evidence: tuple[SignalRow, ...] = ()
    proof: tuple[SignalRow, ...] = ()
    stand: str = ""
    steps: tuple[str, ...] = ()
    step: int = 0
    watched: float = 0.0
    pause: float | None = None
    outlook: str = ""
    next: str = ""
    shares: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RouteRow:
    """``outcomes`` are what became of those that are under way no more, ``endpoints`` of those that
    get no requests or should not.
    """

    name: str
    stable: str
    rate: float | None
    versions: tuple[VersionRow, ...]
    candidates: tuple[CandidateRow, ...] = ()
    outcomes: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()

    @property
    def is_moving(self) -> bool:
        """Whether a candidate gets traffic."""
        return any(one.weight and one.name != self.stable for one in self.versions)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """Who changed what and why; ``age`` in seconds, ``shares`` in percent afterwards."""

    age: float
    by: str
    what: str
    reason: str
    at: str
    action: str
    route: str
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything; times are Unix time, ``seconds`` what the numbers of the last minute are of and
    ``lately`` what rates are of. ``silent`` are the gateways that say nothing, each with why;
    ``stale`` since when all of them have, 0 if they never said anything, None if one does.
    ``controller`` is a sentence.
    """

    at: float
    file: str = ""
    generation: str = ""
    since: float | None = None
    up: float | None = None
    gateways: int = 0
    silent: tuple[str, ...] = ()
    stale: float | None = None
    processes: int = 0
    restarts: int = 0
    draining: bool = False
    problems: tuple[str, ...] = ()
    refused: bool = False
    warnings: tuple[str, ...] = ()
    controller: str = ""
    is_led: bool = True
    disagreement: str = ""
    seconds: float = 0.0
    lately: float = 0.0
    rate: float | None = None
    errors: float | None = None
    moving: int = 0
    routes: tuple[RouteRow, ...] = ()
    changes: tuple[ChangeRow, ...] = ()
