"""The one function through which every machine changes traffic: command, console and controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from gateway.config import parse
from gateway.edit import Change, Restore, SetWeight, diff
from gateway.errors import ConfigError
from gateway.files import reserve, routing_file
from gateway.files.reloader import missing, read_settled
from gateway.files.routing_file import EditResult
from gateway.model import Route
from monitoring.history import changes


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did, or would do.

    ``before`` and ``after`` are the shares of the route's versions in percent, stable included;
    ``generation`` is the file's afterwards. ``former`` was stable before, where another version is
    afterwards. ``noop``: the file said so already, nothing was written. ``unrecorded``: what the
    history could not take, for :func:`changes.record_late`.
    """

    diff: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    before_generation: str
    generation: str
    former: str
    noop: bool
    unrecorded: changes.Entry | None = None


def is_rollback(change: Change) -> bool:
    """Whether a change takes a version out: what may happen unrecorded rather than not at all."""
    return isinstance(change, Restore) or (isinstance(change, SetWeight) and change.weight_bp == 0)


def content_of(file: Path) -> bytes:
    """What the routing file says. Raises ConfigError if it cannot be read: it is refused then."""
    try:
        return read_settled(file)
    except OSError as error:
        raise ConfigError((missing(file, error),)) from error


def prepare(path: Path) -> str:
    """Keep in place what a rollback needs on a full disk; to be called at the start and after each
    change. Gives why that cannot be, as a sentence, else an empty text.
    """
    try:
        with routing_file.locked(path) as target:
            reserve.prepare(target)
    except OSError as error:
        return (
            f"{error.filename or path}: {error.strerror}; no space can be kept for a rollback on "
            "a full disk: free some, or make the directory writable for this user"
        )
    return ""


def carry_out(
    path: Path,
    what: Change,
    *,
    by: str,
    reason: str,
    action: str,
    if_generation: str | None = None,
    dry_run: bool = False,
    clock: changes.Clock = time,
) -> Changed:
    """A change as a person makes it, at the command line or in the console: :func:`change`, where
    a rollback happens even unrecorded, and after any other the way back is made sure of.
    """
    changed = change(
        path,
        what,
        by=by,
        reason=reason,
        action=action,
        if_generation=if_generation,
        dry_run=dry_run,
        even_unrecorded=is_rollback(what),
        clock=clock,
    )
    if not (dry_run or changed.noop or is_rollback(what)):
        prepare(path)  # for the way back, should the disk be full by then
    return changed


def unrecorded_warning(path: Path, version: str) -> str:
    """What to say of a rollback that the history could not take."""
    return (
        f"{changes.history_path(path)} could not be written, so the history will show this "
        f"as edited by hand; all the same it was done: {version} has weight 0. Make "
        "room, or the history writable for this user"
    )


def change(
    path: Path,
    change: Change,
    *,
    by: str,
    reason: str,
    action: str,
    if_generation: str | None = None,
    dry_run: bool = False,
    even_unrecorded: bool = False,
    clock: changes.Clock = time,
) -> Changed:
    """Change the file and record who did it and why; with ``dry_run`` only say what would change.

    ``by`` is the actor (``cli:alice``, ``controller``, ``console``), ``action`` the word of the
    command (``set-weight``, ``rollback``, ``promote``). ``if_generation`` is the file the decision
    was based on; None takes it as it is. Errors are those of
    :func:`gateway.files.routing_file.edit`.

    What cannot be recorded is not done. Only a rollback is, with ``even_unrecorded``, which also
    lets it use the space that :func:`prepare` keeps; ValueError for any other change.
    """
    if even_unrecorded and not is_rollback(change):
        raise ValueError(f"only a rollback may go unrecorded, not {change}")
    unrecorded: list[changes.Entry] = []

    def recorded(result: EditResult) -> AbstractContextManager[None]:
        changed = _changed(path, change, result)
        entry = changes.Entry(
            id=changes.new_id(),
            at=changes.timestamp(clock()),
            by=by,
            action=action,
            route=change.route,
            version=change.version,
            reason=_why(change, reason),
            before=changed.before,
            after=changed.after,
            before_hash=changed.before_generation,
            after_hash=changed.generation,
            diff=changed.diff,
            former=changed.former,
        )
        if even_unrecorded:
            return _recorded_if_possible(result, entry, clock, unrecorded)
        return changes.recorded(result.path, entry, clock)

    if dry_run:
        result = routing_file.preview(path, change, if_generation=if_generation)
    else:
        result = routing_file.edit(
            path,
            change,
            if_generation=if_generation,
            around_write=recorded,
            use_reserve=even_unrecorded,
        )
    return replace(_changed(path, change, result), unrecorded=next(iter(unrecorded), None))


@contextmanager
def _recorded_if_possible(
    result: EditResult,
    entry: changes.Entry,
    clock: changes.Clock,
    unrecorded: list[changes.Entry],
) -> Iterator[None]:
    """Write ahead, or else afterwards, when the change may have made room; what cannot be written
    even then is put into the list.
    """
    with ExitStack() as stack:
        ahead = False
        with suppress(OSError):
            _write_ahead(stack, result, entry, clock)
            ahead = True
        yield
    if not ahead:
        try:
            changes.record_late(result.path, entry, clock)
        except OSError:
            unrecorded.append(entry)


def _write_ahead(
    stack: ExitStack, result: EditResult, entry: changes.Entry, clock: changes.Clock
) -> None:
    """On a full disk in the space that the reserve does not need itself. Raises OSError."""
    try:
        stack.enter_context(changes.recorded(result.path, entry, clock))
    except OSError as error:
        needed = len(result.after.content)
        if error.errno not in reserve.FULL or not reserve.shrink(result.path, needed):
            raise
        stack.enter_context(changes.recorded(result.path, entry, clock))


def _changed(path: Path, change: Change, result: EditResult) -> Changed:
    before, after = result.before, result.after
    was, now = (parse(each.content).route(change.route) for each in (before, after))
    return Changed(
        diff=diff(before.content, after.content, path.name),
        before=_shares(was),
        after=_shares(now),
        before_generation=before.generation,
        generation=after.generation,
        former=was.stable if was.stable != now.stable else "",
        noop=result.noop,
    )


def _why(change: Change, reason: str) -> str:
    """Of a promotion that is taken back first what that means: the shares alone do not say it."""
    if not isinstance(change, Restore):
        return reason
    return f"{change.sentence}: {reason}" if reason else change.sentence


def _shares(route: Route) -> dict[str, float]:
    return {version.name: route.weight(version.name) / 100 for version in route.versions}
