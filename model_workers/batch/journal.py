"""What of a job is done, kept in ``OUTPUT.parts/`` so that it survives any end of the process.

``journal.jsonl`` says in its first line what job this is, and in a line each which parts are done.
A part counts once its line is there: its files were written, synced and renamed before. So whatever
a crash leaves behind beyond the last whole line is written again, to the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from .table import BadTable


class Done(msgspec.Struct, frozen=True):
    """One part: its rows, how many more were rejected, and the digests of its two files."""

    rows: int
    rejected: int
    scored_digest: str
    rejected_digest: str


class Journal:
    """The parts of one job; ``changed`` names what is another than it was when parts were made that
    had to be thrown away.
    """

    def __init__(self, directory: Path, job: Mapping[str, str]) -> None:
        self._directory = directory
        self._path = directory / "journal.jsonl"
        self.done: list[Done] = []
        self.changed: list[str] = []
        before, lines, whole = self._read()
        if before == job:
            for line in lines:
                if not self._is_sound(len(self.done), line):
                    break
                self.done.append(line)
            kept = [msgspec.json.encode(job), *map(msgspec.json.encode, self.done)]
            if not whole or len(self.done) < len(lines):
                write(self._path, b"".join(line + b"\n" for line in kept))
        else:
            if before:
                names = before.keys() | job.keys()
                self.changed = sorted(x for x in names if before.get(x) != job.get(x))
            write(self._path, msgspec.json.encode(job) + b"\n")

    def _read(self) -> tuple[dict[str, str], list[Done], bool]:
        """The job, its parts, and whether nothing stands after them; no job if there is none."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}, [], True
        lines = text.split(b"\n")
        whole = not lines.pop()  # otherwise the last line was cut short
        done: list[Done] = []
        try:
            job = msgspec.json.decode(lines[0], type=dict[str, str]) if lines else {}
        except msgspec.DecodeError:
            return {}, [], True
        for line in lines[1:]:
            try:
                done.append(msgspec.json.decode(line, type=Done))
            except msgspec.DecodeError:
                return job, done, False
        return job, done, whole

    def _is_sound(self, number: int, line: Done) -> bool:
        """Whether the files are those that the line speaks of."""
        expected = (line.scored_digest, line.rejected_digest)
        for path, digest in zip(self._files(number), expected, strict=True):
            if (sha256(path.read_bytes()).hexdigest() if path.exists() else "") != digest:
                return False
        return True

    def add(self, scored: bytes, rejected: bytes, counts: tuple[int, int]) -> None:
        """Keep the next part; there is no file of no rejected rows."""
        paths = self._files(len(self.done))
        write(paths[0], scored)
        if rejected:
            write(paths[1], rejected)
        else:
            paths[1].unlink(missing_ok=True)
        line = Done(*counts, _digest(scored), _digest(rejected) if rejected else "")
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.done.append(line)

    def drop(self, first: int) -> None:
        """Forget the parts from this one on."""
        del self.done[first:]
        job = self._path.read_bytes().partition(b"\n")[0]
        kept = [job, *map(msgspec.json.encode, self.done)]
        write(self._path, b"".join(line + b"\n" for line in kept))

    def scored(self) -> Iterator[Path]:
        """The files of what was scored, in their order."""
        return (self._files(number)[0] for number in range(len(self.done)))

    def rejected(self) -> Iterator[Path]:
        """The files of what was rejected."""
        return (self._files(n)[1] for n, line in enumerate(self.done) if line.rejected)

    def remove(self) -> None:
        """The job is done; from here on there is none."""
        self._path.unlink()
        sync(self._directory)
        shutil.rmtree(self._directory)

    def _files(self, number: int) -> tuple[Path, Path]:
        stem = self._directory / f"{number:06}"
        return stem.with_suffix(".scored"), stem.with_suffix(".rejected")


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Make the directory and hold it; raises BadTable if somebody else does. A process that ends,
    however it ends, holds it no longer.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = "another process is scoring into it; wait for it, or name another output"
            raise BadTable(f"{directory}: {said}") from None
        yield
    finally:
        os.close(held)


def write(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Put a file in place, whole or not at all, and on the disk."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content) if isinstance(content, bytes) else file.writelines(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Names of files, too, are on the disk only once their directory is."""
    held = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
