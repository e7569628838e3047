"""From instances, as clients write them, to rows that satisfy a contract; or all reasons why not.

One path for all: bodies over HTTP, lines of a file, rows of a table. A contract becomes two models
of pydantic, of instances by position and by name, and these alone decide what is allowed and what
the published schema says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from .contract import MAX_INSTANCES, Contract, Row
from .feature import Choice, Feature, Number, Value
from .refusal import Place, Problem, RefusedBody, missing, readable, shown, unknown, wrong_value

MAX_PROBLEMS = 20  # a body of 200 wrong rows needs no answer of 6,000 lines
_MAX_DIGITS = 1000
BODY: Place = ("body",)
INSTANCES: Place = ("body", "instances")


class Validator:
    """Checks instances against a contract, at most ``limit`` at a time.

    An instance is a list of values by position, null for one that is missing, or an object of
    values by name, where a missing one may also be left away. In its place stands the feature's
    ``missing``; where there is none, the instance is refused.
    """

    def __init__(self, contract: Contract, limit: int = MAX_INSTANCES) -> None:
        self.contract = contract
        self.limit = limit
        self.positional: TypeAdapter[Any] = TypeAdapter(_positional(contract))
        self.named: TypeAdapter[Any] = TypeAdapter(_named(contract))
        self._names = contract.names
        self._width = len(contract.features)
        self._missing = tuple(map(_missing, contract.features))
        self._list = self.positional.validator.validate_python
        self._object = self.named.validator.validate_python

    def body(self, body: bytes) -> list[Row]:
        """The rows of ``{"instances": [...]}``; raises :class:`RefusedBody`. Other keys than
        ``instances`` are left to those who know them.
        """
        try:
            return self.rows(self._instances(msgspec.json.decode(body)), INSTANCES)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = str(error)
        try:
            # Python's own decoder takes NaN and Infinity, which are no JSON: so they can be named.
            document = json.loads(body, parse_int=_whole)
        except (ValueError, RecursionError) as error:
            problem = f"the body is not JSON: {error}; write {_example()}"
            raise RefusedBody([Problem(BODY, problem, "json_invalid")]) from None
        self.rows(self._instances(document), INSTANCES)
        raise RefusedBody([Problem(BODY, f"the body is not JSON: {said}", "json_invalid")])

    def rows(self, instances: Sequence[object], at: Place = ()) -> list[Row]:
        """The rows, in the instances' order; ``at`` is where these stand, for the problems' places.
        Raises :class:`RefusedBody`.
        """
        count = len(instances)
        if not 1 <= count <= self.limit:
            raise RefusedBody([self._wrong_count(count, at)])
        rows: list[Row] = []
        problems: list[Problem] = []
        for index, instance in enumerate(instances):
            try:
                rows.append(self._row(instance))
            except (ValidationError, _Shapeless) as error:
                found = self._problems((*at, index), instance, error)
                # What nobody will read is not even worded: a body has room for 90,000 wrong names.
                problems += islice(found, MAX_PROBLEMS - len(problems))
                if len(problems) == MAX_PROBLEMS:
                    break
        if problems:
            raise RefusedBody(problems)
        return rows

    def _row(self, instance: object) -> Row:
        if isinstance(instance, list | tuple):
            if len(instance) != self._width:
                raise _Shapeless
            row: tuple[Any, ...] = self._list(instance)
        elif isinstance(instance, dict):
            row = tuple(self._object(instance).__dict__.values())
        else:
            raise _Shapeless
        if None in row:
            pairs = zip(row, self._missing, strict=True)
            row = tuple(default if value is None else value for value, default in pairs)
        return row

    def _instances(self, document: Any) -> list[object]:
        problem = None
        if not isinstance(document, dict):
            said = f"the body is {shown(document)}; write {_example()}"
            problem = Problem(BODY, said, "dict_type")
        elif "instances" not in document:
            problem = Problem(INSTANCES, f"instances is missing; write {_example()}", "missing")
        elif not isinstance(document["instances"], list):
            said = f"instances is {shown(document['instances'])}; write {_example()}"
            problem = Problem(INSTANCES, said, "list_type")
        if problem:
            raise RefusedBody([problem])
        return cast(list[object], document["instances"])

    def _wrong_count(self, count: int, at: Place) -> Problem:
        if not count:
            return Problem(at, "instances is empty; send at least one instance", "too_short")
        said = f"{count} instances; send at most {self.limit} in one request"
        return Problem(at, said, "too_long")

    def _problems(self, at: Place, instance: Any, error: Exception) -> Iterator[Problem]:
        if isinstance(error, ValidationError):
            for found in error.errors(include_url=False, include_context=False):
                if found["loc"]:
                    yield self._problem(at, found)
                else:  # pydantic looks up no name that is half a surrogate pair
                    for name in (key for key in instance if not readable(key)):
                        yield unknown(at, name, self._names)
        elif isinstance(instance, list | tuple):
            count = len(instance)
            kind = "too_short" if count < self._width else "too_long"
            said = f"the instance has {count} values; write {self._width}, one for each feature"
            yield Problem(at, said, kind)
        else:
            said = f"the instance is {shown(instance)}; write a list of {self._width} values"
            yield Problem(at, f"{said}, or an object of them by name", "list_type")

    def _problem(self, at: Place, found: Any) -> Problem:
        last, kind = found["loc"][-1], found["type"]
        if kind in ("extra_forbidden", "invalid_key"):
            return unknown(at, last, self._names)
        place = self._names.index(last) if isinstance(last, str) else last
        feature = self.contract.features[place]
        if kind == "missing":
            return missing((*at, last), feature)
        return wrong_value((*at, last), feature, found["input"], kind)


class _Shapeless(Exception):
    """An instance that is neither an object nor a list of the right length."""


def _whole(digits: str) -> int:
    """More digits than Python reads are too many for any feature, whatever the last of them say."""
    return int(digits[:_MAX_DIGITS])


def _example() -> str:
    return '{"instances": [...]}, one list of values or object of named values for each'


def _type(feature: Feature) -> Any:
    """What pydantic allows for one feature."""
    kind: Any
    if isinstance(feature, Number):
        limits = Field(strict=True, ge=feature.low, le=feature.high, allow_inf_nan=False)
        kind = Annotated[float, limits]
        if feature.whole:
            kind = Annotated[kind, Field(multiple_of=1)]
    elif isinstance(feature, Choice):
        kind = Literal[feature.values]
    else:
        limits = Field(strict=True, min_length=feature.shortest, max_length=feature.longest)
        kind = Annotated[str, limits]
    return kind if feature.missing is None else kind | None


def _missing(feature: Feature) -> Value | None:
    number = isinstance(feature, Number) and feature.missing is not None
    return float(feature.missing or 0) if number else feature.missing


def _positional(contract: Contract) -> Any:
    return tuple[tuple(_type(feature) for feature in contract.features)]  # type: ignore[misc]


def _named(contract: Contract) -> type[BaseModel]:
    # Fields have neutral names and the features' as aliases: those need be no identifiers.
    fields: dict[str, Any] = {}
    for index, feature in enumerate(contract.features):
        default = ... if feature.missing is None else _missing(feature)
        about = feature.description or None
        fields[f"feature_{index}"] = (
            _type(feature),
            Field(default, alias=feature.name, description=about),
        )
    config = ConfigDict(extra="forbid")
    return cast(type[BaseModel], create_model("Instance", __config__=config, **fields))
