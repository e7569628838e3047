"""Serve one version of one model: ``python -m model_workers --model iris --version v2``.

Prints one line with its address once it answers. Exit code: 0 stopped by SIGTERM or Ctrl-C, 1 could
not start, 2 wrong use.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import sklearn
import uvicorn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .app import create_app
from .artefact import ArtefactError, load, path_of
from .faults import BadFaults, Faults, parse
from .models import MODELS, Recipe, UnknownModel, find
from .train import ARTEFACTS, write

# A proxy keeps idle connections too. Whoever closes first should be the proxy, which knows whether
# it was about to send something: so this is longer than any proxy's usual limit.
KEEP_ALIVE_S = 75
STOP_S = 1  # how long a request that is still running may delay the end


class Options(argparse.Namespace):
    """The command line, with its types."""

    recipe: Recipe
    host: str
    port: int
    uds: Path | None
    faults: Faults
    artefacts: Path


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the version if nobody did yet, then answer until told to stop."""
    options = _options(arguments)
    # uvicorn passes a signal on once it has stopped; this turns it into a clean exit then, and also
    # before, while the model is still being trained.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # One core per worker: threads of one prediction would only take cores from the others.
    threadpool_limits(limits=1)
    # Requests are checked before they reach the model; checking again costs a tenth of the time.
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
    recipe = options.recipe
    try:
        if not path_of(recipe, options.artefacts).exists():
            write(recipe, options.artefacts)
        predictor = load(recipe, options.artefacts)
        listener, address = _listen(options)
    except (ArtefactError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        create_app(recipe.model, recipe.version, predictor, options.faults),
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # the true peer decides who may switch faults
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    try:
        Announced(config, f"{recipe.model} {recipe.version} ready at {address}").run([listener])
    finally:
        if options.uds:
            options.uds.unlink(missing_ok=True)
    return 0


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m model_workers", description=__doc__)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--version", required=True, help="v1, v2 (better) or v3 (worse)")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8101, help="0: any free; default: %(default)s")
    parser.add_argument("--uds", type=Path, metavar="PATH", help="a unix socket, not host and port")
    parser.add_argument(
        "--faults", default="", metavar="TEXT", help="for example errors=0.3,latency=50ms,after=200"
    )
    parser.add_argument(
        "--artefacts", type=Path, default=ARTEFACTS, metavar="DIR", help="default: %(default)s"
    )
    options = parser.parse_args(arguments, namespace=Options())
    try:
        options.recipe = find(options.model, options.version)
        options.faults = parse(str(options.faults))
    except (UnknownModel, BadFaults) as error:
        parser.error(str(error))
    return options


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


if __name__ == "__main__":
    sys.exit(main())
