"""The versioned folder: ``DIR/MODEL/VERSION/``, written once, checked whenever it is read.

A version is made in a directory beside, which then gets its name in one step: at any instant there
is a whole version or none. Nothing in it is ever changed, and nothing is called ``latest``.
"""

from __future__ import annotations

import errno
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
from .files import READ_ONLY, CannotUse, digest_of, put, sync
from .manifest import Registered

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
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _sweep(folder)
            if (folder / version).exists():
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
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise CannotUse(f"{folder / version} is in the way; choose another version") from None
        raise CannotUse(
            f"{folder / version} cannot be written: {error.strerror}; make room or choose another "
            "--registry"
        ) from None
    return True


def files_of(registry: Path, model: str, version: str) -> dict[str, bytes]:
    """All files of a version, each as its checksum says. Raises CannotUse."""
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


def manifest_of(files: dict[str, bytes], where: str) -> Registered:
    """The manifest of a version's files; raises CannotUse."""
    try:
        return msgspec.json.decode(files[MANIFEST], type=Registered)
    except msgspec.MsgspecError as error:
        raise CannotUse(f"{where}: {MANIFEST} cannot be read: {error}; restore it") from None


def load(registry: Path, model: str, version: str) -> tuple[Registered, TrainedPredictor]:
    """A version ready to answer, after its checksums and its contract were compared. Raises
    CannotUse.
    """
    files = files_of(registry, model, version)
    path = registry / model / version / ARTEFACT
    manifest = manifest_of(files, str(path.parent))
    contract = model_of(model).contract
    if (manifest.model, manifest.version) != (model, version):
        raise CannotUse(f"{path.parent} was registered as {manifest.model} {manifest.version}")
    if manifest.contract != fingerprint(contract):
        raise CannotUse(
            f"{path.parent} was registered for another contract ({manifest.contract[:12]}; this "
            f"code has {fingerprint(contract)[:12]}); train and register it anew"
        )
    try:
        note_in(files[ARTEFACT], path)
        return manifest, read(files[ARTEFACT], contract, path)
    except ArtefactError as error:
        raise CannotUse(str(error)) from None


def names(registry: Path, model: str) -> list[str]:
    """The versions of a model, by name."""
    folder = registry / model
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if _NAME.fullmatch(one.name))


def _compare(folder: Path, files: dict[str, bytes]) -> None:
    """Raise CannotUse unless this version is the same but for when and by whom it was made."""
    known = files_of(folder.parent.parent, folder.parent.name, folder.name)
    there, new = (manifest_of(one, str(folder)) for one in (known, files))
    others = {name: content for name, content in files.items() if name != MANIFEST}
    same = {name: content for name, content in known.items() if name != MANIFEST} == others
    if not same or there.what() != new.what():
        raise CannotUse(
            f"{folder} is there with another content (artefact {there.artefact[:12]}, this is "
            f"{new.artefact[:12]}); a version never changes: choose another name"
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
