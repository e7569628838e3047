"""How many windows a second the statistics take in, on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from monitoring.analysis import errors, latency
from monitoring.analysis.betting import Array, Bets, increments
from monitoring.analysis.mixture import Mixture

WINDOWS: Final = 20_000
_SHARE: Final = 0.05


def _pace(work: Callable[[], object], number: int) -> str:
    began = time.process_time()
    for _ in range(number):
        work()
    return f"{number / (time.process_time() - began):,.0f}"


def _row(name: str, bank: Callable[[], Bets], log_prior: Array, window: Array) -> str:
    bets, mixture = bank(), Mixture.begun(log_prior)
    stable = window * 19

    def update() -> None:
        nonlocal mixture
        mixture = mixture.grown(log_prior, increments(bets, window, stable), 10)

    shape = f"{bets.candidate.shape[0]} suspicions, {len(window)} outcomes"
    return f"| {name} | {shape} | {_pace(update, WINDOWS)} | {_pace(bank, WINDOWS // 100)} |"


def table() -> str:
    """Markdown; CPU time, so that it matters little what else the machine does."""
    bad = np.array([9.0, 1.0])
    slow = np.bincount(np.arange(20, 60), minlength=74).astype(float)
    rows = [
        _row(
            "errors", lambda: errors.Errors(0.001).bets(1000 * bad, _SHARE), errors.LOG_PRIOR, bad
        ),
        _row(
            "latency",
            lambda: latency.Latency(0.01).bets(1000 * slow, slow, _SHARE),
            latency.LOG_PRIOR,
            slow,
        ),
    ]
    head = "| signal | of | windows a second | new bets a second |\n| --- | --- | --- | --- |"
    return "\n".join(["### pace, one core", "", head, *rows, ""])
