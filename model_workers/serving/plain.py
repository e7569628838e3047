"""``POST /predict``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocols import plain
from .wire import json_response, read_body
from .worker import Worker


def routes(worker: Worker) -> list[Route]:
    """The routes of the plain protocol."""

    async def predict(request: Request) -> Response:
        worker.check_name(request)
        rows = worker.validator.body(await read_body(request))
        answer = await worker.answer(request, rows)
        return json_response(plain.encode(worker.contract, worker.version, answer))

    paths = ("/predict", "/predict/{model}")
    return [Route(path, predict, methods=["POST"]) for path in paths]
