"""The labels that are told by name, of all that models answer."""

from __future__ import annotations

from gateway.counting.counts import LEARNED_LABELS, LEARNED_SERIES, OTHER_LABEL
from gateway.routing.table import RoutingTable


class Vocabulary:
    """The labels that are told by name. Each process learns its own from traffic; together they
    are capped as those of one are, and what was told once is always told.

    A label that one version has given is told of all versions of its route, so there is a cap for
    the route as well: else the series would grow with the square of the versions.
    """

    def __init__(self) -> None:
        self._declared: set[tuple[str, str]] = set()  # route, label
        self._learned: dict[tuple[str, ...], set[str]] = {}  # by version and role
        self._told: dict[str, set[str]] = {}  # those of all versions, by route
        self._room: dict[str, int] = {}  # how many those may be, by route

    def declare(self, table: RoutingTable) -> None:
        """Labels of the file are always told."""
        for route in table.config.routes:
            self._room[route.name] = LEARNED_SERIES // len(route.versions)
            for label in route.prediction.labels if route.prediction else ():
                self._declared.add((route.name, label))

    def spoken(self, key: tuple[str, ...], label: str) -> str:
        """What a label of this version is told as."""
        learned = self._learned.setdefault(key, set())
        if label in learned or label == OTHER_LABEL or (key[0], label) in self._declared:
            return label
        told = self._told.setdefault(key[0], set())
        fits = label in told or len(told) < self._room.get(key[0], LEARNED_LABELS)
        if fits and len(learned) < LEARNED_LABELS:
            learned.add(label)
            told.add(label)
            return label
        return OTHER_LABEL
