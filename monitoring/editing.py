"""The one function through which every machine changes traffic: command, console and controller."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import time

from gateway import routing_file
from gateway.config import parse
from gateway.edit import Change, diff
from gateway.routing_file import EditResult
from monitoring import history


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did, or would do.

    ``before`` and ``after`` are the shares of the route's versions in percent, stable included;
    ``generation`` is the file's afterwards. ``noop``: the file said so already, nothing was
    written.
    """

    diff: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    before_generation: str
    generation: str
    noop: bool


def change(
    path: Path,
    change: Change,
    *,
    by: str,
    reason: str,
    action: str,
    if_generation: str | None = None,
    dry_run: bool = False,
    clock: history.Clock = time,
) -> Changed:
    """Change the file and record who did it and why; with ``dry_run`` only say what would change.

    ``by`` is the actor (``cli:alice``, ``controller``, ``console``), ``action`` the word of the
    command (``set-weight``, ``rollback``, ``promote``). ``if_generation`` is the file the decision
    was based on; None takes it as it is. Errors are those of :func:`gateway.routing_file.edit`.
    """

    def recorded(result: EditResult) -> AbstractContextManager[None]:
        changed = _changed(path, change, result)
        entry = history.Entry(
            id=history.new_id(),
            at=history.timestamp(clock()),
            by=by,
            action=action,
            route=change.route,
            version=change.version,
            reason=reason,
            before=changed.before,
            after=changed.after,
            before_hash=changed.before_generation,
            after_hash=changed.generation,
            diff=changed.diff,
        )
        return history.recorded(result.path, entry, clock)

    if dry_run:
        result = routing_file.preview(path, change, if_generation=if_generation)
    else:
        result = routing_file.edit(path, change, if_generation=if_generation, around_write=recorded)
    return _changed(path, change, result)


def _changed(path: Path, change: Change, result: EditResult) -> Changed:
    before, after = result.before, result.after
    return Changed(
        diff=diff(before.content, after.content, path.name),
        before=_shares(before.content, change.route),
        after=_shares(after.content, change.route),
        before_generation=before.generation,
        generation=after.generation,
        noop=result.noop,
    )


def _shares(content: bytes, name: str) -> dict[str, float]:
    route = parse(content).route(name)
    return {version.name: route.weight(version.name) / 100 for version in route.versions}
