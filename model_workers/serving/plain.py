"""``POST /predict``, and the contract that it keeps."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..contract import schema
from ..protocols import plain
from ..revision import code_version
from .openapi import PREDICTING, Fragment, content, operation, ref
from .wire import json_response, read_body
from .worker import Worker


def routes(worker: Worker) -> list[Route]:
    """The routes of the plain protocol."""

    async def predict(request: Request) -> Response:
        worker.check_name(request)
        rows = worker.validator.body(await read_body(request))
        answer = await worker.answer(request, rows)
        return json_response(plain.encode(worker.contract, worker.version, answer))

    async def contract(request: Request) -> Response:
        """What goes in and comes out, for people."""
        return json_response(
            {
                **schema.declared(worker.contract),
                "max_instances": worker.limits.instances,
                "model_version": worker.version,
                "code_version": code_version(),
            }
        )

    paths = ("/predict", "/predict/{model}")
    return [
        *(Route(path, predict, methods=["POST"]) for path in paths),
        Route("/contract", contract),
    ]


def openapi(worker: Worker) -> Fragment:
    """These routes, described by the contract."""
    predict = {"post": predicting(worker, "Predict, for one or more instances.")}
    about = "The contract: features and outputs with their rules."
    return Fragment(
        {
            "/predict": predict,
            f"/predict/{worker.model}": predict,
            "/contract": {"get": operation(about, content({"type": "object"}))},
        },
        {
            **schema.instances(worker.validator),
            "Answer": schema.answer(worker.contract, worker.version),
            "Refusal": schema.refusal(),
        },
    )


def predicting(worker: Worker, about: str) -> dict[str, object]:
    """An operation that takes instances and answers predictions."""
    named = schema.example(worker.contract)
    body = content(ref("Instances"), {"instances": [list(named.values()), named]})
    refused = {
        "description": "Instances that break the contract, each wrong field by its name.",
        "content": content(ref("Refusal")),
    }
    return operation(
        about, content(ref("Answer")), (400, *PREDICTING), body=body, more={422: refused}
    )
