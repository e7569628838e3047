"""``ray_app.py PORT``: a Ray Serve deployment on a local Ray of its own."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from typing import Any

import joblib
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.1})
class Iris:
    def __init__(self, file: str) -> None:
        self.model = joblib.load(file)

    async def __call__(self, request: Request) -> Any:
        if request.url.path == "/ready":
            return {"ready": True}
        rows = (await request.json())["instances"]
        if not all(isinstance(row, list) for row in rows):
            return JSONResponse({"error": "a row is a list of four numbers"}, 422)
        return {
            "predictions": [int(label) for label in self.model.predict(rows)],
            "probabilities": [float(max(row)) for row in self.model.predict_proba(rows)],
        }


def serve_until_told(port: int, folder: str) -> None:
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=100_000_000,
        configure_logging=False,
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Iris.bind(os.environ["MODEL_FILE"]), route_prefix="/")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Its Unix sockets lie there, and the path of one is short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        serve_until_told(int(sys.argv[1]), folder)
