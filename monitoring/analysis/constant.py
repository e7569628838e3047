"""How long a candidate has given the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.readings import dumped


@dataclass(frozen=True, slots=True)
class Constant:
    """How many predictions in a row were alike, and which one it was."""

    label: str = ""
    number: int = 0

    def after(self, labels: Mapping[str, int]) -> Constant:
        """What a window leaves of it."""
        if not labels:
            return self
        if len(labels) > 1:
            return Constant()
        ((label, number),) = labels.items()
        return Constant(label, number + (self.number if label == self.label else 0))

    def dumped(self) -> dict[str, Any]:
        """As JSON."""
        return {"label": self.label, "number": self.number}

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Constant:
        """The opposite of :meth:`dumped`."""
        return cls(dumped.text(document["label"]), dumped.whole(document["number"]))
