"""The input tensors of an inference request: from them to the instances of a contract.

A contract of numbers alone may be sent as one tensor of shape [rows, features], by any name; each
contract as one tensor per feature, by its name. The values themselves are checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import msgspec

from ..contract.contract import Contract
from ..contract.feature import Number
from ..contract.refusal import Problem
from . import tensors
from .tensors import BadTensor, Element

# Parameters that ask for another answer than ours. All others are hints, which may be passed over.
_ELSEWHERE: Final = ("classification", "shared_memory_region")


class BadInference(Exception):
    """The request cannot be served: status 400, and this sentence as the error."""


class Input(msgspec.Struct):
    """A tensor as it stands in the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


def blocks(inputs: Sequence[Input], raw: memoryview) -> list[bytes | None]:
    """The raw bytes of each input; None for one that is JSON."""
    found: list[bytes | None] = []
    at = 0
    for tensor in inputs:
        parameters = tensor.parameters or {}
        refuse_elsewhere(parameters)
        size = parameters.get("binary_data_size")
        if size is None:
            found.append(None)
            continue
        if type(size) is not int or not 0 <= size <= len(raw) - at:
            raise BadInference(
                f"binary_data_size of {_shown(tensor)} is {str(size)[:20]}; {len(raw) - at} bytes "
                "are there: Inference-Header-Content-Length says where they begin"
            )
        if tensor.data is not None:
            raise BadInference(f"{_shown(tensor)} has both 'data' and bytes; send one of them")
        found.append(bytes(raw[at : at + size]))
        at += size
    if at != len(raw):
        raise BadInference(f"{len(raw) - at} bytes after the JSON belong to no tensor")
    return found


def instances(
    inputs: Sequence[Input], raw: Sequence[bytes | None], contract: Contract, limit: int
) -> list[object]:
    """The instances, at most ``limit``: lists by position, or objects if a feature is left out."""
    names = contract.names
    for tensor in inputs:
        if tensor.shape and tensor.shape[0] > limit:  # before a million rows are made of bytes
            raise BadInference(
                f"{str(tensor.shape[0])[:20]} rows; send 1 to {limit} in one request"
            )
    if len(inputs) == 1 and only_numbers(contract) and _is_matrix(inputs[0], contract):
        return _rows(inputs[0], raw[0], len(names))
    columns: dict[str, list[Element]] = {}
    for tensor, block in zip(inputs, raw, strict=True):
        if tensor.name not in names or tensor.name in columns:
            raise BadInference(_unexpected(tensor, contract))
        columns[tensor.name] = _column(tensor, block, contract)
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1:
        told = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise BadInference(
            f"the tensors differ in rows ({told[:200]}); send as many in each"
            if sizes
            else f"0 input tensors; send {_expected(contract)}"
        )
    if len(columns) == len(names):
        return [list(row) for row in zip(*(columns[name] for name in names), strict=True)]
    given = tuple(columns)  # what is missing, the contract may have a value for
    return [dict(zip(given, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_matrix(tensor: Input, contract: Contract) -> bool:
    """Whether the one tensor holds whole rows: it has any name, but not that of a single column."""
    columns = len(tensor.shape) == 1 or tensor.shape[1:] == [1]
    return not (tensor.name in contract.names and columns) or len(contract.names) == 1


def _rows(tensor: Input, block: bytes | None, width: int) -> list[object]:
    if tensor.shape[1:] != [width] and not (width == 1 and len(tensor.shape) == 1):
        raise BadInference(
            f"the shape of {_shown(tensor)} is {tensor.shape[:8]}; this model takes [rows, {width}]"
        )
    _check_numeric(tensor)
    values = _elements(tensor, block)
    return [values[start : start + width] for start in range(0, len(values), width)]


def _column(tensor: Input, block: bytes | None, contract: Contract) -> list[Element]:
    feature = contract.features[contract.names.index(tensor.name)]
    if not (len(tensor.shape) == 1 or tensor.shape[1:] == [1]):
        raise BadInference(
            f"the shape of {_shown(tensor)} is {tensor.shape[:8]}; send [rows] or [rows, 1]"
        )
    if isinstance(feature, Number):
        _check_numeric(tensor)
    elif tensor.datatype != tensors.BYTES:
        raise BadInference(
            f"the datatype of {_shown(tensor)} is {tensor.datatype[:20]!r}; text is sent as BYTES"
        )
    return _elements(tensor, block)


def _check_numeric(tensor: Input) -> None:
    if tensor.datatype not in tensors.NUMERIC:
        raise BadInference(
            f"the datatype of {_shown(tensor)} is {tensor.datatype[:20]!r}, which is not numeric; "
            "send it as FP64"
        )


def _elements(tensor: Input, block: bytes | None) -> list[Element]:
    try:
        if block is not None:
            values = tensors.unpack(tensor.datatype, block)
        elif tensor.data is None:
            raise BadTensor("it has neither 'data' nor binary_data_size")
        else:
            values = tensors.flat(tensor.datatype, tensor.shape, tensor.data)
    except BadTensor as error:
        raise BadInference(f"{_shown(tensor)}: {error}") from None
    if min(tensor.shape) < 1 or prod(tensor.shape) != len(values):
        raise BadInference(
            f"{_shown(tensor)} has {len(values)} values, and its shape is {tensor.shape}; send as "
            "many as its shape says, at least one"
        )
    return values


def refused(problems: Sequence[Problem]) -> str:
    """What is wrong with values: the sentences, each with its row (the first is 0)."""
    return "; ".join(
        f"row {problem.loc[0]}: {problem.msg}" if problem.loc else problem.msg
        for problem in problems
    )


def refuse_elsewhere(parameters: dict[str, Any] | None) -> None:
    """Raises for a parameter that asks for an answer which no worker gives."""
    for name in _ELSEWHERE:
        if name in (parameters or {}):
            raise BadInference(f"the parameter {name!r} is not supported; leave it out")


def only_numbers(contract: Contract) -> bool:
    """Whether instances can be sent as one tensor."""
    return all(isinstance(feature, Number) for feature in contract.features)


def _shown(tensor: Input) -> str:
    # A name may hold anything, even half a surrogate pair, which could not be written back.
    return repr(tensor.name[:100].encode("utf-8", "replace").decode())


def _expected(contract: Contract) -> str:
    each = (
        "one tensor per feature ("
        + ", ".join(contract.names[:5])
        + (", ...)" if len(contract.names) > 5 else ")")
    )
    if only_numbers(contract):
        return f"one tensor of shape [rows, {len(contract.names)}], or {each}"
    return each


def _unexpected(tensor: Input, contract: Contract) -> str:
    twice = tensor.name in contract.names
    found = f"{_shown(tensor)} is sent twice" if twice else f"{_shown(tensor)} is no feature"
    return f"{found}; send {_expected(contract)}"
