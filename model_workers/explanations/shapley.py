"""Trees, by SHAP (the extra ``shap``): S. Lundberg and others, From local explanations to global
understanding with explainable AI for trees, Nature Machine Intelligence 2 (2020).

The interventional form: what a feature contributes is measured against the rows of a background,
some that the trees learned from, so that base and contributions add up to the model's own score.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import shap

from ..contract.contract import Contract, Output
from ..predictors.preparation import Matrix
from ..predictors.scorer import Floats
from ..predictors.trees import Trees
from .explanation import Additive
from .scores import Question, by_feature, question


class ExplainedTrees:
    """One explainer for each score that was asked for: there are few."""

    def __init__(self, scorer: Trees, contract: Contract, output: Output) -> None:
        self._contract = contract
        self._output = output
        self._parts = scorer.parts()
        self._raw = Trees(**{**self._parts, "soft": False})
        self._explainers: dict[bytes, Any] = {}

    def explain(self, row: Matrix) -> Additive:
        """Of one row of a prepared matrix."""
        values = row.astype(np.float32)
        scores = self._raw.one(values.tolist())
        asked = question(self._output, scores, self._parts["soft"])
        explainer = self._explainer(asked)
        parts = explainer.shap_values(values[None, :], check_additivity=False)[0].tolist()
        return Additive(
            method="shap",
            prediction=asked.prediction,
            scale=asked.scale,
            base=float(np.ravel(explainer.expected_value)[0]),
            contributions=by_feature(self._contract, parts),
            score=float(asked.direction @ scores),
        )

    def _explainer(self, asked: Question) -> Any:
        key = asked.direction.tobytes()
        if key not in self._explainers:
            direction = asked.direction / self._parts["shared"]
            ensemble = {
                "trees": self._trees(direction),
                "base_offset": float(self._parts["start"] @ direction),
                "input_dtype": np.float32,
                "internal_dtype": np.float64,
                "objective": "squared_error",
                "tree_output": "raw_value",
            }
            self._explainers[key] = shap.TreeExplainer(
                ensemble, data=self._parts["background"], feature_perturbation="interventional"
            )
        return self._explainers[key]

    def _trees(self, direction: Any) -> list[dict[str, Any]]:
        """As SHAP takes them: each tree's children counted from its own first node."""
        parts = self._parts
        firsts = [*parts["roots"].tolist(), len(parts["columns"])]
        trees = []
        for first, end in pairwise(firsts):
            left, right = (
                np.where(parts[side][first:end] < 0, -1, parts[side][first:end] - first)
                for side in ("left", "right")
            )
            trees.append(
                {
                    "children_left": left,
                    "children_right": right,
                    "children_default": left,
                    "features": parts["columns"][first:end],
                    "thresholds": _below(parts["thresholds"][first:end]),
                    "values": (parts["values"][first:end] @ direction)[:, None],
                    "node_sample_weight": np.ones(end - first),
                }
            )
        return trees


def _below(thresholds: Floats) -> Floats:
    """The largest 32-bit floats that are not above: the same splits, as values are 32-bit floats.
    SHAP rounds thresholds to the nearest one, which sends values beside it the other way.
    """
    nearest = thresholds.astype(np.float32)
    below = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return below.astype(np.float64)
