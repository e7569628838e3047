"""``serve``: the gateway, and what runs beside it."""

from __future__ import annotations

import os
import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.config.quantities import percent
from monitoring.commands.console import command_of
from monitoring.commands.options import (
    DEFAULT_FILE,
    FileArgument,
    JsonLogs,
    TokenFile,
    address,
)

MOST_PROCESSES: Final = 64
SERVICE: Final = "monitoring.service"

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
