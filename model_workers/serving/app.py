"""The HTTP application of one worker: one version of one model, in every language it speaks."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from ..contract.refusal import RefusedBody
from ..predictors.predictor import Predictor
from ..protocols.open_inference import BadInference
from . import docs, explain, inference, openapi, plain, upkeep
from .counts import CountAnswers
from .faults import NO_FAULTS, Faults
from .wire import CutAnswers, Garbage, client_gone, crash, garbage, http_error, refused_body
from .worker import LIMITS, Limits, Worker

LANGUAGES = (plain, inference, explain, upkeep)


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
    fragments = [*(language.openapi(worker) for language in LANGUAGES), docs.openapi()]
    about = worker.contract.description
    document = openapi.document(worker.model, version, about, fragments)
    routes = [route for language in LANGUAGES for route in language.routes(worker)]
    app = Starlette(
        routes=[*routes, *docs.routes(document)],
        exception_handlers={
            RefusedBody: refused_body,
            BadInference: inference.bad_inference,
            Garbage: garbage,
            HTTPException: http_error,
            ClientDisconnect: client_gone,
            Exception: crash,
        },
    )
    return CountAnswers(CutAnswers(app), worker.counts)
