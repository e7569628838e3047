"""Snapshots on disk: made from what there is, found again by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ..contract.contract import Contract
from ..models.catalogue import data, model_of
from .files import READ_ONLY, CannotUse, Clock, content_of, digest_of, now, stamp, write
from .prediction_log import Harvest, Wanted, harvest
from .rows import Labelled
from .snapshot import (
    BadSnapshot,
    Labels,
    Manifest,
    Snapshot,
    Source,
    is_snapshot,
    manifest_of,
    pack,
    unpack,
)
from .tables import labels_of, rows_of

PREDICTED: Final = "predicted"
ALL = Wanted()
_SHOWN = 16  # digits of a digest in a file's name
_ENDING = ".snapshot.jsonl"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where rows are to come from; all of them together. ``labels`` is a file, or ``predicted``."""

    bundled: bool = False
    files: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()
    labels: str = ""
    wanted: Wanted = ALL


@dataclass(frozen=True, slots=True)
class Shot:
    """A snapshot, where it is, and what stands beside it (None: nothing does)."""

    path: Path
    snapshot: Snapshot
    manifest: Manifest | None


def take(
    model: str, sources: Sources, holdout: float, out: Path, clock: Clock = now
) -> tuple[Shot, bool]:
    """Make a snapshot, and say whether there was none of the same content. Raises CannotUse."""
    contract = model_of(model).contract
    rows: list[Labelled] = []
    told: list[Source] = []
    kind: Labels = "given"
    if sources.bundled:
        known = data(model)
        answers = zip(*known.answers, strict=True)
        rows += [Labelled(row, said) for row, said in zip(known.rows, answers, strict=True)]
        synthetic = " (synthetic data)" if model_of(model).synthetic else ""
        told.append(Source("bundled", f"{model}{synthetic}", len(rows)))
    for path in sources.files:
        more, source, labels = _from_file(contract, path)
        rows += more
        told.append(source)
        kind = PREDICTED if labels == PREDICTED else kind
    if sources.logs:
        found, source = _from_logs(contract, sources)
        rows += found.rows
        told.append(source)
        kind = PREDICTED if sources.labels == PREDICTED else kind
    if not rows:
        raise CannotUse(f"there are no rows: {_dropped(told)}")
    content = pack(contract, rows, holdout, kind)
    digest = digest_of(content)
    path = out / f"{model}-{digest[:_SHOWN]}{_ENDING}"
    snapshot = unpack(contract, content, str(path))
    with suppress(CannotUse):  # one that is not there whole is made anew
        former = look(model, path)
        if former.manifest is not None:
            return former, False
    manifest = manifest_of(contract, snapshot, told, stamp(clock))
    write(path, content, READ_ONLY)
    write(manifest_at(path), msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return Shot(path, snapshot, manifest), True


def look(model: str, path: Path) -> Shot:
    """A snapshot that was made before; raises CannotUse, also if its bytes are not what its name
    says.
    """
    content = content_of(path)
    named = re.search(rf"-([0-9a-f]{{{_SHOWN}}}){re.escape(_ENDING)}$", path.name)
    if named and not digest_of(content).startswith(named[1]):
        raise CannotUse(
            f"{path} was changed: its SHA-256 begins with {digest_of(content)[:_SHOWN]}, which its "
            "name should say; make it anew with 'model-worker snapshot'"
        )
    try:
        snapshot = unpack(model_of(model).contract, content, str(path))
    except BadSnapshot as error:
        raise CannotUse(str(error)) from None
    beside = manifest_at(path)
    if not beside.exists():
        return Shot(path, snapshot, None)
    try:
        manifest = msgspec.json.decode(content_of(beside), type=Manifest)
    except msgspec.MsgspecError as error:
        raise CannotUse(f"{beside} is no manifest: {error}; make the snapshot anew") from None
    if manifest.snapshot != snapshot.digest:
        raise CannotUse(f"{beside} is of another snapshot; make this one anew")
    return Shot(path, snapshot, manifest)


def manifest_at(path: Path) -> Path:
    """Where the manifest of a snapshot stands."""
    return path.with_name(f"{path.name.removesuffix(_ENDING).removesuffix('.jsonl')}.manifest.json")


def _from_file(contract: Contract, path: Path) -> tuple[list[Labelled], Source, Labels]:
    content = content_of(path)
    if not is_snapshot(content):
        rows = rows_of(contract, path)
        return rows, Source("table", path.name, len(rows), digest_of(content)), "given"
    found = look(contract.model, path).snapshot
    rows = list(found.counts.elements())
    return rows, Source("snapshot", path.name, len(rows), found.digest), found.head.labels


def _from_logs(contract: Contract, sources: Sources) -> tuple[Harvest, Source]:
    files = [file for path in sources.logs for file in parts_of(path)]
    predicted = sources.labels == PREDICTED
    labels = None if predicted else labels_of(contract, Path(sources.labels))
    found = harvest(contract, _lines_of(files), sources.wanted, labels)
    if not sources.wanted.route and len(found.routes) > 1:
        raise CannotUse(f"the log has the routes {', '.join(sorted(found.routes))}; say --route")
    return found, Source(
        kind="log",
        name=", ".join(path.name for path in sources.logs),
        rows=len(found.rows),
        files=tuple(file.name for file in files),
        first=found.first.isoformat() if found.first else "",
        last=found.last.isoformat() if found.last else "",
        versions=dict(sorted(found.versions.items())),
        dropped={str(why): count for why, count in sorted(found.dropped.items())},
        labels=PREDICTED if predicted else Path(sources.labels).name,
    )


def parts_of(path: Path) -> list[Path]:
    """The files of a log, oldest first: itself, those that it became (``.1`` and so on), and the
    same of each process of a gateway. Raises CannotUse if there is none.
    """
    names = re.compile(
        rf"{re.escape(path.stem)}(\.\d+)?{re.escape(path.suffix)}(?:\.(\d+))?", re.ASCII
    )
    found = []
    for one in path.parent.glob(f"{path.stem}*") if path.parent.is_dir() else ():
        if match := names.fullmatch(one.name):
            found.append((match[1] or "", -int(match[2] or 0), one))
    if not found:
        raise CannotUse(f"{path} is not there; write the path that routing.yaml has for its log")
    return [one for _, _, one in sorted(found)]


def _lines_of(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        try:
            with file.open("rb") as lines:
                for line in lines:
                    yield line.rstrip(b"\n")
        except OSError as error:
            raise CannotUse(f"{file} cannot be read: {error.strerror}; make it readable") from None


def _dropped(told: list[Source]) -> str:
    dropped = [f"{count} {why}" for one in told for why, count in one.dropped.items()]
    return f"of the log were dropped {', '.join(dropped)}" if dropped else "the sources are empty"
