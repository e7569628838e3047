"""A BentoML service."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import joblib


@bentoml.service(workers=1, traffic={"timeout": 30})
class Iris:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL_FILE"])

    @bentoml.api
    def predict(self, instances: list[list[float]]) -> dict[str, Any]:
        probabilities = self.model.predict_proba(instances)
        return {
            "predictions": [int(label) for label in self.model.predict(instances)],
            "probabilities": [float(max(row)) for row in probabilities],
        }
