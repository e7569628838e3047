"""The Open Inference Protocol v2: ``/v2/...``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..contract.refusal import RefusedBody
from ..protocols import open_inference
from ..protocols.input_tensors import BadInference, refused
from ..protocols.open_inference import HEAD_LENGTH
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


async def bad_inference(request: Request, error: Exception) -> Response:
    """The answer to :class:`BadInference`."""
    return json_response({"error": str(error)}, 400)
