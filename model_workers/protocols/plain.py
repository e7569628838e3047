"""The answer to ``POST /predict``."""

from __future__ import annotations

from typing import Any

from ..contract.contract import Contract
from ..predictors.predictor import Answer
from ..revision import code_version


def encode(contract: Contract, version: str, answer: Answer) -> dict[str, Any]:
    """With one output arrays, with several a mapping of arrays by the outputs' names; an output
    that is a number has no probabilities.
    """
    said: dict[str, Any] = {
        "model": contract.model,
        "model_version": version,
        "code_version": code_version(),
    }
    if len(contract.outputs) == 1:
        said["predictions"] = answer.predictions[0]
        if answer.probabilities[0] is not None:
            said["probabilities"] = answer.probabilities[0]
        return said
    names = [output.name for output in contract.outputs]
    said["predictions"] = dict(zip(names, answer.predictions, strict=True))
    said["probabilities"] = {
        name: values
        for name, values in zip(names, answer.probabilities, strict=True)
        if values is not None
    }
    return said
