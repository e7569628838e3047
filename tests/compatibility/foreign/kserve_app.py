"""KServe's Python model server: protocol v1 and v2 with one model."""

from __future__ import annotations

import argparse
import os
from typing import Any

import joblib
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server


class Iris(Model):
    def load(self) -> bool:
        self.model = joblib.load(os.environ["MODEL_FILE"])
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        if not isinstance(payload, InferRequest):
            return {"predictions": self.model.predict(payload["instances"]).tolist()}
        labels = self.model.predict(payload.inputs[0].as_numpy()).astype(np.int64)
        output = InferOutput("predict", list(labels.shape), "INT64")
        output.set_data_from_numpy(labels, binary_data=bool(payload.use_binary_outputs))
        return InferResponse(payload.id or "none", self.name, [output])


if __name__ == "__main__":
    options = argparse.ArgumentParser(parents=[model_server.parser]).parse_args()
    iris = Iris("iris")
    iris.load()
    ModelServer(http_port=options.http_port, enable_grpc=False, workers=1).start([iris])
