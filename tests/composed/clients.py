"""Traffic, and all that its clients saw of it: what every count of a dashboard is held against."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import count
from typing import NamedTuple
from urllib.request import Request, urlopen

from tests.composed.harness import PATIENCE, ROOT, Composed

# Real rows. Of the last one of each the third version thinks otherwise than the others.
ROWS: dict[str, list[list[float]]] = json.loads((ROOT / "tests/data/rows.json").read_text())
FORCED = "v3"  # the version without a weight, for who names it


class Answer(NamedTuple):
    """One answer as its client saw it. ``asked`` is the version that the request named."""

    route: str
    asked: str
    version: str
    assignment: str
    status: int
    label: str | None  # None: there was no prediction to be read
    score: float | None
    longest: float  # seconds until the next answer on its connection: the gateway was done with it
    least: float  # seconds that the worker is known to have waited before it answered


class Load(threading.Thread):
    """Asks both routes in turn until told to stop; some requests are of users, who stick, and a few
    name their version.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self.refused: Counter[str] = Counter()  # by the reason that the gateway gave
        self._began = 0.0  # when the last request was sent
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._ended = threading.Event()

    @property
    def seen(self) -> Counter[tuple[str, str, str]]:
        """By route, version and assignment."""
        return Counter((one.route, one.version, one.assignment) for one in self.answers)

    @property
    def statuses(self) -> Counter[int]:
        """Of those who left it to the gateway who answers: the others get what they asked for."""
        return Counter(one.status for one in self.answers if not one.asked)

    def run(self) -> None:
        for number in count():
            if self._ended.wait(0.002):
                return
            for route in ROWS:
                if number % 20 == 0:
                    self.ask(route, number, FORCED)
                elif number % 5 == 0:
                    self.ask(route, number, user=f"user-{number}")
                else:
                    self.ask(route, number)

    def ask(
        self, route: str, number: int, version: str = "", *, user: str = "", least: float = 0.0
    ) -> None:
        """Send one row; ``number`` chooses it."""
        headers = {"X-Model-Version": version} if version else {}
        headers |= {"X-User-Id": user} if user else {}
        rows = ROWS[route]
        body = json.dumps({"instances": [rows[number % len(rows)]]})
        began = time.monotonic()
        self._connection.request("POST", f"/predict/{route}", body, headers)
        answer = self._connection.getresponse()
        given = answer.read()
        self._settle()
        self._began = began
        label, score = _read(given)
        who, how = answer.headers["X-Model-Version"], answer.headers["X-Assignment"]
        self.answers.append(
            Answer(route, version, who, how, answer.status, label, score, math.inf, least)
        )

    def ask_nobody(self) -> None:
        """Ask where no route leads."""
        self._connection.request("POST", "/nowhere", "{}")
        self.refused[json.loads(self._connection.getresponse().read())["reason"]] += 1
        self._settle()

    def _settle(self) -> None:
        """A client can have its answer before the gateway has looked at the clock, if somebody else
        wants the processor. It has looked before it answers the next request of the connection.
        """
        if self.answers and self.answers[-1].longest == math.inf:
            longest = time.monotonic() - self._began
            self.answers[-1] = self.answers[-1]._replace(longest=longest)

    def end(self) -> None:
        """No more by itself; it can still be told to ask."""
        self._ended.set()
        self.join(PATIENCE)

    def close(self) -> None:
        self._connection.close()


def _read(body: bytes) -> tuple[str | None, float | None]:
    try:
        document = json.loads(body)
    except ValueError:
        return None, None
    if "error" in document:
        return None, None
    return document["predictions"][0], document["probabilities"][0]


@contextmanager
def fault(composed: Composed, worker: str, plan: str) -> Iterator[None]:
    """What goes wrong with the answers of a worker."""
    url = composed.url(worker, 8100, "/faults")
    for text in (plan, ""):
        urlopen(Request(url, text.encode(), method="PUT"), timeout=PATIENCE).close()
        if text:
            yield


def rare(composed: Composed, load: Load) -> None:
    """What hardly happens by itself, told by the third version of iris, which nobody judges: few
    slow answers and fewer very slow ones, unreadable ones, and such as break off.
    """
    worker = f"iris-{FORCED}"
    quick = sum(one.route == "iris" and one.version == FORCED for one in load.answers)
    for each in range(quick, 40):
        load.ask("iris", each, FORCED)
    quick = max(quick, 40)
    # So many that p50, p95 and p99 each lie somewhere else.
    for plan, least, number in (
        ("latency=30ms", 0.03, 3 + quick // 12),
        ("latency=120ms", 0.12, 1 + quick // 50),
        ("garbage=1", 0.0, 3),
        ("cut=1", 0.0, 2),
    ):
        with fault(composed, worker, plan):
            for each in range(number):
                load.ask("iris", each, FORCED, least=least)
    load.ask_nobody()
