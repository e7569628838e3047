"""A light load of real rows, and what its client saw: who answered, how often rightly."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import httpx2

# Most come once or twice while it runs: where users stick, each of them is evidence once.
USERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows with their right labels."""

    rows: list[list[float]]
    labels: list[str]


def samples_of(model: str) -> Samples:
    """The rows a model knows, from the workers' own command: nothing here needs scikit-learn."""
    command = [sys.executable, "-m", "model_workers", "samples", "--model", model]
    document: dict[str, Any] = json.loads(subprocess.check_output(command))
    return Samples(document["rows"], document["labels"])


class Seen:
    """What the client got, by the version that answered."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.failed = 0

    def note(self, answer: httpx2.Response, label: str) -> None:
        """Count one answer."""
        if answer.status_code != 200:
            self.failed += 1
            return
        version = answer.headers["x-model-version"]
        self.answers[version] += 1
        self.right[version] += answer.json()["predictions"] == [label]

    def __str__(self) -> str:
        parts = [
            f"{version} answered {n:,} ({100 * self.right[version] / n:.1f} % right)"
            for version, n in sorted(self.answers.items())
        ]
        return f"{', '.join(parts) or 'no answer yet'}, {self.failed} failed"


class Load(threading.Thread):
    """Asks for one prediction every so often until stopped; users and rows by a seeded draw."""

    def __init__(self, url: str, samples: Samples, per_second: float) -> None:
        super().__init__(daemon=True)
        self.seen = Seen()
        self._url = url
        self._samples = samples
        self._gap = 1 / per_second
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End after the request under way."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Ask, count, wait."""
        draw = random.Random(0)
        due = time.monotonic()
        with httpx2.Client(trust_env=False, timeout=10) as client:
            while not self._stopped.is_set():
                index = draw.randrange(len(self._samples.rows))
                user = {"X-User-Id": f"user-{draw.randrange(USERS)}"}
                body = {"instances": [self._samples.rows[index]]}
                try:
                    answer = client.post(self._url, json=body, headers=user)
                except httpx2.HTTPError:
                    self.seen.failed += 1
                else:
                    self.seen.note(answer, self._samples.labels[index])
                due += self._gap
                self._stopped.wait(max(0.0, due - time.monotonic()))
