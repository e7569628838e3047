"""``start``, ``pause``, ``resume``, ``set-weight``, ``rollback`` and ``promote``: edits of the
routing file, and nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.config import parse
from gateway.config.quantities import percent
from gateway.edit import Change, Restore, SetWeight
from gateway.errors import EditRefused
from gateway.model import Route
from monitoring import editing, verbs
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
from monitoring.editing import Changed
from monitoring.history import changes
from monitoring.history.promotions import way_back

RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="The route's name.")]
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help="The candidate.")]
SomeVersion = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="The candidate; needless while only one has a weight."),
]
SomeRollout = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="The candidate; needless if only one can be meant."),
]
Percent = Annotated[
    str, typer.Argument(metavar="PERCENT", help="0 to 100 in steps of 0.01; 0 means not one more.")
]


def start(
    route: RouteName,
    version: SomeRollout = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Give a candidate its first weight, that of the first step of its rollout."""
    _follow(verbs.start, file, route, version, reason, dry_run=dry_run, json=json)


def pause(
    route: RouteName,
    version: SomeRollout = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Keep a rollout where it is, until `canary resume`."""
    _follow(verbs.pause, file, route, version, reason, dry_run=dry_run, json=json)


def resume(
    route: RouteName,
    version: SomeRollout = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let a paused rollout go on, or one that waits at a step with `pause: forever`."""
    _follow(verbs.resume, file, route, version, reason, dry_run=dry_run, json=json)


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
    carry_out(file, change, "set-weight", reason, dry_run=dry_run, json=json)


def rollback(
    route: RouteName,
    version: SomeVersion = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a candidate out: weight 0, until a person gives it a weight again. Where none has a
    weight, or VERSION is the stable one, its promotion is taken back: the former is stable again.
    """
    change = _rolled_back(file, route, version)
    try:
        done = carry_out(file, change, "rollback", reason, dry_run=dry_run, json=json)
    except EditRefused:
        if isinstance(change, Restore):
            raise
        # Perhaps it was promoted at this very moment: it is to get no request all the same.
        change = _rolled_back(file, route, change.version)
        done = carry_out(file, change, "rollback", reason, dry_run=dry_run, json=json)
    if done.noop and (hint := _not_the_way_back(file, route, change.version)):
        typer.echo(f"warning: {hint}", err=True)


def _rolled_back(file: Path, route: str, version: str | None) -> SetWeight | Restore:
    return verbs.rollback(parse(content_of(file)), route, version, lambda: changes.read(file))


def _not_the_way_back(file: Path, route: str, version: str) -> str:
    """For who names the former stable version, and would have it back: what to say instead."""
    found = parse(content_of(file)).route(route)
    if known_way_back(file, found) != version:
        return ""
    return (
        f"{version} got no request anyway; to make it stable again in the place of "
        f"{found.stable}: canary rollback {route} {found.stable}"
    )


def known_way_back(file: Path, route: Route) -> str:
    """Who was stable before; empty where the history cannot be read: a remark stops no edit."""
    with suppress(OSError):
        return way_back(route, changes.read(file))
    return ""


def promote(
    route: RouteName,
    version: SomeVersion = None,
    file: File = DEFAULT_FILE,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make a candidate stable; the former stable stays reachable, with weight 0."""
    _follow(verbs.promote, file, route, version, reason, dry_run=dry_run, json=json)


def _follow(
    verb: verbs.Verb,
    file: Path,
    route: str,
    version: str | None,
    reason: str,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    """Do what the word means for the file as it is; saved in between, that is a conflict."""
    config = parse(content_of(file))
    change = verb(config, route, version)
    seen = config.generation
    carry_out(file, change, verb.__name__, reason, dry_run=dry_run, json=json, if_generation=seen)


def carry_out(
    file: Path,
    change: Change,
    action: str,
    reason: str,
    *,
    dry_run: bool,
    json: bool,
    if_generation: str | None = None,
) -> Changed:
    """Make a change and print what it was; ``if_generation`` is the file by which it was chosen,
    where it depends on it.
    """
    changed = editing.carry_out(
        file,
        change,
        by=actor(),
        reason=reason,
        action=action,
        if_generation=if_generation,
        dry_run=dry_run,
    )
    if changed.unrecorded:
        warning = editing.unrecorded_warning(file, change.version)
        typer.echo(f"warning: {warning}", err=True)
    if json:
        print_json(asdict(changed) | {"dry_run": dry_run})
    elif changed.noop:
        typer.echo(f"{file} says so already; nothing was written")
    else:
        typer.echo(changed.diff, nl=False)
        if dry_run:
            typer.echo("dry run: nothing was written")
    return changed
