"""A file scored: rows in, the same rows with their answers out, as a worker would have given them.

The rows go through the validator and the predictor of the requests, in parts of a fixed number of
rows, each kept as soon as it is done (see :mod:`.journal`). The output appears at the end, whole,
and its bytes do not depend on how often the work was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import Protocol

import msgspec

from ..contract.contract import Row
from ..contract.refusal import RefusedBody
from ..contract.validation import Validator
from ..predictors.predictor import Predictor
from ..revision import code_version
from ..serving.promises import check
from . import columns
from .formats import opened
from .journal import Journal, alone, sync, write
from .table import Added, BadTable, Chunk, Table

PART_ROWS = 8192
_FORMAT = "1"  # of the parts: raised when they are laid out otherwise


class BadRow(BadTable):
    """A row is refused, and nobody said that such rows are to be skipped."""


@dataclass(frozen=True, slots=True)
class Job:
    """``model_digest`` says what the predictor has learned, as far as the code does not."""

    source: Path
    target: Path
    predictor: Predictor
    version: str
    model_digest: str = ""
    skip_bad: bool = False
    part_rows: int = PART_ROWS

    @property
    def parts(self) -> Path:
        """The directory of what is done."""
        return self.target.with_name(f"{self.target.name}.parts")

    @property
    def rejected(self) -> Path:
        """Where rows go that were refused: a JSON object per line."""
        return self.target.with_name(f"{self.target.name}.rejected")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows were scored, how many refused."""

    scored: int
    rejected: int


class Watcher(Protocol):
    """Is told how far it is."""

    def say(self, sentence: str) -> None: ...
    def at(self, rows: int, share: float) -> None: ...


def score(job: Job, watcher: Watcher) -> Outcome:
    """Score the file, or go on where it was interrupted. Raises BadTable, and OSError if the disk
    fails.
    """
    if job.target.is_dir():
        raise BadTable(f"{job.target} is a directory; name a file for the output")
    if job.target.exists() and job.source.samefile(job.target):
        raise BadTable(f"{job.target} is the input; name another file for the output")
    with opened(job.source, job.target) as (file, table):
        columns.check(job.predictor.contract, table, str(job.source))
        with alone(job.parts):
            before = _state(file)
            journal = Journal(job.parts, _identity(job, file, table))
            _resume(job, journal, watcher)
            validator = Validator(job.predictor.contract, job.part_rows)
            for chunk in table.chunks(_rows(journal), job.part_rows):
                journal.add(*_part(job, table, chunk, validator))
                watcher.at(_rows(journal), table.share())
            if _state(file) != before:
                raise BadTable(f"{job.source} changed while it was read; start again")
            _finish(job, journal, table)
            return Outcome(
                sum(part.rows for part in journal.done), sum(part.rejected for part in journal.done)
            )


def _identity(job: Job, file: BufferedReader, table: Table) -> dict[str, str]:
    """All that decides the bytes of the parts; their order is that in which changes are told."""
    file.seek(0)
    contract = job.predictor.contract
    return {
        "input": file_digest(file, "sha256").hexdigest(),
        "model": contract.model,
        "version": job.version,
        "trained model": job.model_digest,
        "code": code_version(),
        "format": f"{_FORMAT}, {table.writer}, {job.part_rows} rows",
    }


def _resume(job: Job, journal: Journal, watcher: Watcher) -> None:
    if journal.changed:
        changed = " and ".join(journal.changed)
        watcher.say(f"what was done before is of no use ({changed} changed): starting anew")
    if not job.skip_bad:  # a part with refused rows is where an uninterrupted run would have ended
        bad = [number for number, part in enumerate(journal.done) if part.rejected]
        if bad:
            journal.drop(bad[0])
    if journal.done:
        watcher.say(f"going on after row {_rows(journal)}")


def _rows(journal: Journal) -> int:
    return sum(part.rows + part.rejected for part in journal.done)


def _part(
    job: Job, table: Table, chunk: Chunk, validator: Validator
) -> tuple[bytes, bytes, tuple[int, int]]:
    """The rows with their answers, the refused ones, and how many there are of either."""
    contract = job.predictor.contract
    instances = columns.instances(contract, table, chunk)
    rows, refused = _checked(validator, instances, chunk)
    if refused and not job.skip_bad:
        index, reason = next(iter(refused.items()))
        raise BadRow(f"{job.source}: row {chunk.first + index}: {reason}")
    kept = [index for index in range(len(chunk)) if index not in refused]
    added: Added = dict.fromkeys(columns.added(contract), ())
    if rows:
        try:
            answer = job.predictor.predict(rows)
            check(contract, answer, len(rows))
        except Exception as error:  # whatever a model raises: the rows are not to blame
            last = chunk.first + len(chunk) - 1
            said = f"the model failed on rows {chunk.first} to {last}"
            raise BadTable(f"{said}: {type(error).__name__}: {error}") from error
        added = columns.values(contract, answer, (job.version, code_version()))
    lines = [
        {"row": chunk.first + index, "reason": reason, "record": chunk.record(index)}
        for index, reason in refused.items()
    ]
    rejected = b"".join(msgspec.json.encode(line, enc_hook=str) + b"\n" for line in lines)
    return table.part(chunk, kept, added), rejected, (len(kept), len(refused))


def _checked(
    validator: Validator, instances: list[list[object]], chunk: Chunk
) -> tuple[list[Row], dict[int, str]]:
    """The rows that are none of the refused ones, and why those are refused, by their index."""
    if not chunk.flaws:
        try:
            return validator.rows(instances), {}
        except RefusedBody:
            pass  # one of them: which, is found one by one
    rows: list[Row] = []
    refused: dict[int, str] = {}
    for index, instance in enumerate(instances):
        try:
            if index in chunk.flaws:
                refused[index] = chunk.flaws[index]
            else:
                rows += validator.rows([instance])
        except RefusedBody as error:
            refused[index] = str(error)
    return rows, refused


def _finish(job: Job, journal: Journal, table: Table) -> None:
    """Put the output in place. The rejected rows come first: an output is never without them."""
    if any(part.rejected for part in journal.done):
        write(job.rejected, _contents(journal.rejected()))
    else:
        job.rejected.unlink(missing_ok=True)
    joined = job.parts / "joined"
    with joined.open("wb") as out:
        table.join(journal.scored(), columns.added(job.predictor.contract), out)
        out.flush()
        os.fsync(out.fileno())
    joined.replace(job.target)
    sync(job.target.parent)
    journal.remove()


def _contents(paths: Iterator[Path]) -> Iterator[bytes]:
    return (path.read_bytes() for path in paths)


def _state(file: BufferedReader) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
