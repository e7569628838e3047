"""A model behind Flask, plain and as a SageMaker container has it: /invocations and /ping."""

from __future__ import annotations

import model
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/predict")
@app.post("/invocations")
def predict():
    try:
        return jsonify(model.answer(request.get_json(force=True)["instances"]))
    except (KeyError, ValueError) as error:
        return jsonify({"error": str(error)}), 422


@app.get("/ready")
@app.get("/ping")
def ready():
    return jsonify({"ready": True})
