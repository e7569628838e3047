"""Answers that are not JSON alone: compressed ones, and tensors as bytes behind their JSON.

Binary tensors are an extension of the Open Inference Protocol (Triton's extension_binary_data.md):
an output without ``data`` says in ``parameters.binary_data_size`` how many bytes are its elements,
which follow the JSON in the order of the outputs, row by row, little-endian. Nothing is decoded but
what is asked for.
"""

from __future__ import annotations

import json
from math import isfinite
from struct import Struct
from typing import Any, Final

import msgspec

from gateway.answers.compression import plain_of

_HEAD: Final = json.JSONDecoder()
_BYTES: Final = "BYTES"
_FORMATS: Final = {
    name: Struct("<" + code)
    for name, code in {
        "BOOL": "?",
        "INT8": "b",
        "UINT8": "B",
        "INT16": "h",
        "UINT16": "H",
        "INT32": "i",
        "UINT32": "I",
        "INT64": "q",
        "UINT64": "Q",
        "FP16": "e",
        "FP32": "f",
        "FP64": "d",
    }.items()
}


class Tensor:
    """The elements of an output, in bytes; ``tensor["0"]`` is the first one, as JSON has it.

    None stands for what JSON cannot say: text that is not UTF-8, and what is no number. Raises
    LookupError or ValueError where there is no such element.
    """

    __slots__ = ("_data", "_datatype")

    def __init__(self, datatype: object, data: bytes) -> None:
        self._datatype = datatype
        self._data = data

    def __getitem__(self, token: str) -> str | int | float | bool | None:
        index = int(token)
        if index < 0:
            raise IndexError(index)
        if self._datatype == _BYTES:
            return self._text(index)
        layout = _FORMATS[str(self._datatype)]
        start = index * layout.size
        element = self._data[start : start + layout.size]
        if len(element) < layout.size:
            raise IndexError(index)
        (value,) = layout.unpack(element)
        return value if isfinite(value) else None

    def _text(self, index: int) -> str | None:
        """Each has its length before it, 4 bytes."""
        at, data = 0, self._data
        while True:
            size = int.from_bytes(data[at : at + 4], "little")
            at += 4
            if at + size > len(data):
                raise IndexError(index)
            if not index:
                break
            index -= 1
            at += size
        try:
            return data[at : at + size].decode()
        except UnicodeDecodeError:
            return None


def document_of(body: bytes, most: int) -> Any:
    """An answer as decoded JSON, in which binary outputs have a :class:`Tensor` as their ``data``.

    What is compressed is read as what it stands for, up to ``most`` bytes. Raises ``TooLarge``
    beyond them (see ``compression``); MsgspecError, ValueError or RecursionError for what is no
    such answer.
    """
    try:
        return _document(body)
    except msgspec.DecodeError:
        plain = plain_of(body, most)
        if plain is None:
            raise
    return _document(plain)


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        if not body.startswith(b"{"):
            raise
    return _with_tensors(body)


def _with_tensors(body: bytes) -> Any:
    # As text of one character per byte, so that the end is a number of bytes.
    _, end = _HEAD.raw_decode(body.decode("latin-1"))
    document = msgspec.json.decode(body[:end])
    outputs = document.get("outputs")
    binary = [
        (output, size)
        for output in (outputs if type(outputs) is list else ())
        if (size := _binary_size(output)) is not None
    ]
    at = len(body) - sum(size for _, size in binary)
    if at < end or body[end:at].strip():  # white space may belong to the head
        raise ValueError("behind its JSON the answer does not have the bytes that this declares")
    for output, size in binary:
        output["data"] = Tensor(output.get("datatype"), body[at : at + size])
        at += size
    return document


def _binary_size(output: Any) -> int | None:
    """How many bytes behind the JSON are this output's; None: it says nothing of any."""
    parameters = output.get("parameters") if type(output) is dict else None
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    return size if type(size) is int and size >= 0 else None
