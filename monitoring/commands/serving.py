"""``serve`` and ``controller``: the two long-running processes."""

from __future__ import annotations

import os
import signal
import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.config import parse
from gateway.logs import adopt_others, configure_logs
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    FileArgument,
    TokenFile,
    address,
    content_of,
    token_of,
)
from monitoring.controller import Controller
from monitoring.sources import GatewaySources

MOST_PROCESSES: Final = 64

JsonLogs = Annotated[
    bool, typer.Option("--json", help="Log JSON on a terminal, too; elsewhere it is JSON anyway.")
]


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
    no_controller: Annotated[
        bool, typer.Option("--no-controller", help="Start no controller beside the gateway.")
    ] = False,
    json: JsonLogs = False,
) -> None:
    """Serve clients according to the routing file until SIGTERM; reload it when it changes. The
    controller runs beside it and ends with it.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise typer.BadParameter(f"--processes {processes}; write 1 to {MOST_PROCESSES}")
    # The command line weighs as much as the gateway. This process becomes one that has none; it
    # says what is wrong with the file or the ports, and exits, as any other command does.
    options = ["--listen", str(address(listen)), "--admin", str(address(admin))]
    files = {
        "--admin-token-file": admin_token_file,
        "--tls-cert": tls_cert,
        "--tls-key": tls_key,
        "--admin-tls-cert": admin_tls_cert,
        "--admin-tls-key": admin_tls_key,
    }
    for name, path in files.items():
        options += [] if path is None else [name, str(path)]
    options += ["--processes", str(processes), *(["--json"] if json else [])]
    if not no_controller:
        options += ["--companion", dumps(_controller_of(file, admin_token_file, json=json))]
    options += ["--", str(file)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "gateway", *options])


def _controller_of(file: Path, admin_token_file: Path | None, *, json: bool) -> list[str]:
    """The command of a controller beside the gateway, which tells it by CANARY_ADMIN where to ask,
    and hands on a token of the environment.
    """
    command = [sys.executable, "-P", "-m", "monitoring", "controller"]
    command += [] if admin_token_file is None else ["--admin-token-file", str(admin_token_file)]
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
    admin_token_file: TokenFile = None,
    json: JsonLogs = False,
) -> None:
    """Watch the candidates of routes with `analysis`, and roll back what is proven worse."""
    configure_logs(json=json)
    adopt_others()
    token = token_of(admin_token_file)
    parse(content_of(file))  # one that is refused now is wrong use, not a state to wait in
    # Python does nothing on SIGTERM by itself, and as process 1 of a container nothing else would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with GatewaySources([gateway], token) as sources:
            Controller(file, sources).run()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
