"""A snapshot of data: lines of JSON that never change, named by their digest. Pure.

The first line says what decides how the rows may be used; each other line is a row with its right
answers and how often it comes. The same rows give the same bytes, in whatever order they came.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Literal

import msgspec

from ..contract.contract import Classes, Contract
from ..contract.feature import Value
from ..contract.fingerprint import fingerprint
from ..contract.refusal import RefusedBody
from ..contract.validation import Validator
from .rows import Labelled, counted, is_held_out, place_of

FORMAT = 1
Labels = Literal["given", "predicted"]
"""Whether the right answers were given, or are what a model answered."""


class BadSnapshot(Exception):
    """The message is one sentence that says what is wrong and what to do."""


class Head(msgspec.Struct, frozen=True):
    """The first line. ``contract`` is the fingerprint, ``holdout`` the share (0 to 1) of rows that
    nothing learns from.
    """

    snapshot: int
    model: str
    contract: str
    features: tuple[str, ...]
    outputs: tuple[str, ...]
    holdout: float
    labels: Labels


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row, its right answers, and how often it comes."""

    row: tuple[Value, ...]
    answers: tuple[Value, ...]
    count: int = 1


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where rows came from: ``kind`` is bundled, table, snapshot or log; the rest as far as it is
    known. ``dropped`` says how many of a log were no use, by why.
    """

    kind: str
    name: str
    rows: int
    digest: str = ""
    files: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    versions: dict[str, int] = {}
    dropped: dict[str, int] = {}
    labels: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a snapshot. ``rows`` counts copies, ``distinct`` does not; ``labels`` are
    how often each label comes, by output; ``parents`` are digests of the snapshots it came from.
    """

    snapshot: str
    model: str
    made_at: str
    rows: int
    distinct: int
    held_out: int
    labels_are: Labels
    labels: dict[str, dict[str, int]]
    sources: tuple[Source, ...]
    parents: tuple[str, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """``digest`` is the SHA-256 of its bytes, in hex."""

    digest: str
    head: Head
    counts: Counter[Labelled]

    def side(self, *, held_out: bool, share: float | None = None) -> Counter[Labelled]:
        """The rows of one side of the split, by its own share or a smaller one."""
        limit = self.head.holdout if share is None else share
        return Counter(
            {
                one: count
                for one, count in self.counts.items()
                if is_held_out(self.head.model, one.row, limit) == held_out
            }
        )


def pack(contract: Contract, rows: list[Labelled], holdout: float, labels: Labels) -> bytes:
    """The bytes of a snapshot."""
    names = tuple(output.name for output in contract.outputs)
    head = Head(
        FORMAT, contract.model, fingerprint(contract), contract.names, names, holdout, labels
    )
    counts = counted(rows)
    ordered = sorted(counts, key=lambda one: (place_of(contract.model, one.row), repr(one)))
    lines = [Line(one.row, one.answers, counts[one]) for one in ordered]
    return b"".join(msgspec.json.encode(part) + b"\n" for part in (head, *lines))


def is_snapshot(content: bytes) -> bool:
    """Whether it begins like one."""
    return content.startswith(b'{"snapshot":')


def unpack(contract: Contract, content: bytes, name: str) -> Snapshot:
    """A snapshot for this contract, each row checked against it. Raises BadSnapshot."""
    first, _, rest = content.partition(b"\n")
    try:
        head = msgspec.json.decode(first, type=Head)
        lines = [msgspec.json.decode(line, type=Line) for line in rest.splitlines()]
    except msgspec.MsgspecError as error:
        raise BadSnapshot(
            f"{name} is no snapshot ({error}); make one with 'model-worker snapshot'"
        ) from None
    if (head.model, head.contract) != (contract.model, fingerprint(contract)):
        raise BadSnapshot(
            f"{name} is of another model or contract ({head.model}, {head.contract[:12]}); this "
            f"is {contract.model}, {fingerprint(contract)[:12]}: make a new one"
        )
    check(contract, [Labelled(line.row, line.answers) for line in lines], name)
    counts: Counter[Labelled] = Counter()
    for line in lines:
        counts[Labelled(line.row, line.answers)] += line.count
    return Snapshot(sha256(content).hexdigest(), head, counts)


def check(contract: Contract, rows: list[Labelled], name: str) -> None:
    """Raise BadSnapshot for the first row that breaks the contract."""
    validator = Validator(contract, max(len(rows), 1))
    try:
        if rows:
            validator.rows([list(one.row) for one in rows])
    except RefusedBody as error:
        at = error.problems[0].loc[0]
        raise BadSnapshot(
            f"{name}: row {int(at) + 1}: {error.problems[0].msg}"  # the first of all
        ) from None
    for number, one in enumerate(rows, start=1):
        if problem := wrong_answer(contract, one.answers):
            raise BadSnapshot(f"{name}: row {number}: {problem}")


def wrong_answer(contract: Contract, answers: tuple[object, ...]) -> str:
    """What is wrong with right answers; nothing if they are what the contract has."""
    if len(answers) != len(contract.outputs):
        return f"{len(answers)} right answers; write {len(contract.outputs)}, one for each output"
    for answer, output in zip(answers, contract.outputs, strict=True):
        if isinstance(output, Classes):
            if answer not in output.labels:
                listed = ", ".join(output.labels[:12])
                return f"{output.name} is {str(answer)[:40]!r}; write one of {listed}"
        elif not isinstance(answer, float | int) or not abs(answer) < float("inf"):
            return f"{output.name} is {str(answer)[:40]!r}; write a finite number"
    return ""


def manifest_of(
    contract: Contract, snapshot: Snapshot, sources: list[Source], made_at: str
) -> Manifest:
    """What is to be told of a snapshot."""
    tallies: dict[str, Counter[str]] = {}
    for at, output in enumerate(contract.outputs):
        if isinstance(output, Classes):
            tally = tallies[output.name] = Counter(dict.fromkeys(output.labels, 0))
            for one, count in snapshot.counts.items():
                tally[str(one.answers[at])] += count
    return Manifest(
        snapshot=snapshot.digest,
        model=contract.model,
        made_at=made_at,
        rows=snapshot.counts.total(),
        distinct=len({one.row for one in snapshot.counts}),
        held_out=snapshot.side(held_out=True).total(),
        labels_are=snapshot.head.labels,
        labels={name: dict(tally) for name, tally in tallies.items()},
        sources=tuple(sources),
        parents=tuple(one.digest for one in sources if one.kind == "snapshot"),
    )
