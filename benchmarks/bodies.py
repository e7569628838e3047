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


def reply_body(size: int | None) -> bytes:
    """What a model server says: one prediction in ``size`` bytes; None: 290 in about 10 KB.

    ``label`` and ``score`` repeat the first prediction for Envoy, whose JSON filter reads object
    keys only.
    """
    count = LARGE_PREDICTIONS if size is None else 1
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
    if size is None:
        return body
    return body[:-1] + b', "note": "%b"}' % (b"x" * (size - len(body) - 12))


def _request(values: list[float], padding: str) -> bytes:
    return json.dumps({"instances": [values], "note": padding}).encode()
