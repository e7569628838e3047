"""The model as Triton's Python backend has it."""

from __future__ import annotations

import os

import joblib
import numpy as np
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        self.model = joblib.load(os.environ["MODEL_FILE"])

    def execute(self, requests):
        answers = []
        for request in requests:
            rows = backend.get_input_tensor_by_name(request, "input-0").as_numpy()
            labels = self.model.predict(rows).astype(np.int64).reshape(-1, 1)
            answers.append(backend.InferenceResponse([backend.Tensor("predict", labels)]))
        return answers
