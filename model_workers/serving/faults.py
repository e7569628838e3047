"""What shall go wrong with which request: a plan, for demonstrations and tests.

A plan is written as one line of text (or the same keys as a JSON object):

    errors=0.3,latency=50ms,constant=setosa,hang=0.1,after=200

    errors    share of requests answered 500
    hang      share of requests never answered; the worker waits until the client goes away
    cut       share of answers broken off in the middle
    garbage   share answered 200 with a body that is not JSON
    crash     share where the model itself raises
    stuck     share where the model itself hangs, until the worker gives it up
    latency   time added to every request: 50ms, 1.5s
    pace      time between two tokens of a reply, of a worker that chats
    constant  every prediction is this label, known to the model or not
    after     number of requests that are spared first
    seed      another seed strikes other requests

A request meets at most one of these shares, so their sum is at most 1. Everything
here is pure: the application does the sleeping and the breaking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from random import Random


class BadFaults(ValueError):
    """The plan is not understood; the message is one sentence."""


class Strike(StrEnum):
    """The one thing that goes wrong with a request; the words are the plan's own keys."""

    ERROR = "errors"
    HANG = "hang"
    CUT = "cut"
    GARBAGE = "garbage"
    CRASH = "crash"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request, all of it: first the delay, then the strike."""

    delay_s: float = 0.0
    strike: Strike | None = None
    constant: str | None = None
    pace_s: float = 0.0


NO_FAULT = Fault()


@dataclass(frozen=True, slots=True)
class Faults:
    """A plan; the fields are the keys of the text. ``latency`` and ``pace`` are in seconds."""

    errors: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    garbage: float = 0.0
    crash: float = 0.0
    stuck: float = 0.0
    latency: float = 0.0
    pace: float = 0.0
    constant: str | None = None
    after: int = 0
    seed: int = 0

    def at(self, number: int) -> Fault:
        """What happens to request ``number`` (the first is 0); always the same for the same
        plan.
        """
        if self == NO_FAULTS or number < self.after:
            return NO_FAULT
        return Fault(self.latency, self._strike(number), self.constant, self.pace)

    def _strike(self, number: int) -> Strike | None:
        # A generator of its own for each request: concurrent requests may be numbered in any order
        # without moving the others' fate.
        drawn = Random(f"{self.seed}:{number}").random()
        for strike in Strike:
            drawn -= getattr(self, strike)
            if drawn < 0:
                return strike
        return None

    def __str__(self) -> str:
        """The text that :func:`parse` reads back as this plan; empty when nothing goes wrong."""
        unit = dict.fromkeys(_TIMES, "s")
        return ",".join(
            f"{key}={value}{unit.get(key, '')}"
            for key, value in asdict(self).items()
            if value != getattr(NO_FAULTS, key)
        )


NO_FAULTS = Faults()
_TIMES = ("latency", "pace")
_KEYS = tuple(field.name for field in fields(Faults))
_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"


def parse(text: str) -> Faults:
    """The plan that a line of text means; empty text means no faults."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadFaults(f"{part!r} is no fault; write it as key=value, for example errors=0.3")
        pairs.append((key.strip(), value.strip()))
    return _collect(pairs)


def from_mapping(found: Mapping[str, object]) -> Faults:
    """The plan that a JSON object means: the same keys and values as in text, except that a bare
    number is a time in seconds.
    """
    pairs = []
    for key, value in found.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise BadFaults(f"{key} is {value!r}; write a number or a text")
        unit = "s" if key in _TIMES and not isinstance(value, str) else ""
        if value is not None:
            pairs.append((key, f"{value}{unit}"))
    return _collect(pairs)


def _collect(pairs: Iterable[tuple[str, str]]) -> Faults:
    values: dict[str, float | int | str] = {}
    for key, value in pairs:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise BadFaults(f"there is no fault {key!r}; {hint}")
        if key in values:
            raise BadFaults(f"{key} stands there twice; keep one of them")
        values[key] = _value(key, value)
    plan = Faults(**values)  # type: ignore[arg-type]  # _value gives each key its own type
    struck = sum(getattr(plan, strike) for strike in Strike)
    if struck > 1 + 1e-9:
        raise BadFaults(
            f"{', '.join(Strike)} add up to {struck:g}; a request meets at most one of them: keep "
            "the sum at 1 or below"
        )
    return plan


def _value(key: str, text: str) -> float | int | str:
    if key == "constant":
        if not text or "," in text:
            raise BadFaults(f"constant is {text!r}; write one label, without a comma")
        return text
    if key in ("after", "seed"):
        if not re.fullmatch(r"\d{1,9}", text):
            raise BadFaults(f"{key} is {text!r}; write a whole number, for example {key}=200")
        return int(text)
    if key in _TIMES:
        found = re.fullmatch(rf"({_NUMBER})(ms|s)", text)
        if not found:
            raise BadFaults(f"{key} is {text!r}; write a number and a unit: 50ms or 1.5s")
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
        if seconds > 3600:
            raise BadFaults(f"{key} is {text!r}; write at most 3600s, or use hang")
        return seconds
    if not re.fullmatch(_NUMBER, text) or float(text) > 1:
        raise BadFaults(f"{key} is {text!r}; write a share from 0 to 1, for example {key}=0.3")
    return float(text)
