"""``status``: what is served now, as the gateway sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    Admin,
    File,
    Json,
    TokenFile,
    print_json,
    shown,
    token_of,
)
from monitoring.sources import GatewaySource
from monitoring.summary import summary

REFRESH: Final = 1.0  # seconds


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep looking.")] = False,
    file: File = DEFAULT_FILE,
    admin: Admin = DEFAULT_ADMIN,
    admin_token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """What is served, per route and version, and where each rollout stands and why."""
    with GatewaySource(admin, token_of(admin_token_file)) as source:
        if json:
            print_json({**source.status(), "rollouts": summary(file)})
        elif watch:
            _keep_looking(lambda: _shown(source, file))
        else:
            Console().print(_shown(source, file))


def _keep_looking(look: Callable[[], Group]) -> None:
    try:
        with Live(look(), console=Console(), auto_refresh=False) as live:
            while True:
                time.sleep(REFRESH)
                live.update(look(), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _shown(source: GatewaySource, file: Path) -> Group:
    return Group(render(source.status()), *(Text(shown(line)) for line in summary(file)))


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
        why += [Text(line) for line in _endpoints(route_name, route["versions"])]
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


def _endpoints(route: str, versions: Mapping[str, Any]) -> Iterator[str]:
    """A line for every endpoint that gets no requests, or should not."""
    for version, row in versions.items():
        # As the gateway decides; an older one does not tell whether they are ready.
        better = any(one.get("ready") and not one["ejected"] for one in row["endpoints"])
        for one in row["endpoints"]:
            silent = one.get("ready") is False
            if one["ejected"] and silent and better:
                what = "left out: failed again and again, and is not ready to be tried"
            elif one["ejected"]:
                what = "left out: failed again and again; one request tries it now and then"
            elif silent and better:
                what = "left out: not ready"
            elif silent:
                what = "not ready, but asked all the same: no other endpoint is"
            else:
                continue
            yield f"{route} {version} {one['url']}: {what}"
