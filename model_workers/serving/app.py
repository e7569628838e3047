"""The HTTP application of one worker: one version of one model, in every language it speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..contract.refusal import RefusedBody
from ..predictors.predictor import Predictor
from ..predictors.speaker import Speaker
from ..protocols.input_tensors import BadInference
from . import chat, docs, explain, inference, openapi, plain, sagemaker, upkeep
from .chat import ChatWorker
from .counts import CountAnswers
from .faults import NO_FAULTS, Faults
from .served import Served
from .wire import CutAnswers, Garbage, client_gone, crash, garbage, http_error, refused_body
from .worker import LIMITS, Limits, Worker

LANGUAGES = (plain, sagemaker, inference, explain, upkeep)

Handlers = Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]


def create_app(
    version: str,
    predictor: Predictor,
    faults: Faults = NO_FAULTS,
    limits: Limits = LIMITS,
    prepare: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """The application of this version of a model; ``faults`` says how it shall go wrong,
    ``prepare`` is called in each thread that will predict.
    """
    worker = Worker(version, predictor, faults, limits, prepare)
    routes = [route for language in LANGUAGES for route in language.routes(worker)]
    fragments = [language.openapi(worker) for language in LANGUAGES]
    own: Handlers = {RefusedBody: refused_body, BadInference: inference.bad_inference}
    return _app(worker, routes, fragments, own)


def create_chat_app(
    version: str,
    model: str,
    speaker: Speaker,
    faults: Faults = NO_FAULTS,
    limits: Limits = LIMITS,
) -> ASGIApp:
    """The same of a chat model, which speaks another language."""
    worker = ChatWorker(version, model, speaker, faults, limits.timeout_s)
    routes = [*chat.routes(worker), *upkeep.routes(worker)]
    return _app(worker, routes, [chat.openapi(worker), upkeep.openapi(worker)], chat.HANDLERS)


def _app(
    worker: Served, routes: list[Route], fragments: list[openapi.Fragment], own: Handlers
) -> ASGIApp:
    document = openapi.document(worker.model, worker.version, [*fragments, docs.openapi()])
    handlers: Handlers = {
        Garbage: garbage,
        HTTPException: http_error,
        ClientDisconnect: client_gone,
        Exception: crash,
        **own,
    }
    app = Starlette(routes=[*routes, *docs.routes(document)], exception_handlers=handlers)
    # It would name this worker as http://, by the Host that a gateway with TLS was asked for.
    app.router.redirect_slashes = False
    return CountAnswers(CutAnswers(app), worker.counts)
