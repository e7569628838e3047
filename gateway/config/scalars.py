"""The scalars of ``routing.yaml``: how a text becomes a value, and what editors are told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gateway import model
from gateway.config import addresses
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


# What may stand somewhere.

Name = Annotated[str, scalar(read.name, read.NAME)]
Reference = Annotated[str, scalar(str, read.NAME, "number")]  # `rules` knows which names exist
Label = Annotated[str, scalar(read.label, read.LABEL, "number", "boolean")]
Pointer = Annotated[str, scalar(read.pointer, read.POINTER)]
ValueBound = Annotated[float, scalar(read.value_bound, read.VALUE_BOUND, "number")]
PathPrefix = Annotated[str, scalar(read.path, read.PATH)]
ReadinessPath = Annotated[str, scalar(read.path, read.PATH)]
Host = Annotated[str, scalar(addresses.host, r"[^:]+|\[.+\]")]
HeaderName = Annotated[str, scalar(read.header, read.TOKEN)]
HeaderValue = Annotated[str, scalar(read.header_value, read.VALUE, "number", "boolean")]
KeyHeader = Annotated[str, scalar(read.key_header, read.TOKEN)]
CookieName = Annotated[str, scalar(read.token, read.TOKEN)]
Address = Annotated[model.Endpoint, scalar(addresses.endpoint, "https?://[^/@?#]+|unix:/[^/].*")]
FilePath = Annotated[str, scalar(addresses.certificate_file, "/.*[^/]")]
LogPath = Annotated[str, scalar(addresses.log_file, "/.*[^/]")]
ServerName = Annotated[str, scalar(addresses.server_name, r"[^:]+|\[.+\]")]
WebhookUrl = Annotated[str, scalar(addresses.webhook, "https?://[^/@?#]+([/?][^#]*)?")]
Switch = Annotated[bool, Scalar(read.switch, {"enum": [True, False, "true", "false"]})]
Percent = Annotated[int, number(read.percent, read.PERCENT, "0", "100")]
Growth = Annotated[int, number(read.percent, read.PERCENT, "0.01", "100")]
Chance = Annotated[int, number(read.percent, read.PERCENT, "0.01", "50")]
Bytes = Annotated[int, number(read.size, read.SIZE, "1", "1GiB")]
FileSize = Annotated[
    int, scalar(read.within(read.size, "1MiB", "1GiB"), read.SIZE, "number", minimum=1024 * 1024)
]
Kept = Annotated[int, number(read.count, read.COUNT, "0", "1000")]
Age = Annotated[float, scalar(read.within(read.duration, "1m", "365d"), read.DURATION)]
InFlight = Annotated[int, number(read.count, read.COUNT, "1", "100000")]
MinBad = Annotated[int, number(read.count, read.COUNT, "1", "1000000")]
Timeout = Annotated[float, scalar(read.within(read.duration, "1ms", "1h"), read.DURATION)]
Bound = Annotated[float, scalar(read.within(read.duration, "0ms", "1h"), read.DURATION)]
Pause = Annotated[float | None, scalar(read.pause, f"{read.DURATION}|forever")]
