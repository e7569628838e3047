"""``status``: what is served now, as the gateway sees it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gateway.config import parse
from gateway.errors import ConfigError
from gateway.model import generation_of
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    Admin,
    File,
    Json,
    TokenFile,
    content_of,
    print_json,
    token_of,
)
from monitoring.printable import shown
from monitoring.readings.agreement import disagreement
from monitoring.readings.endpoints import idle
from monitoring.readings.sources import GatewaySource, GatewaySources
from monitoring.summary import summary
from monitoring.terminal.lookout import Lookout
from monitoring.terminal.rows import view_of
from monitoring.terminal.sight import Sight
from monitoring.terminal.view import View
from monitoring.terminal.watch import watch as keep_watching

REFRESH: Final = 1.0  # seconds
AT_MOST: Final = 1.0  # seconds in which a gateway has taken a file that was saved just now
AGAIN: Final = 0.1  # seconds between two questions whether it has


def status(
    routes: Annotated[
        list[str] | None, typer.Argument(metavar="[ROUTE]...", help="With -w: these only.")
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Keep looking; into a pipe a line a change."),
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, help="With -w: seconds between two looks.")
    ] = REFRESH,
    file: File = DEFAULT_FILE,
    admin: Admin = DEFAULT_ADMIN,
    admin_token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """What is served, per route and version, and where each rollout stands and why."""
    if watch:
        _keep_looking(file, admin, admin_token_file, routes or [], interval, json=json)
        return
    if routes:
        raise typer.BadParameter("routes are chosen with -w; leave them away, or add -w")
    with GatewaySource(admin, token_of(admin_token_file)) as source:
        document, other = _settled(source, file)
    if json:
        print_json({**document, "disagreement": other, "rollouts": summary(file)})
        return
    told = [Text(shown(line)) for line in summary(file)]
    if other:
        told.insert(0, Text(shown(f"{other}; of {file} is what follows:"), style="red"))
    elif not file.exists():
        told.append(
            Text(shown(f"{file} is not here, so no rollout is told of; name it with --file"))
        )
    Console().print(Group(render(document), *told))


def _keep_looking(
    file: Path, admin: str, token: Path | None, routes: list[str], interval: float, *, json: bool
) -> None:
    """What goes on, until Ctrl-C. A route that a good file does not have is wrong use."""
    with suppress(ConfigError):
        known = [one.name for one in parse(content_of(file)).routes]
        for one in routes:
            if one not in known:
                raise typer.BadParameter(
                    f"there is no route {one!r} in {file}; write one of {', '.join(known)}"
                )
    with GatewaySources([admin], token_of(token)) as sources:
        lookout = Lookout(file, sources, clock=time.time, monotonic=time.monotonic)

        def look() -> tuple[Sight, View]:
            sight = lookout.look()
            return sight, view_of(sight, routes)

        keep_watching(look, interval, as_json=json, say=_say)


def _say(line: str) -> None:
    typer.echo(shown(line))
    sys.stdout.flush()


def _settled(source: GatewaySource, file: Path) -> tuple[Mapping[str, Any], str]:
    """What the gateway says, and that it serves another file, if it does: not only for the moment
    that it takes to see that this one was saved.
    """
    until = time.monotonic() + AT_MOST
    while True:
        document = source.status()
        try:
            generation = generation_of(content_of(file))
        except ConfigError:  # it is not here: what the gateway says is all there is
            return document, ""
        other = disagreement(file, generation, [document])
        if not other or time.monotonic() > until:
            return document, other
        time.sleep(AGAIN)


def render(document: Mapping[str, Any]) -> Group:
    """The status document as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("route", "version", "role"):
        table.add_column(heading, no_wrap=True)
    for heading in ("weight", "observed", "requests", "bad", "in flight"):
        table.add_column(heading, justify="right", no_wrap=True)
    why: list[Text] = []
    for route_name, route in document["routes"].items():
        heading = route_name
        for version, row in route["versions"].items():
            observed = row["observed"]
            if row["reasons"]:
                counted = ", ".join(f"{reason} {n}" for reason, n in row["reasons"].items())
                why.append(Text(f"why bad: {route_name} {version}: {counted}"))
            table.add_row(
                heading,
                version,
                row["role"],
                f"{row['weight']:g} %",
                "-" if observed is None else f"{observed:.2f} %",
                f"{row['assigned']:,}",
                f"{row['bad']:,}",
                str(row["in_flight"]),
            )
            heading = ""
        why += [Text(line) for line in idle(route_name, route["versions"])]
    file = document["file"]
    since = datetime.fromtimestamp(document["since"]).astimezone().strftime("%H:%M:%S")
    lines = [Text(f"{file['name']}, generation {document['generation']}, counted since {since}")]
    processes = document.get("processes", [])
    if len(processes) > 1 or document.get("restarts"):
        pids = ", ".join(str(one["pid"]) for one in processes)
        lines.append(Text(f"{len(processes)} processes ({pids}), {document['restarts']} restarts"))
    if not file["in_force"]:
        lines.append(Text("the file as it stands is refused; an older one serves:", style="red"))
        lines += [Text(f"  {problem}", style="red") for problem in file["problems"]]
    lines += [Text(f"warning: {remark}", style="yellow") for remark in file["warnings"]]
    return Group(*lines, table, *why)
