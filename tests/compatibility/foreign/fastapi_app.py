"""A model behind FastAPI as people write one by hand, with compressed answers."""

from __future__ import annotations

import model
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from pydantic import BaseModel


class Body(BaseModel):
    instances: list[list[float]]


app = FastAPI()
app.add_middleware(GZipMiddleware, minimum_size=200)


@app.post("/predict")
def predict(body: Body):
    return model.answer(body.instances)


@app.api_route("/ready", methods=["GET", "HEAD"])
def ready():
    return {"ready": True}
