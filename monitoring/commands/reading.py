"""``check``, ``schema``, ``stable`` and ``explain``: what the file says."""

from __future__ import annotations

from dataclasses import asdict
from os import fsencode
from typing import Annotated

import typer

from gateway.config import parse, warnings
from gateway.config.schema import json_schema
from gateway.edit import routed
from gateway.errors import ConfigError
from gateway.security.tls import unusable_authority
from monitoring.commands.changing import RouteName
from monitoring.commands.options import (
    DEFAULT_FILE,
    File,
    FileArgument,
    Json,
    content_of,
    print_json,
)
from monitoring.explanation import explain as explanation


def check(file: FileArgument = DEFAULT_FILE, json: Json = False) -> None:
    """List everything wrong with a routing file; exit 2 if anything is."""
    try:
        content = content_of(file)
        config = parse(content, unusable_authority)
    except ConfigError as error:
        if json:
            print_json({"ok": False, "problems": [asdict(one) for one in error.problems]})
            raise typer.Exit(2) from None
        raise
    remarks = warnings(content)
    if json:
        problems = [asdict(one) for one in remarks]
        print_json({"ok": True, "generation": config.generation, "warnings": problems})
        return
    for remark in remarks:
        typer.echo(f"warning: {remark.render(str(file))}", err=True)
    routes = "1 route" if len(config.routes) == 1 else f"{len(config.routes)} routes"
    typer.echo(f"{file}: good, generation {config.generation}, {routes}")


def schema(
    json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = True,
) -> None:
    """Print the JSON Schema of the routing file, for editors."""
    print_json(json_schema())


def stable(route: RouteName, file: File = DEFAULT_FILE, json: Json = False) -> None:
    """Print the name of a route's stable version; for scripts."""
    name = routed(parse(content_of(file)), route).stable
    if json:
        print_json({"route": route, "stable": name})
    else:
        typer.echo(name)


def explain(
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A request header, 'Name: value'.")
    ] = None,
    path: Annotated[str, typer.Option("--path", "-p", help="The path of the request.")] = "/",
    file: File = DEFAULT_FILE,
    json: Json = False,
) -> None:
    """Which version would a request get, and why."""
    fields: dict[bytes, bytes] = {}
    for line in header or []:
        name, separator, value = line.partition(":")
        if not separator:
            raise typer.BadParameter(f"{line!r} is no header; write it as 'Name: value'")
        fields[fsencode(name.strip().lower())] = fsencode(value.strip())
    answer = explanation(parse(content_of(file)), fsencode(path), fields)
    if json:
        print_json(asdict(answer))
    else:
        typer.echo(answer.sentence)
