"""What a model promises, whoever keeps the promise: a rule, a trained model or a dummy."""

from __future__ import annotations

from dataclasses import dataclass

from .feature import Feature, Value

Row = tuple[Value, ...]
"""One instance: a value for each feature, in the contract's order, the missing ones filled in."""

MAX_INSTANCES = 200


@dataclass(frozen=True, slots=True)
class Classes:
    """An output that is one of ``labels``, with the probability of the one that is answered."""

    name: str
    labels: tuple[str, ...]

    def problem(self) -> str | None:
        """Why nobody could keep it; None if all is well. The same for a quantity."""
        if not self.labels or len(set(self.labels)) < len(self.labels):
            return "give it labels, each once"
        return None


@dataclass(frozen=True, slots=True)
class Quantity:
    """An output that is a number, in ``unit``; it has no probability."""

    name: str
    unit: str = ""

    def problem(self) -> str | None:
        return None


Output = Classes | Quantity


@dataclass(frozen=True, slots=True)
class Contract:
    """``model`` is the name that clients use. With one output an answer has one array of
    predictions; with several it has one for each, by name.
    """

    model: str
    description: str
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for a contract that nobody could keep."""
        for kind, parts in (("feature", self.features), ("output", self.outputs)):
            names = [part.name for part in parts]
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{self.model}: give it a {kind}, and each a name of its own")
        known = {output.name for output in self.outputs}
        for name in known:
            if f"{name}_probabilities" in known:  # what its tensor of probabilities is called
                raise ValueError(f"{self.model}: {name}_probabilities is that of {name}; rename it")
        for part in (*self.features, *self.outputs):
            problem = part.problem()
            if problem:
                raise ValueError(f"{self.model}: {part.name}: {problem}")

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in their order."""
        return tuple(feature.name for feature in self.features)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first output; none if it is a quantity."""
        first = self.outputs[0]
        return first.labels if isinstance(first, Classes) else ()
