"""The Open Inference Protocol v2 over REST, as a worker with one model speaks it.

Pure: requests are bytes in and instances out, answers are values in and bytes out. Tensors may be
JSON or binary, both ways. A contract of numbers alone may be asked with one tensor of shape
[rows, features], as other scikit-learn servers are; each contract with one tensor per feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..contract.contract import Classes, Contract
from ..contract.feature import Feature, Number
from ..predictors.predictor import Answer
from . import input_tensors, tensors
from .input_tensors import BadInference, Input
from .tensors import Element

INPUT: Final = "instances"
HEAD_LENGTH: Final = "inference-header-content-length"
_PLATFORM: Final = "model-worker"


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Body(msgspec.Struct):
    inputs: list[Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


class Wanted(NamedTuple):
    """An output tensor that was asked for, and how it shall be written."""

    name: str
    binary: bool


class Inference(NamedTuple):
    """A request understood: instances to check and score, the id to echo, the outputs in the order
    that was asked for.
    """

    instances: list[object]
    id: str | None
    outputs: tuple[Wanted, ...]


class Encoded(NamedTuple):
    """The body of an answer; ``head`` is how much of it is JSON, None if all."""

    body: bytes
    head: int | None


_decoder = msgspec.json.Decoder(_Body)


def server(code_version: str) -> dict[str, Any]:
    """What ``GET /v2`` tells: the version is that of the code, not of a model."""
    return {
        "name": _PLATFORM,
        "version": code_version,
        "extensions": ["binary_tensor_data"],
    }


def metadata(version: str, contract: Contract) -> dict[str, Any]:
    """What ``GET /v2/models/{model}`` tells: which tensors go in and come out."""
    if input_tensors.only_numbers(contract):
        inputs = [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(contract.features)]}]
    else:
        inputs = [
            {"name": feature.name, "datatype": _datatype(feature), "shape": [-1]}
            for feature in contract.features
        ]
    return {
        "name": contract.model,
        "versions": [version],
        "platform": _PLATFORM,
        "inputs": inputs,
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in outputs(contract).items()
        ],
    }


def outputs(contract: Contract) -> dict[str, str]:
    """The datatype of each output tensor, by name. Each output of the contract has its predictions,
    and its probabilities if it has any.
    """
    found = {}
    for output in contract.outputs:
        classes = isinstance(output, Classes)
        predictions, probabilities = _names(contract, output.name)
        found[predictions] = "BYTES" if classes else "FP64"
        if classes:
            found[probabilities] = "FP64"
    return found


def decode(body: bytes, head: str | None, contract: Contract, limit: int) -> Inference:
    """Read the body of ``POST .../infer``; ``head`` is its Inference-Header-Content-Length, if it
    has one, ``limit`` how many instances may be in it. Their values are not checked yet.

    Raises :class:`BadInference`.
    """
    size = _head_size(head, len(body))
    try:
        found = _decoder.decode(body[:size])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadInference(f"the body is no inference request: {error}") from None
    input_tensors.refuse_elsewhere(found.parameters)
    wanted = _wanted(found, contract)
    raw = input_tensors.blocks(found.inputs, memoryview(body)[size:])
    instances = input_tensors.instances(found.inputs, raw, contract, limit)
    return Inference(instances, found.id, wanted)


def encode(version: str, contract: Contract, asked: Inference, answer: Answer) -> Encoded:
    """The answer to an inference request; its binary tensors follow the JSON in their order."""
    columns = _columns(contract, answer)
    datatypes = outputs(contract)
    rows = len(answer.predictions[0])
    told = []
    blocks = []
    for name, binary in asked.outputs:
        tensor: dict[str, Any] = {"name": name, "datatype": datatypes[name], "shape": [rows]}
        if binary:
            block = tensors.pack(datatypes[name], columns[name])
            blocks.append(block)
            tensor["parameters"] = {"binary_data_size": len(block)}
        else:
            tensor["data"] = columns[name]
        told.append(tensor)
    echoed = {} if asked.id is None else {"id": asked.id}
    head = msgspec.json.encode(
        {"model_name": contract.model, "model_version": version, **echoed, "outputs": told}
    )
    return Encoded(b"".join([head, *blocks]), len(head) if blocks else None)


# --- what is asked for


def _head_size(head: str | None, size: int) -> int:
    if head is None:
        return size
    if not (head.isascii() and head.isdecimal() and len(head) < 20):
        raise BadInference(
            f"Inference-Header-Content-Length is {head[:40]!r}; write the length of the JSON"
        )
    if int(head) > size:
        raise BadInference(
            f"Inference-Header-Content-Length is {head}, and the whole body only {size} bytes"
        )
    return int(head)


def _wanted(found: _Body, contract: Contract) -> tuple[Wanted, ...]:
    known = outputs(contract)
    default = (found.parameters or {}).get("binary_data_output") is True
    if not found.outputs:
        return tuple(Wanted(name, default) for name in known)
    wanted: dict[str, Wanted] = {}
    for output in found.outputs:
        if output.name not in known:
            raise BadInference(
                f"there is no output {output.name[:100]!r}; ask for {' or '.join(known)}"
            )
        if output.name in wanted:
            raise BadInference(f"output {output.name!r} is asked for twice; ask once")
        parameters = output.parameters or {}
        input_tensors.refuse_elsewhere(parameters)
        said = parameters.get("binary_data")
        wanted[output.name] = Wanted(output.name, default if said is None else said is True)
    return tuple(wanted.values())


# --- words and names


def _datatype(feature: Feature) -> str:
    return "FP64" if isinstance(feature, Number) else tensors.BYTES


def _names(contract: Contract, output: str) -> tuple[str, str]:
    """The tensors of one output. Of one output alone they are called what they are."""
    if len(contract.outputs) == 1:
        return "predictions", "probabilities"
    return output, f"{output}_probabilities"


def _columns(contract: Contract, answer: Answer) -> dict[str, Sequence[Element]]:
    found: dict[str, Sequence[Element]] = {}
    for output, predictions, probabilities in zip(contract.outputs, *answer, strict=True):
        names = _names(contract, output.name)
        found[names[0]] = predictions
        if probabilities is not None:
            found[names[1]] = probabilities
    return found
