"""Files of the registry: read with a digest, written whole or not at all."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

Clock = Callable[[], datetime]
READ_ONLY = 0o444


class CannotUse(Exception):
    """A file cannot be used; the message is one sentence that says why and what to do."""


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


def stamp(clock: Clock) -> str:
    """As it is written in manifests: UTC, to the second."""
    return clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whoever() -> str:
    """Who runs this; a user without a name is a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def content_of(path: Path) -> bytes:
    """All bytes of a file; raises CannotUse."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotUse(f"{path} cannot be read: {error.strerror}; name another file") from None


def digest_of(content: bytes) -> str:
    """Its SHA-256, in hex."""
    return sha256(content).hexdigest()


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put a file in place, whole or not at all, and on the disk; raises CannotUse."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make(path.parent)
        put(temporary, content, mode)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CannotUse(
            f"{path} cannot be written: {error.strerror}; choose another directory"
        ) from None


def put(path: Path, content: bytes, mode: int) -> None:
    """A new file, on the disk; raises OSError."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def make(directory: Path) -> None:
    """A directory, with those above it, on the disk; raises OSError."""
    if not directory.is_dir():
        make(directory.parent)
        directory.mkdir(exist_ok=True)
        sync(directory.parent)


def sync(directory: Path) -> None:
    """Names of files are on the disk only once their directory is; raises OSError."""
    held = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
