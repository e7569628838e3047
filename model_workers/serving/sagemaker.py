"""``POST /invocations`` as SageMaker calls a container: JSON as in ``/predict``, or CSV.

``GET /ping`` is one of the health pages, which are everywhere. The headers about variants are the
business of whoever calls containers, not of the container.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocols import plain, sagemaker
from .openapi import Fragment
from .plain import predicting
from .wire import json_response, read_body
from .worker import Worker


def routes(worker: Worker) -> list[Route]:
    """The one route of the protocol."""

    async def invoke(request: Request) -> Response:
        body = await read_body(request)
        if sagemaker.is_csv(request.headers.get("content-type", "")):
            try:
                lines = sagemaker.decode(body, worker.contract, worker.limits.instances)
                rows = worker.validator.rows(lines)
            except sagemaker.BadRows as error:
                raise HTTPException(400, str(error)) from None
        else:
            rows = worker.validator.body(body)
        answer = await worker.answer(request, rows)
        if sagemaker.is_csv(request.headers.get("accept", "")):
            return Response(sagemaker.encode(answer), media_type=sagemaker.CSV)
        return json_response(plain.encode(worker.contract, worker.version, answer))

    return [Route("/invocations", invoke, methods=["POST"])]


def openapi(worker: Worker) -> Fragment:
    """This route, described: as ``/predict``."""
    about = "Predict, as SageMaker calls it; CSV too, which has no schema."
    return Fragment({"/invocations": {"post": predicting(worker, about)}}, {})
