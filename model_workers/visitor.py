"""Somebody who asks for predictions of rows whose right answers are known."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .contract.contract import Contract, Quantity
from .contract.feature import Value
from .models.model import Data

PATIENCE_S = 30.0
_BROKEN = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)


class BadAddress(Exception):
    """The message says what is wrong with it."""


class Visit(NamedTuple):
    """One request that was answered: its id, who answered, and the right answers."""

    request_id: str
    version: str
    right: Sequence[Value]


class Visitor:
    """Asks for one row at a time, drawn by a seed, on a connection that it keeps. ``failed`` counts
    requests that got no prediction.
    """

    def __init__(self, url: str, contract: Contract, data: Data, seed: int) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or port == 0:
            raise BadAddress(f"{url!r} is no address; write http://host:port/path")
        self._line = http.client.HTTPConnection(parts.hostname, port or 80, timeout=PATIENCE_S)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._contract, self._data = contract, data
        self._draw = random.Random(seed)
        self.failed = 0
        self._answers: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._errors: dict[str, list[float]] = {}

    def ask(self) -> Visit | None:
        """One request; None if it failed."""
        at = self._draw.randrange(len(self._data.rows))
        body = json.dumps({"instances": [self._data.rows[at]]})
        fields = {"Content-Type": "application/json"}
        try:
            self._line.request("POST", self._path, body, fields)
            answer = self._line.getresponse()
            content = answer.read()
            if answer.status != 200:
                self.failed += 1
                return None
            document = json.loads(content)
            version = answer.getheader("X-Model-Version") or str(document["model_version"])
            right = [column[at] for column in self._data.answers]
            self._note(version, document["predictions"], right)
        except _BROKEN:
            self._line.close()
            self.failed += 1
            return None
        return Visit(answer.getheader("X-Request-Id") or "", version, right)

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def seen(self) -> dict[str, dict[str, float]]:
        """By version how many it ``answered``, and ``right`` (a share of these: all outputs of a
        row) or ``mean_absolute_error``.
        """
        found: dict[str, dict[str, float]] = {}
        for version, number in sorted(self._answers.items()):
            found[version] = {"answered": number}
            if version in self._errors:
                found[version]["mean_absolute_error"] = fmean(self._errors[version])
            else:
                found[version]["right"] = self._right[version] / number
        return found

    def _note(self, version: str, predictions: Any, right: Sequence[Value]) -> None:
        outputs = self._contract.outputs
        by_name = predictions if isinstance(predictions, dict) else {outputs[0].name: predictions}
        said = [by_name[output.name][0] for output in outputs]
        if isinstance(outputs[0], Quantity):
            self._errors.setdefault(version, []).append(abs(float(said[0]) - float(right[0])))
        self._answers[version] += 1
        self._right[version] += said == list(right)
