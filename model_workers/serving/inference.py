"""The Open Inference Protocol v2: ``/v2/...``."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..contract import schema
from ..contract.contract import Contract
from ..contract.refusal import RefusedBody
from ..protocols import open_inference
from ..protocols.input_tensors import BadInference, refused
from ..protocols.open_inference import HEAD_LENGTH
from ..revision import code_version
from .openapi import ERRORS, PREDICTING, Fragment, content, operation, ref
from .wire import json_response, read_body
from .worker import Worker


def routes(worker: Worker) -> list[Route]:
    """The routes of the protocol, for the one model there is, with and without its version."""

    async def infer(request: Request) -> Response:
        worker.check_name(request)
        head = request.headers.get(HEAD_LENGTH)
        body = await read_body(request)
        asked = open_inference.decode(body, head, worker.contract, worker.limits.instances)
        try:
            rows = worker.validator.rows(asked.instances)
        except RefusedBody as error:
            raise BadInference(refused(error.problems)) from None
        answer = await worker.answer(request, rows)
        encoded = open_inference.encode(worker.version, worker.contract, asked, answer)
        if encoded.head is None:
            return Response(encoded.body, media_type="application/json")
        headers = {HEAD_LENGTH: str(encoded.head)}
        return Response(encoded.body, 200, headers, media_type="application/octet-stream")

    async def server(request: Request) -> Response:
        return json_response(open_inference.server(code_version()))

    async def models(request: Request) -> Response:
        return json_response({"models": [worker.model]})

    async def metadata(request: Request) -> Response:
        worker.check_name(request)
        return json_response(open_inference.metadata(worker.version, worker.contract))

    async def ready(request: Request) -> Response:
        worker.check_name(request)
        said = {"name": worker.model, "ready": worker.well}
        return json_response(said, 200 if worker.well else 503)

    found = [Route("/v2", server), Route("/v2/", server), Route("/v2/models", models)]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [Route(path, metadata), Route(f"{path}/ready", ready)]
        found.append(Route(f"{path}/infer", infer, methods=["POST"]))
    return found


def openapi(worker: Worker) -> Fragment:
    """These routes, described: JSON alone, for bytes have no schema."""
    anything = content({"type": "object"})
    paths = {
        "/v2": {"get": operation("What this server is.", anything)},
        "/v2/models": {"get": operation("The one model there is.", anything)},
    }
    model = f"/v2/models/{worker.model}"
    for path in (model, f"{model}/versions/{quote(worker.version, safe='')}"):
        unready = {"description": ERRORS[503], "content": anything}
        ready = operation("Whether it is ready.", anything, more={503: unready})
        infer = operation(
            "Predict, by tensors.",
            content(ref("Inferred")),
            (400, *PREDICTING),
            body=content(ref("Inference"), _example(worker.contract)),
        )
        paths[path] = {"get": operation("The tensors that go in and come out.", anything)}
        paths |= {f"{path}/ready": {"get": ready}, f"{path}/infer": {"post": infer}}
    return Fragment(paths, {"Inference": _INFERENCE, "Inferred": _INFERRED})


def _example(contract: Contract) -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]}
        if isinstance(value, str)
        else {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in schema.example(contract).items()
    ]
    return {"inputs": inputs}


_TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "data": {"type": "array", "description": "As many values as the shape says."},
    },
}
_INFERENCE: Final = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": ["string", "null"]},
        "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
    },
}
_INFERRED: Final = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {"outputs": {"type": "array", "items": _TENSOR}},
}


async def bad_inference(request: Request, error: Exception) -> Response:
    """The answer to :class:`BadInference`."""
    return json_response({"error": str(error)}, 400)
