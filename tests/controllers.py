"""A controller as ``canary controller`` builds it, but for the clocks and the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic as real_monotonic
from time import time as real_time
from typing import Any

from monitoring.controller.herald import Herald
from monitoring.controller.loop import Controller
from monitoring.controller.witness import Witness
from monitoring.metrics.collector import Metrics
from monitoring.notices.notice import Notice
from monitoring.notices.postman import OnOutcome, Outcome
from monitoring.readings.sources import EvidenceSource


class Pigeon:
    """In place of the postman: delivers at once, and keeps what it was given."""

    def __init__(self, on_outcome: OnOutcome) -> None:
        self._on_outcome = on_outcome
        self.told: list[Notice] = []

    def tell(self, webhooks: Any, notice: Notice) -> None:
        for url in {one.url for one in webhooks if notice.event in one.events}:
            self.told.append(notice)
            self._on_outcome(notice, url, Outcome.DELIVERED)

    def close(self, patience: float) -> None:
        """Nothing is under way."""


def make_controller(
    path: Path,
    source: EvidenceSource,
    *,
    clock: Callable[[], float] = real_time,
    monotonic: Callable[[], float] = real_monotonic,
    metrics: Metrics | None = None,
    postman: Callable[..., Any] = Pigeon,
    leads: Callable[[], bool] = lambda: True,
) -> Controller:
    """On this file and source."""
    metrics = metrics or Metrics("test", clock)
    witness = Witness(metrics, Herald(metrics, clock, postman))
    return Controller(path, source, witness, clock=clock, monotonic=monotonic, leads=leads)
