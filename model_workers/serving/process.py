"""The process of one worker: its socket, its model, its server."""

from __future__ import annotations

import signal
import socket
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ..models.assistant import ChatRecipe
from ..models.learners import MissingExtra
from ..models.model import Recipe
from ..predictors.predictor import Predictor
from .app import create_app, create_chat_app
from .faults import NO_FAULTS, Faults
from .worker import LIMITS, Limits

# A proxy keeps idle connections too. Whoever closes first should be the proxy, which knows whether
# it was about to send something: so this is longer than any proxy's usual limit.
KEEP_ALIVE_S = 75
STOP_S = 8  # how long a request under way may delay the end at most: Docker kills after 10


class CannotStart(Exception):
    """The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker is to be; ``version`` is the name that its recipe is served under."""

    recipe: Recipe | ChatRecipe
    version: str
    artefacts: Path
    host: str = "127.0.0.1"
    port: int = 8101
    uds: Path | None = None
    faults: Faults = NO_FAULTS
    limits: Limits = LIMITS


class Announced(uvicorn.Server):
    """Says where it listens once it does; uvicorn's own words would come before that, and in
    colour.
    """

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._line, flush=True)


def serve(options: Options) -> None:
    """Train the recipe if nobody did yet, then answer until told to stop. Raises CannotStart."""
    # uvicorn passes a signal on once it has stopped; this turns it into a clean exit then, and also
    # before, while the model is still being trained.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    _prepare()
    app = _app(options)
    try:
        listener, address = _listen(options)
    except OSError as error:
        raise CannotStart(str(error)) from error
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # the true peer decides who may switch faults
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        # What would still be answered, is: no prediction takes longer than its deadline.
        timeout_graceful_shutdown=min(ceil(options.limits.timeout_s), STOP_S),
        ws="none",  # whatever is installed here
    )
    line = f"{options.recipe.model} {options.version} ready at {address}"
    try:
        Announced(config, line).run([listener])
    finally:
        if options.uds:
            options.uds.unlink(missing_ok=True)


def _prepare() -> None:
    """What libraries keep by thread, for each that trains or predicts."""
    # One core per worker: threads of one prediction would only take cores from the others.
    threadpool_limits(limits=1)


def _app(options: Options) -> ASGIApp:
    recipe, version, faults = options.recipe, options.version, options.faults
    if isinstance(recipe, ChatRecipe):
        return create_chat_app(version, recipe.model, recipe.make(), faults, options.limits)
    predictor = _predictor(recipe, options.artefacts)
    return create_app(version, predictor, faults, options.limits, _prepare)


def _predictor(recipe: Recipe, artefacts: Path) -> Predictor:
    from ..training.artefact import ArtefactError
    from ..training.supply import supply

    try:
        return supply(recipe, artefacts)
    except (ArtefactError, MissingExtra) as error:
        raise CannotStart(str(error)) from error


def _listen(options: Options) -> tuple[socket.socket, str]:
    """The bound socket, and its address as it is written in ``routing.yaml``."""
    if options.uds:
        return _listen_on_file(options.uds), f"unix:{options.uds}"
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family)
    except (OSError, OverflowError) as error:
        raise OSError(
            f"cannot listen on {options.host}:{options.port}: {error}; choose another --port"
        ) from error
    host = f"[{options.host}]" if ":" in options.host else options.host
    return listener, f"http://{host}:{listener.getsockname()[1]}"


def _listen_on_file(path: Path) -> socket.socket:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(f"cannot listen on {path}: somebody else does; choose another --uds")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()  # left behind by a worker that was killed
        listener.bind(str(path))
    except OSError as error:
        raise OSError(f"cannot listen on {path}: {error}; choose another --uds") from error
    return listener
