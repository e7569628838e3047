"""The Open Inference Protocol v2: ``/v2/...``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocols import open_inference
from ..protocols.open_inference import BadInference
from .openapi import PREDICTING, Fragment, content, operation, ref
from .wire import json_response, read_body
from .worker import Worker


def routes(worker: Worker) -> list[Route]:
    """The routes of the protocol, for the one model there is, with and without its version."""

    async def infer(request: Request) -> Response:
        worker.check_name(request)
        if "inference-header-content-length" in request.headers:
            raise BadInference(
                "binary tensors are not supported; send the tensor as JSON in 'data', without "
                "the header Inference-Header-Content-Length"
            )
        asked = open_inference.decode(await read_body(request), len(worker.contract.features))
        answer = await worker.answer(request, asked.rows)
        return json_response(open_inference.encode(worker.model, worker.version, asked, answer))

    async def server(request: Request) -> Response:
        return json_response(open_inference.SERVER)

    async def models(request: Request) -> Response:
        return json_response({"models": [worker.model]})

    async def metadata(request: Request) -> Response:
        worker.check_name(request)
        return json_response(open_inference.metadata(worker.version, worker.contract))

    async def ready(request: Request) -> Response:
        worker.check_name(request)
        return json_response({"name": worker.model, "ready": True})

    found = [Route("/v2", server), Route("/v2/", server), Route("/v2/models", models)]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [Route(path, metadata), Route(f"{path}/ready", ready)]
        found.append(Route(f"{path}/infer", infer, methods=["POST"]))
    return found


def openapi(worker: Worker) -> Fragment:
    """These routes, described."""
    anything = content({"type": "object"})
    paths = {
        "/v2": {"get": operation("What this server is.", anything)},
        "/v2/models": {"get": operation("The one model there is.", anything)},
    }
    for path in (
        f"/v2/models/{worker.model}",
        f"/v2/models/{worker.model}/versions/{worker.version}",
    ):
        paths[path] = {"get": operation("The tensors that go in and come out.", anything)}
        paths[f"{path}/ready"] = {"get": operation("Whether it is ready.", anything)}
        infer = operation(
            "Predict, by tensors.", anything, (400, *PREDICTING), body=content(ref("Inference"))
        )
        paths[f"{path}/infer"] = {"post": infer}
    return Fragment(paths, {"Inference": {"type": "object", "required": ["inputs"]}})


async def bad_inference(request: Request, error: Exception) -> Response:
    """The answer to :class:`BadInference`."""
    return json_response({"error": str(error)}, 400)
