"""``serve`` and ``controller``: the two long-running processes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from importlib.metadata import version
from json import dumps
from pathlib import Path
from time import time
from typing import Annotated, Final

import typer

from gateway.config import parse
from gateway.config.quantities import percent
from gateway.logs import Log, adopt_others, configure_logs
from gateway.security.credential import Token
from monitoring.commands.console import command_of
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    FileArgument,
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

MOST_PROCESSES: Final = 64
SERVICE: Final = "monitoring.service"
_LAST_NOTICES: Final = 2.0  # seconds that notices under way are given at the end

log = Log()

AccessPath = Annotated[
    str | None, typer.Option(help="Write down all requests there: a path, or - for stdout.")
]
AccessSample = Annotated[str, typer.Option(help="Percent of the requests that are, by request id.")]


def serve(
    file: FileArgument = DEFAULT_FILE,
    listen: Annotated[
        str, typer.Option(help="Where clients connect, HOST:PORT.")
    ] = "127.0.0.1:8080",
    admin: Annotated[
        str, typer.Option(help="The admin port: metrics, health, state.")
    ] = "127.0.0.1:8081",
    admin_token_file: TokenFile = None,
    processes: Annotated[
        int, typer.Option(help="Processes that share the port, one a core; 1: all in this one.")
    ] = 1,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate and chain for clients, PEM: speak TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    admin_tls_cert: Annotated[
        Path | None, typer.Option(help="The same for the admin port.")
    ] = None,
    admin_tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    traces: Annotated[
        bool, typer.Option("--traces", help="Export spans by OTLP; needs the extra `otel`.")
    ] = False,
    access_log: AccessPath = None,
    access_log_sample: AccessSample = "100",
    no_controller: Annotated[
        bool, typer.Option("--no-controller", help="Start no controller beside the gateway.")
    ] = False,
    controller_metrics: Annotated[
        str | None, typer.Option(help="As --metrics of the controller.")
    ] = None,
    no_console: Annotated[
        bool, typer.Option("--no-console", help="Serve no console on the admin port.")
    ] = False,
    json: JsonLogs = False,
) -> None:
    """Serve clients according to the routing file until SIGTERM; reload it when it changes. The
    controller and the console run beside it and end with it.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise typer.BadParameter(f"--processes {processes}; write 1 to {MOST_PROCESSES}")
    # The command line weighs as much as the gateway. This process becomes one that has none; it
    # says what is wrong with the file or the ports, and exits, as any other command does.
    options = ["--listen", str(address(listen)), "--admin", str(address(admin))]
    names = ("--admin-token-file", "--tls-cert", "--tls-key", "--admin-tls-cert", "--admin-tls-key")
    paths = (admin_token_file, tls_cert, tls_key, admin_tls_cert, admin_tls_key)
    for name, path in zip(names, paths, strict=True):
        options += [] if path is None else [name, str(path)]
    options += ["--processes", str(processes), *_access(access_log, access_log_sample)]
    options += [*(["--json"] if json else []), *(["--traces"] if traces else [])]
    if not no_controller:
        beside = _controller_of(file, admin_token_file, controller_metrics, json=json)
        options += ["--companion", dumps(beside)]
    elif controller_metrics is not None:
        raise typer.BadParameter("--controller-metrics with --no-controller; give one of them")
    if not no_console:
        options += ["--console", dumps(command_of(file, admin_token_file, json=json))]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", SERVICE, *options, "--", str(file)])


def _access(path: str | None, sample: str) -> list[str]:
    try:
        percent(sample)
    except ValueError as error:
        raise typer.BadParameter(f"--access-log-sample {error}") from None
    return [] if path is None else ["--access-log", path, "--access-log-sample", sample]


def _controller_of(
    file: Path, admin_token_file: Path | None, metrics: str | None, *, json: bool
) -> list[str]:
    """The command of a controller beside the gateway, which tells it by CANARY_ADMIN where to ask,
    and hands on a token of the environment. Raises typer.BadParameter.
    """
    if metrics not in (None, "none"):
        address(metrics)  # one that is none is wrong use here, not later
    command = [sys.executable, "-P", "-m", "monitoring", "controller"]
    command += [] if admin_token_file is None else ["--admin-token-file", str(admin_token_file)]
    command += [] if metrics is None else ["--metrics", metrics]
    return [*command, *(["--json"] if json else []), "--", str(file)]


def controller(
    file: FileArgument = DEFAULT_FILE,
    gateway: Annotated[
        str,
        typer.Option(
            help="The admin port of the gateway; of several, with commas between them.",
            envvar="CANARY_ADMIN",
        ),
    ] = DEFAULT_ADMIN,
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
