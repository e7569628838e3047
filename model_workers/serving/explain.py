"""``POST /explain``: why the model answers what it does. It stands in no prediction's way: it has
threads of its own, and it counts as no prediction.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..contract import schema
from ..explanations.explainer import Explainer, why_not
from ..explanations.explanation import Explanation, NotExplainable
from ..revision import code_version
from .openapi import PREDICTING, Fragment, content, operation, ref
from .threads import Threads
from .wire import RETRY, json_response, read_body
from .worker import Worker

CACHE = "X-Explanation-Cache"  # hit: all of them were known; miss
_PATIENCE = 0.75  # of the deadline, for what is got ready once


def routes(worker: Worker) -> list[Route]:
    """The one route."""
    explainer = Explainer(worker.predictor)
    threads = Threads(worker.limits.timeout_s)
    patience_s = worker.limits.timeout_s * _PATIENCE

    async def explain(request: Request) -> Response:
        """The body of ``/predict`` in, an explanation for each instance out."""
        if explainer.why_not:
            raise HTTPException(501, explainer.why_not)
        rows = worker.validator.body(await read_body(request))
        found = await worker.run(lambda: _tried(explainer, rows, patience_s), threads)
        if isinstance(found, NotExplainable):
            raise HTTPException(501, str(found))
        if found is None:
            said = "explanations are being got ready; try again"
            raise HTTPException(503, said, RETRY)
        explanations, known = found
        return json_response(
            {
                "model": worker.model,
                "model_version": worker.version,
                "code_version": code_version(),
                "explanations": arranged(worker, explanations),
            },
            headers={CACHE: "hit" if known else "miss"},
        )

    return [Route("/explain", explain, methods=["POST"])]


def openapi(worker: Worker) -> Fragment:
    """The route, where it has explanations to give."""
    if why_not(worker.predictor):
        return Fragment({}, {})
    named = schema.example(worker.contract)
    body = content(ref("Instances"), {"instances": [named]})
    refused = {
        "description": "Instances that break the contract, each wrong field by its name.",
        "content": content(ref("Refusal")),
    }
    about = "Why the model answers what it does, for each instance."
    answer = content(ref("Explanations"))
    errors = (*PREDICTING, 501)
    asked = operation(about, answer, errors, body=body, more={422: refused})
    return Fragment({"/explain": {"post": asked}}, {"Explanations": _schema(worker)})


def _schema(worker: Worker) -> dict[str, Any]:
    """What ``/explain`` answers: see :mod:`..explanations.explanation`."""
    one = {
        "type": "object",
        "required": ["method", "prediction"],
        "properties": {
            "method": {"enum": ["linear", "rule", "shap"]},
            "prediction": {"type": ["string", "number"]},
        },
    }
    array = {"type": "array", "items": one}
    outputs = worker.contract.outputs
    several = {"type": "object", "properties": {output.name: array for output in outputs}}
    return {
        "type": "object",
        "required": ["model", "model_version", "code_version", "explanations"],
        "properties": {
            "model": {"const": worker.model},
            "model_version": {"const": worker.version},
            "code_version": {"type": "string"},
            "explanations": array if len(outputs) == 1 else several,
        },
    }


def _tried(explainer: Explainer, rows: Any, patience_s: float) -> Any:
    try:
        return explainer.explain(rows, patience_s)
    except NotExplainable as error:  # no failure of the model
        return error


def arranged(worker: Worker, explanations: list[list[Explanation]]) -> Any:
    """As ``/predict`` arranges its answer: an array, or with several outputs one for each."""
    outputs = worker.contract.outputs
    arrays = [list(one) for one in zip(*explanations, strict=True)]
    if len(outputs) == 1:
        return arrays[0]
    return {output.name: array for output, array in zip(outputs, arrays, strict=True)}
