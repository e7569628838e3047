"""Reading ``routing.yaml``, and the one way a machine changes it.

Machines queue at a lock beside the file. People and their editors know of no lock: for them the
content hash decides, up to the moment of the rename (see :mod:`gateway.files.atomic`). A symbolic
link is followed once; lock, temporary file and result lie beside its target, and the link survives.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from gateway.edit import Change, apply
from gateway.errors import EditFailed, StaleEdit
from gateway.files import atomic
from gateway.files.neighbour import open_lock
from gateway.model import generation_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The file's text at one moment, and its name."""

    content: bytes
    generation: str


@dataclass(frozen=True, slots=True)
class EditResult:
    """The file (a link's target) before and after a change; the same if it said so already."""

    path: Path
    before: Snapshot
    after: Snapshot

    @property
    def noop(self) -> bool:
        """Whether there was nothing to do, and so nothing was written."""
        return self.before == self.after


Around = Callable[[EditResult], AbstractContextManager[None]]
"""Entered when everything is decided and nothing written; left when the file is in place, or with
the error because of which it is not.
"""


def read(path: Path) -> Snapshot:
    """The file as it is. Raises OSError."""
    content = path.read_bytes()
    return Snapshot(content, generation_of(content))


def preview(path: Path, change: Change, *, if_generation: str | None = None) -> EditResult:
    """What :func:`edit` would do now, with the same errors. Writes nothing."""
    with _explained(path):
        return _plan(resolve(path), change, if_generation)


def edit(
    path: Path,
    change: Change,
    *,
    if_generation: str | None = None,
    around_write: Around | None = None,
    use_reserve: bool = False,
) -> EditResult:
    """Make the change if the file still has the generation the decision was based on (None: any);
    with ``use_reserve`` on a full disk, too (see :mod:`gateway.files.reserve`).

    Raises :class:`StaleEdit` if it has not, or if somebody saves it meanwhile; the errors of
    :func:`gateway.edit.apply`; :class:`EditFailed` if the file system refuses. In all these cases
    nothing was written.
    """
    with _explained(path), locked(path) as target:
        atomic.recover(target)
        result = _plan(target, change, if_generation)
        if result.noop:
            return result
        with around_write(result) if around_write else nullcontext():
            if resolve(path) != target:
                # The link was swapped, as GitOps and Kubernetes do: the file is another one now.
                raise StaleEdit(result.before.generation, read(path).generation)
            before, after = result.before.content, result.after.content
            atomic.replace_if(target, before, after, use_reserve=use_reserve)
        return result


def resolve(path: Path) -> Path:
    """The file itself, where ``path`` is a symbolic link; its neighbours lie beside this one."""
    return Path(os.path.realpath(path))


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Keep other machine edits out; gives the resolved path. Raises OSError.

    The lock ends with its holder, however that ends. Its file stays: removing it would let two
    processes hold one lock each.
    """
    target = resolve(path)
    lock = target.with_name(f".{target.name}.lock")
    descriptor = open_lock(lock, target)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(descriptor)


def _plan(path: Path, change: Change, if_generation: str | None) -> EditResult:
    before = read(path)
    if if_generation not in (None, before.generation):
        raise StaleEdit(str(if_generation), before.generation)
    content = apply(before.content, change)
    return EditResult(path, before, Snapshot(content, generation_of(content)))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says into what an operator can act upon."""
    try:
        yield
    except FileNotFoundError:
        raise EditFailed(f"{path}: there is no such file; name the routing.yaml to edit") from None
    except OSError as error:
        raise EditFailed(
            f"{error.filename or path}: {error.strerror}; an edit writes its row of the "
            f"history, and a new file beside {path.name} that it renames, so the directory needs "
            "space and must be writable for this user; nothing was changed"
        ) from error
