"""Why instances are refused: each wrong thing with its place and a sentence. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from .feature import Choice, Feature, Number

Place = tuple[str | int, ...]
_SHOWN = 40  # characters of a wrong value
_LISTED = 12  # values of a choice


class Problem(NamedTuple):
    """One wrong thing: where it stands, a sentence, and pydantic's word for it."""

    loc: Place
    msg: str
    type: str


class RefusedBody(Exception):
    """These are no instances that the model can score: status 422."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.msg for problem in problems))
        self.problems = tuple(problems)


def rule(feature: Feature) -> str:
    """What to write for a feature: ``a number from 0 to 30 cm``."""
    if isinstance(feature, Number):
        kind = "a whole number" if feature.whole else "a number"
        unit = f" {feature.unit}" if feature.unit else ""
        return f"{kind} from {_number(feature.low)} to {_number(feature.high)}{unit}"
    if isinstance(feature, Choice):
        listed = ", ".join(map(repr, feature.values[:_LISTED]))
        more = len(feature.values) - _LISTED
        return f"one of {listed}" + (f" or {more} more" if more > 0 else "")
    return f"text of {feature.shortest} to {feature.longest} characters"


def wrong_value(loc: Place, feature: Feature, value: object, kind: str) -> Problem:
    """A value that the feature does not allow."""
    remedy = f"write {rule(feature)}"
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        kind = "less_than_equal" if value > 0 else "greater_than_equal"  # too large for a float
    if isinstance(feature, Choice) and isinstance(value, str):
        near = get_close_matches(printable(value), feature.values, n=1)
        remedy = f"did you mean {near[0]!r}? {remedy.capitalize()}" if near else remedy
    if isinstance(value, str) and kind in ("string_too_short", "string_too_long"):
        found = f"{len(value)} characters long"
    else:
        found = shown(value)
    return Problem(loc, f"{feature.name} is {found}; {remedy}", kind)


def missing(loc: Place, feature: Feature) -> Problem:
    """A mandatory feature that was left away."""
    return Problem(loc, f"{feature.name} is missing; write {rule(feature)}", "missing")


def unknown(loc: Place, name: object, names: Sequence[str]) -> Problem:
    """A name that is none of the model's."""
    said = printable(str(name))
    near = get_close_matches(said, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "leave it out"
    return Problem((*loc, said), f"{said} is no feature of this model; {hint}", "extra_forbidden")


def shown(value: object) -> str:
    """A wrong value as JSON has it, cut short."""
    if isinstance(value, int) and value.bit_length() > 128:  # str() of a huge one is refused
        return "a number of more than 38 digits"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the text {printable(value)!r}"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return f"a {type(value).__name__}"


def _number(limit: float) -> str:
    """All of its digits: a limit that was rounded would be refused itself."""
    return repr(int(limit) if float(limit).is_integer() and abs(limit) < 1e15 else limit)


def printable(text: str) -> str:
    """Cut short; half a surrogate pair, which could not be written back, as a question mark."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return cut.encode("utf-8", "replace").decode()


def readable(name: object) -> bool:
    """Whether it is text that can be written back: without half a surrogate pair."""
    return isinstance(name, str) and name == name.encode("utf-8", "replace").decode()
