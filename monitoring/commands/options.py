"""The options and arguments that commands share."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.machine.port import Address
from gateway.security.credential import FILE_VARIABLE, TOKEN_VARIABLE, Token, TokenError, find_token
from monitoring.editing import content_of as content_of

File = Annotated[Path, typer.Option("--file", "-f", help="The routing file.", envvar="CANARY_FILE")]
FileArgument = Annotated[Path, typer.Argument(help="The routing file.", envvar="CANARY_FILE")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the history.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would change.")]
Admin = Annotated[
    str, typer.Option("--admin", help="The admin port of the gateway.", envvar="CANARY_ADMIN")
]
Gateways = Annotated[
    str,
    typer.Option(
        "--gateway",
        help="The admin port of the gateway; of several, with commas between them.",
        envvar="CANARY_ADMIN",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--admin-token-file",
        help=f"Holds the token of the admin port, which may also be in {TOKEN_VARIABLE}.",
        envvar=FILE_VARIABLE,
    ),
]

JsonLogs = Annotated[
    bool, typer.Option("--json", help="Log JSON on a terminal, too; elsewhere it is JSON anyway.")
]

DEFAULT_FILE = Path("routing.yaml")
DEFAULT_ADMIN = "http://127.0.0.1:8081"


def address(text: str) -> Address:
    """``127.0.0.1:8080``, ``[::1]:8080`` or ``:8080``. Raises typer.BadParameter."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(f"{text!r} is not an address; write HOST:PORT, as 127.0.0.1:8080")
    return Address(host.strip("[]") or "127.0.0.1", int(port))


def token_of(file: Path | None) -> Token | None:
    """What to bring to the admin port, if anything. Raises typer.BadParameter."""
    try:
        return find_token(file, os.environ)
    except TokenError as error:
        raise typer.BadParameter(str(error)) from error


def actor() -> str:
    """Who is at the command line, for the history."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def print_json(document: Any) -> None:
    """One document, for programs."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    # JSON lets some control characters through, and halves of characters no terminal can write.
    typer.echo(
        "".join(
            one if one.isprintable() or one == "\n" else json.dumps(one).strip('"') for one in text
        ).replace("\x7f", "\\u007f")
    )
