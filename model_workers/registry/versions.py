"""The versioned folder: ``DIR/MODEL/VERSION/``, written once, checked whenever it is read.

A version is made in a directory beside, which then gets its name in one step: at any instant there
is a whole version or none. Nothing in it is ever changed, and nothing is called ``latest``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..contract.fingerprint import fingerprint
from ..models.catalogue import model_of
from ..predictors.trained import TrainedPredictor
from ..training.artefact import ArtefactError, note_in, read
from .files import READ_ONLY, CannotUse, digest_of, make, put, sync
from .manifest import Registered, lasting

ARTEFACT, MANIFEST = "model.skops", "manifest.json"
GATE, EVALUATION, SUMS = "gate.json", "evaluation.json", "SHA256SUMS"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FORBIDDEN = ("latest",)
_SUM = re.compile(r"([0-9a-f]{64})  ([\w.]+)", re.ASCII)
_DIRECTORY_MODE = 0o555


def check_name(version: str) -> None:
    """Raise CannotUse for what is no name of a version."""
    if not _NAME.fullmatch(version):
        raise CannotUse(
            f"{version[:70]!r} is no name of a version; write letters, digits, '.', '_' and '-', "
            "63 at most"
        )
    if version.lower() in _FORBIDDEN:
        raise CannotUse(f"{version!r} would mean another model tomorrow; name this one")


def add(registry: Path, model: str, version: str, files: dict[str, bytes]) -> bool:
    """Put a version in place; False if the same is there already. Raises CannotUse if another one
    has this name, or it cannot be written: then all is as it was.
    """
    check_name(version)
    folder = registry / model
    listed = {name: digest_of(content) for name, content in sorted(files.items())}
    sums = "".join(f"{digest}  {name}\n" for name, digest in listed.items())
    try:
        make(folder)
        with _alone(folder):
            _sweep(folder)
            if (folder / version).is_dir():
                _compare(folder / version, files)
                return False
            beside = folder / f".{version}.{os.getpid()}.tmp"
            beside.mkdir()
            for name, content in (*files.items(), (SUMS, sums.encode())):
                put(beside / name, content, READ_ONLY)
            sync(beside)
            beside.chmod(_DIRECTORY_MODE)
            beside.rename(folder / version)
            sync(folder)
    except OSError as error:
        raise CannotUse(
            f"{folder / version} cannot be written: {error.strerror}; make room, or choose another "
            "version or --registry"
        ) from None
    return True


def verified(registry: Path, model: str, version: str) -> tuple[Registered, dict[str, bytes]]:
    """A version's manifest, and all its files, each as its checksum says. Raises CannotUse, also if
    it stands under another name than it was registered by.
    """
    files = _files_of(registry, model, version)
    folder = registry / model / version
    manifest = _manifest_in(files, folder)
    if (manifest.model, manifest.version) != (model, version):
        raise CannotUse(
            f"{folder} was registered as {manifest.model} {manifest.version}, which stays its "
            "name; remove this copy or link"
        )
    return manifest, files


def usable(registry: Path, model: str, version: str) -> tuple[Registered, bytes]:
    """A version's manifest and the bytes of its artefact, after its checksums and its contract were
    compared. Raises CannotUse.
    """
    manifest, files = verified(registry, model, version)
    wanted = fingerprint(model_of(model).contract)
    if manifest.contract != wanted:
        raise CannotUse(
            f"{registry / model / version} was registered for another contract "
            f"({manifest.contract[:12]}; this code has {wanted[:12]}); train and register it anew"
        )
    return manifest, files[ARTEFACT]


def load(registry: Path, model: str, version: str) -> tuple[Registered, TrainedPredictor]:
    """A version ready to answer. Raises CannotUse."""
    manifest, content = usable(registry, model, version)
    path = registry / model / version / ARTEFACT
    try:
        note_in(content, path)
        return manifest, read(content, model_of(model).contract, path)
    except ArtefactError as error:
        raise CannotUse(str(error)) from None


def names(registry: Path, model: str) -> list[str]:
    """The versions of a model, by name."""
    folder = registry / model
    if not folder.is_dir():
        return []
    return sorted(
        one.name for one in folder.iterdir() if _NAME.fullmatch(one.name) and one.is_dir()
    )


def _files_of(registry: Path, model: str, version: str) -> dict[str, bytes]:
    check_name(version)
    folder = registry / model / version
    if not folder.is_dir():
        known = ", ".join(names(registry, model)) or "none"
        raise CannotUse(f"{model} has no version {version!r} in {registry}; it has {known}")
    found = {}
    for name, digest in _sums(folder).items():
        content = _read(folder / name)
        if digest_of(content) != digest:
            raise CannotUse(
                f"{folder / name} was changed: its SHA-256 is {digest_of(content)[:16]}..., {SUMS} "
                f"has {digest[:16]}...; restore it, or serve another version"
            )
        found[name] = content
    for name in (ARTEFACT, MANIFEST):
        if name not in found:
            raise CannotUse(f"{folder / SUMS} does not name {name}; restore the version")
    return found


def _manifest_in(files: dict[str, bytes], folder: Path) -> Registered:
    try:
        return msgspec.json.decode(files[MANIFEST], type=Registered)
    except msgspec.MsgspecError as error:
        raise CannotUse(f"{folder}: {MANIFEST} cannot be read: {error}; restore it") from None


def _compare(folder: Path, files: dict[str, bytes]) -> None:
    """Raise CannotUse unless this version is the same but for when and by whom it was made."""
    there, known = verified(folder.parent.parent, folder.parent.name, folder.name)
    new = _manifest_in(files, folder)
    never = "a version never changes: choose another name"
    if there.artefact != new.artefact:
        raise CannotUse(
            f"{folder} is there with another artefact ({there.artefact[:12]}, this is "
            f"{new.artefact[:12]}); {never}"
        )
    for name in sorted((known.keys() | files.keys()) - {ARTEFACT}):
        if name not in known or name not in files:
            where = f"there is no {name} there" if name in files else f"there it has {name}, too"
            raise CannotUse(f"{folder} is there with this artefact, but {where}; {never}")
        try:
            same = lasting(known[name]) == lasting(files[name])
        except msgspec.DecodeError as error:
            raise CannotUse(f"{folder / name} cannot be read: {error}; restore it") from None
        if not same:
            raise CannotUse(
                f"{folder} is there with this artefact, but its {name} says something else; keep "
                "it as it is, or choose another name for this: a version never changes"
            )


def _sums(folder: Path) -> dict[str, str]:
    lines = _read(folder / SUMS).decode("utf-8", "replace").splitlines()
    found = {}
    for number, line in enumerate(lines, start=1):
        match = _SUM.fullmatch(line)
        if match is None:
            raise CannotUse(f"{folder / SUMS}:{number} is no checksum; restore the version")
        found[match[2]] = match[1]
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CannotUse(f"{path} is missing; restore it, or serve another version") from None
    except OSError as error:
        raise CannotUse(f"{path} cannot be read: {error.strerror}; restore it") from None


def _sweep(folder: Path) -> None:
    """What somebody began who then was killed; whoever is at it still holds the folder."""
    for left in folder.glob(".*.tmp"):
        left.chmod(0o755)
        shutil.rmtree(left)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
