"""The command ``canary``. Exit codes: 0 done, 1 could not, 2 wrong use or a refused file."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from gateway.errors import ConfigError, EditRefused, GatewayError
from monitoring.commands.options import DEFAULT_FILE

# Where each command is, in the order of the help.
COMMANDS: Final = {
    "demo": "demo",
    "serve": "serving",
    "controller": "controlling",
    "console": "console",
    "check": "reading",
    "schema": "reading",
    "stable": "reading",
    "status": "status",
    "verdict": "verdict",
    "explain": "reading",
    "add-version": "versions",
    "remove-version": "versions",
    "start": "changing",
    "pause": "changing",
    "resume": "changing",
    "set-weight": "changing",
    "rollback": "changing",
    "promote": "changing",
    "history": "past",
    "replay": "past",
}


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands. What one needs is imported with it, and that of all
    takes twice as long as most commands.
    """
    app = typer.Typer(
        help="Put a new model version in front of real traffic, safely.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    app.callback(invoke_without_command=True)(_main)
    for name in names:
        module = import_module(f"monitoring.commands.{COMMANDS[name]}")
        app.command(name)(getattr(module, name.replace("-", "_")))
    return app


def _main(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(version("canary-gateway"))
        raise typer.Exit(0)


def main() -> None:
    """Run a command; say what went wrong in one sentence each, never with a traceback."""
    app = application([word for word in sys.argv[1:2] if word in COMMANDS] or COMMANDS)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        # Only this names the option; of what concerns none it would say that a value is invalid.
        named = getattr(error, "param", None) is not None
        said = (error.format_message() if named else str(error)).rstrip(".")
        if not said:  # no command at all: typer has printed the help
            sys.exit(2)
        _complain(f"error: {said}; see canary --help", [said], 2)
    except typer.Abort:
        sys.exit(1)
    except ConfigError as error:
        problems = [problem.render(_file_name()) for problem in error.problems]
        _complain("\n".join(problems), problems, 2)
    except EditRefused as error:
        _complain(f"error: {error}", [str(error)], 2)
    except OSError as error:
        remedy = "; choose another address" if error.errno == errno.EADDRINUSE else ""
        _complain(f"error: {error}{remedy}", [f"{error}{remedy}"], 1)
    except GatewayError as error:
        _complain(f"error: {error}", [str(error)], 1)


def _complain(text: str, problems: list[str], code: int) -> None:
    """On stderr for people; as JSON on stdout for programs that asked for it."""
    if "--json" in sys.argv:
        typer.echo(json.dumps({"ok": False, "errors": problems}, indent=2))
    else:
        typer.echo(text, err=True)
    sys.exit(code)


def _file_name() -> str:
    """The routing file that a command is about, for messages."""
    named = [argument for argument in sys.argv[1:] if argument.endswith((".yaml", ".yml"))]
    return named[-1] if named else os.environ.get("CANARY_FILE") or str(DEFAULT_FILE)
