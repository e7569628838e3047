"""The HTTP application of one worker: one version of one model.

A prediction runs in the event loop, not in a thread: scikit-learn needs 0.1 to 0.2 ms for one row
and under 1 ms for the 200 that are allowed, less than handing it to a thread would cost.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..contract import instances
from ..contract.contract import Row
from ..contract.instances import RefusedBody
from ..predictors.predictor import Answer, Predictor
from ..protocols import open_inference, plain
from ..protocols.open_inference import BadInference
from .counts import CountAnswers, Counts
from .faults import NO_FAULTS, BadFaults, Faults, Strike, from_mapping, parse
from .wire import (
    GONE,
    CutResponse,
    bad_inference,
    client_gone,
    crash,
    http_error,
    json_response,
    read_body,
    refused_body,
    waited_in_vain,
)


def create_app(version: str, predictor: Predictor, faults: Faults = NO_FAULTS) -> ASGIApp:
    """The application of this version of a model; ``faults`` says how it shall go wrong."""
    worker = Worker(version, predictor, faults)
    return CountAnswers(worker.app(), worker.counts)


class Worker:
    """The endpoints and what they share: the model, the fault plan, the counts."""

    def __init__(self, version: str, predictor: Predictor, faults: Faults) -> None:
        self.contract = predictor.contract
        self.model = self.contract.model
        self.version = version
        self.predictor = predictor
        self.counts = Counts(self.contract.labels)
        self._faults = faults
        self._met = 0  # requests that the present plan has seen

    def app(self) -> Starlette:
        """The routes, and an answer in JSON to everything that goes wrong."""
        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/predict/{model}", self.predict, methods=["POST"]),
            Route("/invocations", self.predict, methods=["POST"]),
            Route("/stats", self.stats),
            Route("/faults", self.faults, methods=["GET", "PUT"]),
            Route("/v2", self.server),
            Route("/v2/", self.server),
            Route("/v2/models", self.models),
        ]
        for path in ("/healthy", "/ping", "/ready", "/v2/health/live", "/v2/health/ready"):
            routes.append(Route(path, self.health))
        for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes.append(Route(path, self.metadata))
            routes.append(Route(f"{path}/ready", self.model_ready))
            routes.append(Route(f"{path}/infer", self.infer, methods=["POST"]))
        return Starlette(
            routes=routes,
            exception_handlers={
                RefusedBody: refused_body,
                BadInference: bad_inference,
                HTTPException: http_error,
                ClientDisconnect: client_gone,
                Exception: crash,
            },
        )

    # --- predictions

    async def predict(self, request: Request) -> Response:
        """``{"instances": [...]}`` in, labels and probabilities out."""
        self._check_name(request)
        rows = instances.decode(await read_body(request), self.contract)
        return await self._answer(request, rows, self._plain)

    async def infer(self, request: Request) -> Response:
        """The same in the shape of the Open Inference Protocol."""
        self._check_name(request)
        if "inference-header-content-length" in request.headers:
            raise BadInference(
                "binary tensors are not supported; send the tensor as JSON in 'data', without "
                "the header Inference-Header-Content-Length"
            )
        asked = open_inference.decode(await read_body(request), len(self.contract.features))

        def encode(answer: Answer) -> dict[str, Any]:
            return open_inference.encode(self.model, self.version, asked, answer)

        return await self._answer(request, asked.rows, encode)

    def _plain(self, answer: Answer) -> dict[str, Any]:
        return plain.encode(self.contract, self.version, answer)

    async def _answer(
        self, request: Request, rows: list[Row], encode: Callable[[Answer], dict[str, Any]]
    ) -> Response:
        """Score the rows, unless the fault plan has something else in mind for this request."""
        fault = self._faults.at(self._met)
        self._met += 1
        if await waited_in_vain(request, fault):
            return Response(status_code=GONE)
        if fault.strike is Strike.ERROR:
            raise HTTPException(500, f"{self.model} {self.version} fails because its faults say so")
        if fault.strike is Strike.GARBAGE:
            return Response("<html>this is no prediction</html>", media_type="application/json")
        answer = self.predictor.predict(rows)
        if fault.constant is not None:
            answer = _constant(fault.constant, answer)
        if fault.strike is Strike.CUT:
            return CutResponse(msgspec.json.encode(encode(answer)), media_type="application/json")
        if self.contract.labels:
            self.counts.predicted(map(str, answer.predictions[0]))
        return json_response(encode(answer))

    def _check_name(self, request: Request) -> None:
        """404 for another model or version, in words that Triton's clients look for."""
        model = request.path_params.get("model", self.model)
        version = request.path_params.get("version", self.version)
        if (model, version) != (self.model, self.version):
            raise HTTPException(
                404,
                f"Request for unknown model: {model[:100]!r} version {version[:100]!r}; here is "
                f"{self.model!r} version {self.version!r}",
            )

    # --- what this worker is

    async def server(self, request: Request) -> Response:
        return json_response(open_inference.SERVER)

    async def models(self, request: Request) -> Response:
        return json_response({"models": [self.model]})

    async def metadata(self, request: Request) -> Response:
        self._check_name(request)
        return json_response(open_inference.metadata(self.version, self.contract))

    async def model_ready(self, request: Request) -> Response:
        self._check_name(request)
        return json_response({"name": self.model, "ready": True})

    async def health(self, request: Request) -> Response:
        """Live and ready are one: a worker listens only once its model is loaded."""
        return json_response({"live": True, "ready": True})

    # --- for tests and demonstrations

    async def stats(self, request: Request) -> Response:
        """What this worker answered since it started; see :mod:`.counts`."""
        return json_response(
            {
                "model": self.model,
                "model_version": self.version,
                "requests": self.counts.requests,
                "predictions": self.counts.predictions,
            }
        )

    async def faults(self, request: Request) -> Response:
        """Show the fault plan, or replace it; a new plan counts its requests from 0."""
        if request.method == "PUT":
            _only_from_here(request)
            try:
                self._faults = _plan(await read_body(request))
            except BadFaults as error:
                raise HTTPException(422, str(error)) from None
            self._met = 0
        return json_response({"faults": self._faults, "text": str(self._faults), "met": self._met})


def _constant(label: str, answer: Answer) -> Answer:
    """The same answer, but the first output says nothing else."""
    rows = len(answer.predictions[0])
    first = [label] * rows, [1.0] * rows
    return Answer((first[0], *answer.predictions[1:]), (first[1], *answer.probabilities[1:]))


def _only_from_here(request: Request) -> None:
    """403 unless the caller sits on this machine and came directly, not through a proxy."""
    # A gateway on this machine forwards every path: its clients must not be able to break a model.
    forwarded = {"x-forwarded-for", "forwarded", "via"} & set(request.headers.keys())
    # No address at all is a unix socket: the file's permissions have decided.
    if forwarded or (request.client and not _is_loopback(request.client.host)):
        raise HTTPException(
            403, "faults are switched from the worker's own machine only, and not through a proxy"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _plan(body: bytes) -> Faults:
    if not body.lstrip().startswith(b"{"):
        return parse(body.decode("utf-8", "replace"))
    try:
        return from_mapping(msgspec.json.decode(body, type=dict[str, Any]))
    except msgspec.DecodeError as error:
        raise BadFaults(f"the body is not JSON: {error}") from None
