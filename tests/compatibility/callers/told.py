"""What every caller shares: where it calls, what it asked, and who answered.

A caller is a program that runs in an environment of its own, with a client library as its users
have it. The same question is asked of the server itself first: what that cannot do, nobody in front
of it can. The last line on stdout is what the caller has to tell, as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

ROW = [5.1, 3.5, 1.4, 0.2]  # a setosa: class 0 to every model here
OTHER = [6.7, 3.0, 5.2, 2.3]  # a virginica: class 2


class Told:
    """One run of one caller."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("caller")
        parser.add_argument("--gateway", required=True)
        parser.add_argument("--direct", required=True, help="the stable server itself")
        parser.add_argument("--count", type=int, default=200)
        parser.add_argument("--model", default="iris")
        parser.add_argument("--stable", default="v1", help="its name")
        parser.add_argument("--candidate", default="v2", help="its name")
        options = parser.parse_args()
        self.caller: str = options.caller
        self.gateway: str = options.gateway
        self.direct: str = options.direct
        self.count: int = options.count
        self.model: str = options.model
        self.stable: str = options.stable
        self.candidate: str = options.candidate
        self.asked: list[str] = []
        self.beyond: list[str] = []  # that the server itself cannot
        self.refusals: dict[str, str] = {}  # its word to each of those
        self.broken: list[str] = []
        self.due = 0  # answers in which a prediction stands
        self.hopeless = ""  # what the server itself said, where it refuses this client
        self.versions: Counter[str] = Counter()

    def same(self, what: str, ask: Callable[[str], object]) -> None:
        """The gateway has to give what the server gives."""
        try:
            expected = ask(self.direct)
        except Exception as error:
            print(f"{what}: the server itself: {error!r}", file=sys.stderr)
            self.beyond.append(what)
            self.refusals[what] = f"{error!s:.200}"
            return
        self.holds(what, lambda url: _agree(ask(url), expected))

    async def same_async(self, what: str, ask: Callable[[str], Awaitable[object]]) -> None:
        """:meth:`same` for who has to be awaited."""
        answers: dict[str, object] = {}
        for url in (self.direct, self.gateway):
            try:
                answers[url] = await ask(url)
            except Exception as error:
                answers[url] = error
                break

        def given(url: str) -> object:
            answer = answers[url]
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.same(what, given)

    def able(self, *kinds: str) -> list[str]:
        """Those that the server itself took; none at all ends a visit with that word."""
        able = [kind for kind in kinds if kind not in self.beyond]
        self.hopeless = "" if able else self.refusals[kinds[0]]
        return able

    def holds(self, what: str, ask: Callable[[str], object]) -> None:
        """Something that only the gateway does; ``ask`` raises if it does not."""
        try:
            ask(self.gateway)
        except Exception as error:
            print(f"{what}: {error!r}", file=sys.stderr)
            self.broken.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
            return
        self.asked.append(what)

    def load(self, what: str, ask: Callable[[str, int], Mapping[str, Any] | None]) -> None:
        """So many requests, one after the other; ``ask`` gives the fields of the answer."""

        def all_of_them(url: str) -> None:
            for number in range(self.count):
                self.saw(ask(url, number))

        self.due += self.count
        self.holds(f"{self.count} x {what}", all_of_them)

    async def load_async(
        self, what: str, ask: Callable[[str, int], Awaitable[Mapping[str, Any] | None]]
    ) -> None:
        self.due += self.count
        try:
            for number in range(self.count):
                self.saw(await ask(self.gateway, number))
        except Exception as error:
            self.broken.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        else:
            self.asked.append(f"{self.count} x {what}")

    def saw(self, fields: Mapping[str, Any] | None) -> None:
        """Who answered, where the client shows fields."""
        if fields is not None:
            lower = {name.lower(): value for name, value in fields.items()}
            self.versions[lower["x-model-version"]] += 1

    def end(self) -> None:
        told = {"asked": self.asked, "beyond": self.beyond, "broken": self.broken}
        told |= {"hopeless": self.hopeless, "due": self.due}
        print(json.dumps(told | {"versions": self.versions}))


def _agree(got: object, expected: object) -> None:
    assert got == expected, f"{got!r} and not {expected!r}, as without the gateway"


def row(number: int) -> list[float]:
    return OTHER if number % 3 == 0 else ROW


def label(number: int) -> int:
    return 2 if number % 3 == 0 else 0


def classes(values: Iterable[Any]) -> list[int]:
    """Predictions as numbers, whether the server says 2, 2.0 or virginica."""
    names = {"setosa": 0, "versicolor": 1, "virginica": 2}
    texts = [value.decode() if isinstance(value, bytes) else value for value in values]
    return [names[text] if text in names else int(text) for text in texts]


def run(**callers: Callable[[Told], object]) -> None:
    """The caller that the command line names."""
    told = Told()
    callers[told.caller](told)
    told.end()
