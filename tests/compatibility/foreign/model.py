"""What the hand-written servers share: the model of the environment variables, and its answer."""

from __future__ import annotations

import os
from typing import Any

import joblib

VERSION = os.environ["MODEL_VERSION"]
_model = joblib.load(os.environ["MODEL_FILE"])


def answer(rows: list[list[float]]) -> dict[str, Any]:
    """Raises ValueError for what is no row of four numbers."""
    probabilities = _model.predict_proba(rows)
    return {
        "model_version": VERSION,
        "predictions": [int(label) for label in _model.predict(rows)],
        "probabilities": [float(max(row)) for row in probabilities],
    }
