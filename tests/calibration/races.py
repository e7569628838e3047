"""Runs rules over traffic, many runs at once, until each has said "failed" or the traffic ends."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tests.calibration.streams import Block, Flags, Ints, Scene, blocks

NEVER = -1


class Rule(Protocol):
    """Something that looks at requests and may say "failed"."""

    def see(self, block: Block) -> Flags:
        """After which requests of the block it says so, ``(T, R)``."""

    def keep(self, stay: Flags) -> None:
        """Only these runs go on."""


def race(scene: Scene, rules: list[Rule], refresh: int, change: int = 0) -> Ints:
    """How many requests each rule needed, ``(rules, runs)``; :data:`NEVER` if it said nothing.
    No block reaches across ``change``.
    """
    when = np.full((len(rules), scene.runs), NEVER)
    alive = np.arange(scene.runs)
    edges = scene.traffic.edges() | {change}
    for start, stop in blocks(scene.requests, refresh, edges):
        block = scene.block(start, stop, alive)
        for number, rule in enumerate(rules):
            said = rule.see(block)
            now = said.any(0) & (when[number, alive] == NEVER)
            when[number, alive[now]] = start + said.argmax(0)[now] + 1
        stay = (when[:, alive] == NEVER).any(0)
        if not stay.any():
            break
        if not stay.all():
            alive = alive[stay]
            for rule in rules:
                rule.keep(stay)
    return when
