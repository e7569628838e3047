"""``controller``: who takes candidates through their steps, and out."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from importlib.metadata import version
from time import time
from typing import Annotated, Final

import typer

from gateway.config import parse
from gateway.logs import Log, adopt_others, configure_logs
from gateway.security.credential import Token
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    FileArgument,
    Gateways,
    JsonLogs,
    TokenFile,
    address,
    content_of,
    token_of,
)
from monitoring.controller.herald import Herald
from monitoring.controller.leader import Leadership
from monitoring.controller.loop import Controller
from monitoring.controller.witness import Witness
from monitoring.metrics import port as metrics_port
from monitoring.metrics.collector import Metrics
from monitoring.readings.sources import GatewaySources

_LAST_NOTICES: Final = 2.0  # seconds that notices under way are given at the end

log = Log()


def controller(
    file: FileArgument = DEFAULT_FILE,
    gateway: Gateways = DEFAULT_ADMIN,
    metrics: Annotated[
        str, typer.Option(help="Where Prometheus may ask the controller; 'none': nowhere.")
    ] = "127.0.0.1:8082",
    admin_token_file: TokenFile = None,
    json: JsonLogs = False,
) -> None:
    """Take candidates through their steps, and roll back what is proven worse."""
    configure_logs(json=json)
    adopt_others()
    token = token_of(admin_token_file)
    parse(content_of(file))  # one that is refused now is wrong use, not a state to wait in
    # Python does nothing on SIGTERM by itself, and as process 1 of a container nothing else would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = Metrics(version("canary-gateway"))
    herald = Herald(told, time)
    try:
        with ExitStack() as stack:
            sources = stack.enter_context(GatewaySources([gateway], token))
            leadership = stack.enter_context(Leadership(file))
            stack.callback(herald.close, _LAST_NOTICES)
            _open_port(stack, told, metrics, token)
            witness = Witness(told, herald)
            Controller(file, sources, witness, leads=leadership.holds).run()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _open_port(stack: ExitStack, told: Metrics, at: str, token: Token | None) -> None:
    """Serve the controller's metrics. A port that is taken costs the metrics, no rollback."""
    if at == "none":
        return
    try:
        where = stack.enter_context(metrics_port.serve(told, address(at), token))
        log.info("metrics served", at=str(where))
    except OSError as error:
        log.error("no metrics", at=at, why=str(error))
