"""Which rule answered."""

from __future__ import annotations

from ..contract.contract import Row
from ..predictors.rules import RulesPredictor
from .explanation import Explanation, Fired


class ExplainedRules:
    """Exact: the rule is the answer."""

    def __init__(self, predictor: RulesPredictor) -> None:
        self._predictor = predictor
        self._names = predictor.contract.names

    def explain(self, row: Row) -> list[Explanation]:
        return [
            Fired(
                prediction=rule.label,
                number=rules.index(rule) + 1,
                condition=rule.when,
                values={name: row[self._names.index(name)] for name in rule.features},
                share=rule.share,
            )
            for rule, rules in zip(self._predictor.fired(row), self._predictor.rules, strict=True)
        ]
