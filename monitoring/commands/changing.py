"""``set-weight``, ``rollback`` and ``promote``: edits of the routing file, and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.config import parse
from gateway.config.quantities import percent
from gateway.edit import Change, Promote, SetWeight
from gateway.model import Route
from monitoring import editing
from monitoring.commands.options import (
    DEFAULT_FILE,
    DryRun,
    File,
    Json,
    Reason,
    actor,
    content_of,
    print_json,
)
from monitoring.history import history_path

RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="The route's name.")]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="The candidate.")]
SomeVersion = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="The candidate; needless while only one has a weight."),
]
Percent = Annotated[
    str, typer.Argument(metavar="PERCENT", help="0 to 100 in steps of 0.01; 0 means not one more.")
]


def set_weight(
    route: RouteName,
    version: VersionName,
    weight: Percent,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Give a candidate its share of the requests; stable takes what is left."""
    try:
        basis_points = percent(weight)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    change = SetWeight(route, version, basis_points)
    _carry_out(file, change, "set-weight", reason, dry_run=dry_run, json=json)


def rollback(
    route: RouteName,
    version: SomeVersion = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a candidate out: weight 0, until a person gives it a weight again."""
    change = SetWeight(route, version or _only_candidate(file, route), 0)
    _carry_out(file, change, "rollback", reason, dry_run=dry_run, json=json)


def promote(
    route: RouteName,
    version: SomeVersion = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make a candidate stable; the former stable stays reachable, with weight 0."""
    change = Promote(route, version or _only_candidate(file, route))
    _carry_out(file, change, "promote", reason, dry_run=dry_run, json=json)


def _carry_out(
    file: Path, change: Change, action: str, reason: str, *, dry_run: bool, json: bool
) -> None:
    changed = editing.change(
        file,
        change,
        by=actor(),
        reason=reason,
        action=action,
        dry_run=dry_run,
        even_unrecorded=editing.is_rollback(change),
    )
    if changed.unrecorded:
        typer.echo(
            f"warning: {history_path(file)} could not be written, so the history will show this "
            f"as edited by hand; all the same it was done: {change.version} has weight 0. Make "
            "room, or the history writable for this user",
            err=True,
        )
    if json:
        print_json(asdict(changed) | {"dry_run": dry_run})
    elif changed.noop:
        typer.echo(f"{file} says so already; nothing was written")
    else:
        typer.echo(changed.diff, nl=False)
        if dry_run:
            typer.echo("dry run: nothing was written")


def _only_candidate(file: Path, name: str) -> str:
    """The one candidate with a weight. Raises typer.BadParameter where there is none, or
    several.
    """
    config = parse(content_of(file))
    found: Route | None = next((one for one in config.routes if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in config.routes)
        raise typer.BadParameter(f"{file} has no route {name!r}; it has {known}")
    weighted = [version.name for version in found.candidates if version.weight]
    if len(weighted) != 1:
        names = ", ".join(weighted) or "none"
        every = ", ".join(version.name for version in found.candidates) or "none"
        raise typer.BadParameter(
            f"name the version: candidates of {name} with a weight: {names}; all: {every}"
        )
    return weighted[0]
