"""What sagemaker-inference puts around a model, its decoders and encoders, behind Flask: the model
server it comes with is in Java.
"""

from __future__ import annotations

import json

import model
from flask import Flask, Response, request
from sagemaker_inference import content_types, decoder, encoder

app = Flask(__name__)


@app.post("/invocations")
def invocations():
    sent = request.headers.get("Content-Type", content_types.JSON)
    if sent == content_types.JSON:
        rows = json.loads(request.data)["instances"]
        return Response(encoder.encode(model.answer(rows), content_types.JSON), mimetype=sent)
    rows = decoder.decode(request.data, sent)
    return Response(encoder.encode(model.answer(rows)["predictions"], sent), mimetype=sent)


@app.get("/ping")
def ping():
    return Response("", 200)
