"""A contract as JSON: declared for people, and as JSON Schemas of what goes in and comes out. Pure.

The schemas of instances are those of the models that check them, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Classes, Contract, Output
from .feature import Choice, Feature, Number, Value
from .validation import MAX_PROBLEMS, Validator

Schema = dict[str, Any]


def declared(contract: Contract) -> dict[str, Any]:
    """The contract for people: every feature and output with its rules."""
    return {
        "model": contract.model,
        "description": contract.description,
        "features": [_feature(feature) for feature in contract.features],
        "outputs": [_output(output) for output in contract.outputs],
    }


def example(contract: Contract) -> dict[str, Value]:
    """An instance by name: numbers from the middle of their range, the first of each choice."""
    return {feature.name: _example(feature) for feature in contract.features}


def instances(validator: Validator) -> Mapping[str, Schema]:
    """``Instances`` is the body of a request; it refers to the two ways to write one instance."""
    count = {"minItems": 1, "maxItems": validator.limit}
    either = {"anyOf": [_ref("InstanceByPosition"), _ref("InstanceByName")]}
    return {
        "Instances": {
            "type": "object",
            "required": ["instances"],
            "properties": {"instances": {"type": "array", **count, "items": either}},
        },
        "InstanceByPosition": _titled(validator),
        "InstanceByName": validator.named.json_schema(),
    }


def answer(contract: Contract, version: str) -> Schema:
    """What ``/predict`` answers."""
    predictions = {output.name: _array(_prediction(output)) for output in contract.outputs}
    shares = _array({"type": "number", "minimum": 0, "maximum": 1})
    probabilities = {one.name: shares for one in contract.outputs if isinstance(one, Classes)}
    properties: dict[str, Schema] = {
        "model": {"const": contract.model},
        "model_version": {"const": version},
        "code_version": {"type": "string", "description": "Of the code around the model."},
    }
    if len(contract.outputs) == 1:
        properties["predictions"] = next(iter(predictions.values()))
        properties |= {"probabilities": shares} if probabilities else {}
    else:
        properties["predictions"] = _object(predictions)
        properties["probabilities"] = _object(probabilities)
    return _object(properties)


def refusal() -> Schema:
    """What ``/predict`` answers with status 422."""
    problem = {
        "loc": _array({"type": ["string", "integer"]}),
        "msg": {"type": "string", "description": "What was found, the rule, what to do."},
        "type": {"type": "string", "description": "As pydantic calls it."},
    }
    detail = {**_array(_object(problem)), "minItems": 1, "maxItems": MAX_PROBLEMS}
    return _object({"detail": detail})


def _feature(feature: Feature) -> dict[str, Any]:
    said: dict[str, Any] = {"name": feature.name}
    if isinstance(feature, Number):
        said |= {"type": "whole number" if feature.whole else "number"}
        said |= {"low": feature.low, "high": feature.high}
        said |= {"unit": feature.unit} if feature.unit else {}
    elif isinstance(feature, Choice):
        said |= {"type": "choice", "values": list(feature.values)}
    else:
        said |= {"type": "text", "shortest": feature.shortest, "longest": feature.longest}
    said |= {"mandatory": feature.missing is None}
    said |= {} if feature.missing is None else {"missing": feature.missing}
    return said | ({"description": feature.description} if feature.description else {})


def _output(output: Output) -> dict[str, Any]:
    if isinstance(output, Classes):
        return {"name": output.name, "type": "label", "labels": list(output.labels)}
    unit = {"unit": output.unit} if output.unit else {}
    return {"name": output.name, "type": "number", **unit}


def _example(feature: Feature) -> Value:
    if isinstance(feature, Number):
        middle = feature.low / 2 + feature.high / 2
        return float(round(middle)) if feature.whole else middle
    if isinstance(feature, Choice):
        return feature.values[0]
    return "some text"[: feature.longest].ljust(feature.shortest, ".")


def _titled(validator: Validator) -> Schema:
    """The pairs of a place and its schema carry no name; so each place gets its feature's."""
    schema = validator.positional.json_schema()
    for feature, one in zip(validator.contract.features, schema["prefixItems"], strict=True):
        one["title"] = feature.name
    return {**schema, "items": False}


def _prediction(output: Output) -> Schema:
    if isinstance(output, Classes):
        return {"type": "string", "enum": list(output.labels)}
    return {"type": "number"}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
