"""``console``: the pages, in a process of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.admin.hidden_socket import SOCKET_VARIABLE
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    FileArgument,
    Gateways,
    JsonLogs,
    TokenFile,
    address,
)

MODULE: Final = "monitoring.console"


def command_of(file: Path, admin_token_file: Path | None, *more: str, json: bool) -> list[str]:
    """What becomes a console of this file, without the weight of a command line. Beside a gateway
    the environment tells it the rest.
    """
    command = [sys.executable, "-P", "-m", MODULE, *more]
    command += [] if admin_token_file is None else ["--admin-token-file", str(admin_token_file)]
    return [*command, *(["--json"] if json else []), "--", str(file)]


def console(
    file: FileArgument = DEFAULT_FILE,
    gateway: Gateways = DEFAULT_ADMIN,
    listen: Annotated[
        str, typer.Option(help="Where browsers connect, HOST:PORT.")
    ] = "127.0.0.1:8084",
    socket: Annotated[
        Path | None,
        typer.Option(help="A Unix socket in place of --listen.", envvar=SOCKET_VARIABLE),
    ] = None,
    admin_token_file: TokenFile = None,
    json: JsonLogs = False,
) -> None:
    """Serve the console alone: the gateway's own is on its admin port already, started by serve."""
    at = ["--listen", str(address(listen))] if socket is None else ["--socket", str(socket)]
    command = command_of(file, admin_token_file, "--gateway", gateway, *at, json=json)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)
