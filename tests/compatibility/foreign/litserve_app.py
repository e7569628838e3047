"""``litserve_app.py PORT chat|predict``: LitServe, with its OpenAI interface or plain."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import litserve
from fastapi import HTTPException

WORDS = ["A ", "gateway ", "stands ", "in ", "front ", "of ", "models."]


class Chat(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.version = os.environ["MODEL_VERSION"]

    def predict(self, prompt: Any) -> Iterator[str]:
        for word in WORDS:
            time.sleep(0.002)
            yield word


class Iris(litserve.LitAPI):
    def setup(self, device: str) -> None:
        import model

        self.answer = model.answer

    def decode_request(self, request):  # LitServe looks at a type, and knows few
        return request["instances"]

    def predict(self, rows: list[list[float]]) -> dict[str, Any]:
        try:
            return self.answer(rows)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Chat(spec=litserve.OpenAISpec()) if sys.argv[2] == "chat" else Iris()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False)
