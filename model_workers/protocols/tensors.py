"""Tensors of the Open Inference Protocol: their datatypes, and their elements as raw bytes.

Raw elements follow each other without gaps, row by row, little-endian; an element of BYTES is its
length in four bytes and then itself (the protocol's binary tensor data extension). Nothing here
raises anything but :class:`BadTensor`, whatever the bytes are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

Element = bool | int | float | str

# The letters of the module struct; BYTES is the one datatype whose elements have no fixed size.
_LETTERS: Final = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
DATATYPES: Final = (*_LETTERS, BYTES)
NUMERIC: Final = frozenset(_LETTERS) - {BOOL}
_LENGTH: Final = struct.Struct("<I")
_TOO_LARGE: Final = (1 << 1024) - (1 << 970)  # the first whole number that rounds to infinity


class BadTensor(Exception):
    """The elements are not what the tensor's datatype and shape say; the message is a clause."""


def pack(datatype: str, elements: Sequence[Element]) -> bytes:
    """The elements as raw bytes."""
    if datatype == BYTES:
        return b"".join(_with_length(element) for element in elements)
    try:
        return struct.pack(f"<{len(elements)}{_letter(datatype)}", *elements)
    except (struct.error, OverflowError) as error:
        raise BadTensor(f"an element is no {datatype}: {error}") from None


def unpack(datatype: str, data: bytes) -> list[Element]:
    """The elements in raw bytes; those of BYTES must be UTF-8."""
    if datatype == BYTES:
        return list(_texts(data))
    letter = _letter(datatype)
    size = struct.calcsize(f"<{letter}")
    if len(data) % size:
        raise BadTensor(f"{len(data)} bytes are no whole number of {datatype}, which take {size}")
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))


def flat(datatype: str, shape: Sequence[int], data: Sequence[Any]) -> list[Element]:
    """The elements of a tensor written as JSON: flat in row order, or nested as the shape is."""
    check(datatype)
    nested = len(shape) > 1 and any(isinstance(item, list) for item in data)
    found = list(_leaves(data, shape) if nested else data)
    kinds = _kinds(datatype)
    if not kinds.issuperset(map(type, found)):
        wrong = next(i for i, element in enumerate(found) if type(element) not in kinds)
        raise BadTensor(f"element {wrong} of the data is {_words(found[wrong])} and no {datatype}")
    if found and int in kinds:
        low, high = _range(datatype)
        for element in (min(found), max(found)):
            if not low <= element < high:
                raise BadTensor(f"{_words(element)} in the data is no {datatype}")
    return found


def check(datatype: str) -> None:
    """Raises for a datatype that the protocol does not have."""
    if datatype not in DATATYPES:
        raise BadTensor(
            f"datatype {datatype[:20]!r} is none of the protocol's; write one of "
            f"{', '.join(DATATYPES)}"
        )


def _letter(datatype: str) -> str:
    check(datatype)
    return _LETTERS[datatype]


def _with_length(element: Element) -> bytes:
    if not isinstance(element, str):
        raise BadTensor(f"an element is {_words(element)} and no {BYTES}")
    try:
        encoded = element.encode()
    except UnicodeEncodeError:
        raise BadTensor("an element holds half a character") from None
    return _LENGTH.pack(len(encoded)) + encoded


def _texts(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        if start > len(data):
            raise BadTensor("the data ends within the length of an element")
        (length,) = _LENGTH.unpack_from(data, at)
        at = start + length
        if at > len(data):
            raise BadTensor(f"an element of {length} bytes goes beyond the end of the data")
        try:
            yield data[start:at].decode()
        except UnicodeDecodeError:
            raise BadTensor("an element is no UTF-8 text") from None


def _leaves(data: Sequence[Any], shape: Sequence[int]) -> Iterator[Any]:
    if len(data) != shape[0]:
        raise BadTensor(f"the nesting of the data does not match the shape {list(shape)[:8]}")
    for item in data:
        if len(shape) == 1:
            yield item
        elif isinstance(item, list):
            yield from _leaves(item, shape[1:])
        else:
            raise BadTensor("the data is partly nested; nest it as the shape is, or not at all")


def _kinds(datatype: str) -> frozenset[type]:
    """What elements are in JSON; its 1 may well be an FP64."""
    if datatype.startswith("FP"):
        return frozenset([int, float])
    return frozenset([{BOOL: bool, BYTES: str}.get(datatype, int)])


def _range(datatype: str) -> tuple[int, int]:
    """The smallest number that an element can be, and the first that is too large."""
    if datatype.startswith("FP"):
        return -_TOO_LARGE + 1, _TOO_LARGE  # what Python makes a float of, whatever is declared
    bits = int(datatype.lstrip("UINT"))
    return (0, 1 << bits) if datatype[0] == "U" else (-1 << (bits - 1), 1 << (bits - 1))


def _words(element: Any) -> str:
    kinds = {dict: "an object", list: "a list", type(None): "null", bool: "true or false"}
    if type(element) in kinds:
        return kinds[type(element)]
    if isinstance(element, str):
        return f"the text {element[:20]!r}"
    return f"{element}" if abs(element) < 1 << 64 else "a number of more than 64 bits"
