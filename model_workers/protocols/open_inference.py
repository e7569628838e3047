"""The Open Inference Protocol v2 over REST, as far as a worker with one model speaks it.

Pure: requests are bytes in and rows out, answers are values out. Tensors are JSON only. The binary
tensor extension is not supported and not announced: binary input is refused; a client that asks for
binary *output* gets JSON, which every client must be able to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import msgspec

from ..contract.contract import Contract, Row
from ..contract.instances import MAX_ROWS, MAX_VALUE
from ..predictors.predictor import Answer

SERVER = {"name": "model-worker", "version": "0.1.0", "extensions": []}
INPUT = "instances"

_NUMERIC = frozenset(
    ["FP16", "FP32", "FP64"]
    + [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
)


class BadInference(Exception):
    """The request cannot be served: status 400, and this sentence as the error."""


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[float | list[float]] | None = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] = []


class Inference(msgspec.Struct, frozen=True):
    """A request understood: rows to score, the id to echo, the outputs asked for (none: all)."""

    rows: list[Row]
    id: str | None
    outputs: tuple[str, ...]


_decoder = msgspec.json.Decoder(_Body)
_OUTPUTS = ("predictions", "probabilities")


def metadata(version: str, contract: Contract) -> dict[str, Any]:
    """What ``GET /v2/models/{model}`` tells: which tensors go in and come out."""
    return {
        "name": contract.model,
        "versions": [version],
        "platform": "scikit-learn",
        "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, len(contract.features)]}],
        "outputs": [
            {"name": "predictions", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1]},
        ],
    }


def decode(body: bytes, features: int) -> Inference:
    """Read the body of ``POST .../infer``: one tensor of ``features`` numbers per row.

    The tensor may have any name, as in other scikit-learn servers; its data may be nested or flat.
    """
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInference(f"the body is no inference request: {error}") from None
    if len(found.inputs) != 1:
        raise BadInference(
            f"{len(found.inputs)} input tensors; send one, {INPUT!r}, of shape [rows, {features}]"
        )
    unknown = [output.name for output in found.outputs if output.name not in _OUTPUTS]
    if unknown:
        raise BadInference(
            f"there is no output {unknown[0][:100]!r}; ask for {' or '.join(_OUTPUTS)}"
        )
    wanted = tuple(output.name for output in found.outputs)
    return Inference(_rows(found.inputs[0], features), found.id, wanted)


def encode(model: str, version: str, asked: Inference, answer: Answer) -> dict[str, Any]:
    """The answer to an inference request."""
    labels, probabilities = answer.predictions[0], answer.probabilities[0]
    rows = len(labels)
    outputs: list[dict[str, Any]] = [
        {"name": "predictions", "datatype": "BYTES", "shape": [rows], "data": labels},
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [rows],
            "data": probabilities,
        },
    ]
    if asked.outputs:
        outputs = [output for output in outputs if output["name"] in asked.outputs]
    echoed = {} if asked.id is None else {"id": asked.id}
    return {"model_name": model, "model_version": version, **echoed, "outputs": outputs}


def _rows(tensor: _Input, features: int) -> list[Row]:
    if "binary_data_size" in tensor.parameters:
        raise BadInference("binary tensors are not supported; send the tensor as JSON in 'data'")
    if tensor.datatype not in _NUMERIC:
        raise BadInference(
            f"datatype {tensor.datatype[:20]!r} is not numeric; send the tensor as FP64"
        )
    if len(tensor.shape) != 2 or tensor.shape[1] != features:
        raise BadInference(
            f"the tensor's shape is {tensor.shape[:8]}; this model takes [rows, {features}]"
        )
    if not 1 <= tensor.shape[0] <= MAX_ROWS:
        raise BadInference(f"{tensor.shape[0]} rows; send 1 to {MAX_ROWS} in one request")
    if tensor.data is None:
        raise BadInference("the tensor has no 'data'; send its values as JSON")
    values = list(_flat(tensor.data, features))
    if len(values) != prod(tensor.shape):
        raise BadInference(
            f"{len(values)} values for shape {tensor.shape}; send {prod(tensor.shape)}"
        )
    if max(map(abs, values)) > MAX_VALUE:
        raise BadInference(f"a value is beyond {MAX_VALUE:g}; send smaller numbers")
    return [tuple(values[start : start + features]) for start in range(0, len(values), features)]


def _flat(data: list[float | list[float]], features: int) -> Iterator[float]:
    """The values in row order, whether each row is a list of its own or not."""
    nested = bool(data) and isinstance(data[0], list)
    for item in data:
        if isinstance(item, list) is not nested or (
            isinstance(item, list) and len(item) != features
        ):
            raise BadInference(
                f"the data does not match the shape; send flat values, or rows of {features}"
            )
        if isinstance(item, list):
            yield from item
        else:
            yield item
