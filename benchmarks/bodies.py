"""What is asked and answered: one prediction of about 200 bytes, and 290 of about 10 KB."""

from __future__ import annotations

import json
from typing import Final

SMALL_REQUEST: Final = 300  # bytes of body
LARGE_REQUEST: Final = 10 * 1024
SMALL_REPLY: Final = 190
LARGE_PREDICTIONS: Final = 290


def request_body(size: int) -> bytes:
    """JSON of exactly ``size`` bytes."""
    values: list[float] = []
    while len(_request(values, "")) + 8 < size:
        values.append(round(0.001 * (len(values) % 999), 3))
    return _request(values, "x" * (size - len(_request(values, ""))))


def reply_body(large: bool) -> bytes:
    """What a model server says. ``label`` and ``score`` repeat the first prediction for Envoy,
    whose JSON filter reads object keys only."""
    count = LARGE_PREDICTIONS if large else 1
    labels = ["benign" if i % 3 == 0 else "malignant" for i in range(count)]
    scores = [round(0.5 + (i * 37 % 500) / 1001, 16) for i in range(count)]
    answer = {
        "predictions": labels,
        "probabilities": scores,
        "model": {"name": "breast-cancer", "version": "1.4.2"},
        "label": labels[0],
        "score": scores[0],
    }
    body = json.dumps(answer).encode()
    if large:
        return body
    return body[:-1] + b', "note": "%b"}' % (b"x" * (SMALL_REPLY - len(body) - 12))


def http_request(path: str, body: bytes) -> bytes:
    """The whole message, as the fixed-rate load sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _request(values: list[float], padding: str) -> bytes:
    return json.dumps({"instances": [values], "note": padding}).encode()
