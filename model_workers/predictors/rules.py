"""Rules that people wrote: the first that holds answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..contract.contract import Contract, Row
from .predictor import Answer

_ALWAYS = "otherwise"


@dataclass(frozen=True, slots=True)
class Rule:
    """``holds`` of a row: then the answer is ``label``, rightly so in a ``share`` of the cases
    known when the rule was written. ``when`` says it in words; ``features`` are those it looks at.
    """

    label: str
    share: float
    when: str
    features: tuple[str, ...]
    holds: Callable[[Row], bool]


def below(contract: Contract, feature: str, limit: float, label: str, share: float) -> Rule:
    """A number is below a limit."""
    place = contract.names.index(feature)
    return Rule(
        label, share, f"{feature} < {limit:g}", (feature,), lambda row: float(row[place]) < limit
    )


def says(contract: Contract, feature: str, pattern: str, label: str, share: float) -> Rule:
    """A text has a place that matches a regular expression, in any case."""
    place = contract.names.index(feature)
    find = re.compile(pattern, re.IGNORECASE).search
    return Rule(
        label,
        share,
        f"{feature} matches /{pattern}/",
        (feature,),
        lambda row: find(str(row[place])) is not None,
    )


def otherwise(label: str, share: float) -> Rule:
    """What is answered when no other rule holds: the last of each output."""
    return Rule(label, share, _ALWAYS, (), lambda row: True)


class RulesPredictor:
    """For each output of the contract rules in their order, the last of which always holds."""

    def __init__(self, contract: Contract, rules: Sequence[Sequence[Rule]]) -> None:
        if len(rules) != len(contract.outputs) or any(one[-1].when != _ALWAYS for one in rules):
            raise ValueError("each output needs rules, the last of them without a condition")
        self.contract = contract
        self.rules = tuple(map(tuple, rules))

    def predict(self, rows: Sequence[Row]) -> Answer:
        """The label of the first rule that holds, and how often that rule was right."""
        fired = [self.fired(row) for row in rows]
        outputs = range(len(self.rules))
        return Answer(
            tuple([rules[i].label for rules in fired] for i in outputs),
            tuple([rules[i].share for rules in fired] for i in outputs),
        )

    def fired(self, row: Row) -> tuple[Rule, ...]:
        """The rule that answers this row, for each output."""
        return tuple(next(rule for rule in rules if rule.holds(row)) for rules in self.rules)
