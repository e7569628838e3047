"""Server-sent events of MLServer: ``infer_stream`` and ``generate_stream``, read as they come."""

from __future__ import annotations

import json
from typing import Any

import httpx
from told import Told, run

ASKED = {"inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["say"]}]}


def events(told: Told) -> None:
    client = httpx.Client(timeout=60)
    seen: dict[str, Any] = {}

    def words(url: str, path: str) -> list[str]:
        target = f"{url}/v2/models/{told.model}/{path}"
        with client.stream("POST", target, json=ASKED) as answer:
            answer.raise_for_status()
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
            seen["fields"] = answer.headers
            lines = [line for line in answer.iter_lines() if line.startswith("data:")]
        return [json.loads(line[5:])["outputs"][0]["data"][0] for line in lines]

    def left(url: str) -> bool:
        target = f"{url}/v2/models/{told.model}/infer_stream"
        with client.stream("POST", target, json=ASKED) as answer:
            next(answer.iter_lines())
        return True

    def ask(url: str, number: int) -> Any:
        assert words(url, "infer_stream") == ["one", "after", "the", "other"]
        return seen["fields"]

    told.same("infer_stream", lambda url: words(url, "infer_stream"))
    told.same("generate_stream", lambda url: words(url, "generate_stream"))
    told.same("leaving mid-stream", left)
    told.load("infer_stream", ask)


if __name__ == "__main__":
    run(events=events)
