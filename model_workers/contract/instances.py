"""The body of ``POST /predict``: text in, rows of numbers out, or every reason why not.

Two passes. The fast one lets msgspec decode and only checks lengths and range. When it stumbles,
the slow one walks the document again to name each wrong field the way FastAPI does, because
"Expected `float`" without a name helps nobody with thirty features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec

from .contract import MAX_INSTANCES, Contract, Row

MAX_ROWS = MAX_INSTANCES
# No measurement is larger. The bound keeps squares finite, and fits the 32-bit floats of trees.
MAX_VALUE = 1e30
_MAX_PROBLEMS = 20  # a body of 200 wrong rows needs no answer of 6,000 lines


class Problem(NamedTuple):
    """One wrong thing: where it stands, a sentence, and pydantic's word for it."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class RefusedBody(Exception):
    """The body holds no instances this model can score: status 422."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.msg for problem in problems))
        self.problems = tuple(problems)


class _Body(msgspec.Struct):
    instances: list[list[float] | dict[str, float]]


_decoder = msgspec.json.Decoder(_Body)


def decode(body: bytes, contract: Contract) -> list[Row]:
    """The instances as rows of the contract."""
    features = contract.names
    try:
        instances = _decoder.decode(body).instances
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedBody(_explain(body, features, str(error))) from None
    if not 1 <= len(instances) <= MAX_ROWS:
        raise RefusedBody(_explain(body, features, "the number of instances is wrong"))
    rows: list[Row] = []
    for instance in instances:
        row = instance if isinstance(instance, list) else _in_order(instance, features)
        if len(row) != len(features) or max(map(abs, row)) > MAX_VALUE:
            raise RefusedBody(_explain(body, features, "an instance is wrong"))
        rows.append(tuple(row))
    return rows


def _in_order(instance: dict[str, float], features: tuple[str, ...]) -> list[float]:
    if len(instance) != len(features):
        return []
    try:
        return [instance[feature] for feature in features]
    except KeyError:
        return []


def _explain(body: bytes, features: tuple[str, ...], otherwise: str) -> list[Problem]:
    try:
        # Python's own decoder takes NaN and Infinity, which are no JSON: so they can be named.
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return [Problem(("body",), f"the body is not JSON: {error}", "json_invalid")]
    problems = []
    for problem in _problems(document, features):
        problems.append(problem)
        if len(problems) == _MAX_PROBLEMS:
            break
    return problems or [Problem(("body",), otherwise, "value_error")]


def _problems(document: Any, features: tuple[str, ...]) -> Iterator[Problem]:
    loc = ("body", "instances")
    if not isinstance(document, dict):
        yield Problem(("body",), 'write an object: {"instances": [[...]]}', "dict_type")
    elif "instances" not in document:
        yield Problem(loc, 'instances is missing; write {"instances": [[...]]}', "missing")
    elif not isinstance(document["instances"], list):
        yield Problem(loc, "instances is no list; write one list per instance", "list_type")
    elif not document["instances"]:
        yield Problem(loc, "instances is empty; send at least one instance", "too_short")
    elif (found := len(document["instances"])) > MAX_ROWS:
        yield Problem(loc, f"{found} instances; send at most {MAX_ROWS} in one request", "too_long")
    else:
        for index, instance in enumerate(document["instances"]):
            yield from _instance_problems((*loc, index), instance, features)


def _instance_problems(
    loc: tuple[str | int, ...], instance: Any, features: tuple[str, ...]
) -> Iterator[Problem]:
    wanted = len(features)
    if isinstance(instance, list):
        if len(instance) != wanted:
            kind = "too_short" if len(instance) < wanted else "too_long"
            yield Problem(loc, f"{len(instance)} numbers; this model takes {wanted}", kind)
            return
        for index, (feature, value) in enumerate(zip(features, instance, strict=True)):
            yield from _value_problems((*loc, index), feature, value)
    elif isinstance(instance, dict):
        for feature in features:
            if feature not in instance:
                yield Problem((*loc, feature), f"{feature} is missing; add it", "missing")
            else:
                yield from _value_problems((*loc, feature), feature, instance[feature])
        for name in instance:
            if name not in features:
                yield _unknown(loc, name, features)
    else:
        yield Problem(
            loc, f"write a list of {wanted} numbers, or an object of named ones", "list_type"
        )


def _value_problems(loc: tuple[str | int, ...], feature: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
        found = kind.get(type(value), "null")
        yield Problem(loc, f"{feature} is {found}; write a number", "float_type")
    elif value != value or value in (float("inf"), float("-inf")):
        yield Problem(loc, f"{feature} is {value}; write a finite number", "finite_number")
    elif abs(value) > MAX_VALUE:
        yield Problem(
            loc, f"{feature} is beyond {MAX_VALUE:g}; write a smaller number", "less_than_equal"
        )


def _unknown(loc: tuple[str | int, ...], name: str, features: tuple[str, ...]) -> Problem:
    # A name may hold anything, even half a surrogate pair, which could not be written back.
    shown = name[:100].encode("utf-8", "replace").decode()
    near = get_close_matches(shown, features, n=1)
    hint = f"did you mean {near[0]}?" if near else "leave it out"
    return Problem((*loc, shown), f"{shown} is no feature of this model; {hint}", "extra_forbidden")
