"""``add-version`` and ``remove-version``: which versions a route has."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.config import parse
from gateway.edit import RemoveVersion, routed
from monitoring import verbs
from monitoring.commands.changing import RouteName, carry_out, known_way_back
from monitoring.commands.options import DEFAULT_FILE, DryRun, File, Json, Reason, content_of

NewVersion = Annotated[
    str, typer.Argument(metavar="VERSION", help="A name that no version had before.")
]
OldVersion = Annotated[
    str, typer.Argument(metavar="VERSION", help="A candidate with weight 0 that nothing names.")
]
Urls = Annotated[
    list[str],
    typer.Option(
        "--url", help="http://host:port, https://host:port or unix:/path; may be given again."
    ),
]
Readiness = Annotated[
    str,
    typer.Option("--readiness", metavar="PATH", help="Where an endpoint says that it is ready."),
]
Rollout = Annotated[
    bool, typer.Option("--rollout/--no-rollout", help="Whether it becomes the rollout's candidate.")
]
RolloutOf = Annotated[
    str | None,
    typer.Option("--rollout-of", metavar="OLD", help="Whose rollout, where there are several."),
]


def add_version(
    route: RouteName,
    version: NewVersion,
    url: Urls,
    readiness: Readiness = "",
    rollout: Rollout = True,
    rollout_of: RolloutOf = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Put a new version after the last one. It gets no request until somebody starts it."""
    if rollout_of is not None and not rollout:
        raise typer.BadParameter("--rollout-of says which rollout, --no-rollout says none")
    config = parse(content_of(file))
    change = verbs.add_version(
        config, route, version, url, readiness=readiness, rollout=rollout, rollout_of=rollout_of
    )
    seen = config.generation
    carry_out(file, change, "add-version", reason, dry_run=dry_run, json=json, if_generation=seen)


def remove_version(
    route: RouteName,
    version: OldVersion,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a candidate that gets nothing, and that nothing names, out of the file."""
    change = RemoveVersion(route, version)
    found = routed(parse(content_of(file)), route)
    needed = known_way_back(file, found) == version
    carry_out(file, change, "remove-version", reason, dry_run=dry_run, json=json)
    if needed:
        typer.echo(
            f"warning: {version} was stable before {found.stable}: without it the promotion of "
            f"{found.stable} cannot be taken back by canary rollback",
            err=True,
        )
