"""``model-worker snapshot``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .saying import JsonOption, ModelOption, done, known_model, refuse

if TYPE_CHECKING:
    from ..registry.shots import Shot

SNAPSHOTS = Path("snapshots")


def command(
    model: ModelOption,
    bundled: Annotated[bool, typer.Option("--bundled", help="The rows the model knows.")] = False,
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help=".csv, .jsonl or a snapshot; repeatable."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-log", metavar="FILE", help="A prediction log, with its rotated files."
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE|predicted",
            help="Right answers of the log by request_id; or what was answered.",
        ),
    ] = "",
    route: Annotated[str, typer.Option(help="Of the log; needed if it has several.")] = "",
    since: Annotated[
        datetime | None, typer.Option(help="Only lines of the log from this time on, UTC.")
    ] = None,
    exclude_version: Annotated[
        list[str] | None,
        typer.Option("--exclude-version", help="No lines that it answered; repeatable."),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="The share of rows that nothing learns from."),
    ] = 0.3,
    out: Annotated[Path, typer.Option(metavar="DIR")] = SNAPSHOTS,
    as_json: JsonOption = False,
) -> None:
    """Freeze data into a file named by its content: all sources that are named, together.

    Exit code: 0 made, or there already; 1 a source will not do; 2 wrong use.
    """
    from ..registry.files import CannotUse
    from ..registry.prediction_log import Wanted
    from ..registry.shots import Sources, take

    known_model(model)
    if not (bundled or files or logs):
        raise typer.BadParameter("say --bundled, --from FILE or --from-log FILE")
    if bool(logs) != bool(labels):
        raise typer.BadParameter("--from-log and --labels belong together")
    begun = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    wanted = Wanted(route, begun, frozenset(exclude_version or ()))
    sources = Sources(bundled, tuple(files or ()), tuple(logs or ()), labels, wanted)
    try:
        shot, new = take(model, sources, holdout, out)
    except CannotUse as error:
        refuse(str(error), as_json=as_json)
    document = {"path": str(shot.path), "new": new, "manifest": shot.manifest}
    done(_sentence(shot, new), document, as_json=as_json)


def _sentence(shot: Shot, new: bool) -> str:
    manifest = shot.manifest
    assert manifest is not None, "it was written just now"
    said = (
        f"{shot.path}: {manifest.rows} rows ({manifest.distinct} distinct, {manifest.held_out} "
        f"held out){'' if new else ', there already'}"
    )
    dropped = [f"{count} {why}" for one in manifest.sources for why, count in one.dropped.items()]
    if dropped:
        said += f"; dropped of the log: {', '.join(dropped)}"
    if manifest.labels_are == "predicted":
        said += "; its labels are what a model answered"
    return said
