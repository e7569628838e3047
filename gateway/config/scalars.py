"""How one text of ``routing.yaml`` becomes a value, and what the JSON Schema says of such texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gateway.config import quantities as read
from gateway.config.document import kind


@dataclass(frozen=True, eq=False)
class Scalar:
    """The annotation of a key whose value is made from one text by ``parse``."""

    parse: Callable[[str], object]
    schema: JsonSchemaValue

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: object) -> JsonSchemaValue:
        return dict(self.schema)

    def _read(self, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"{kind(value)} stands here; write a single value")
        return self.parse(value)


def scalar(parse: Callable[[str], object], pattern: str, *types: str, **bounds: float) -> Scalar:
    """Besides texts, editors know other types: to them an unquoted 1.10 is a number."""
    return Scalar(parse, {"type": ["string", *types], "pattern": f"^({pattern})$", **bounds})


def number(parse: Callable[[str], float], pattern: str, least: str, most: str) -> Scalar:
    bounds = {"minimum": float(least)} | ({"maximum": float(most)} if most.isdecimal() else {})
    return scalar(read.within(parse, least, most), pattern, "number", **bounds)


def word(words: type[StrEnum]) -> Scalar:
    return Scalar(read.one_of(words), {"enum": [word.value for word in words]})
