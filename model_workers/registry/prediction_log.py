"""What a gateway's prediction log holds for learning: which rows, answered by whom. Pure.

Its lines are JSON, one for each request (docs/logs.md); those with ``features`` have the body of
the request as it was sent. Only a request of one instance can be joined with its label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from ..contract.contract import Classes, Contract, Row
from ..contract.feature import Value
from ..contract.refusal import RefusedBody
from ..contract.validation import Validator
from ..protocols import open_inference
from ..protocols.input_tensors import BadInference
from .rows import Labelled


class Dropped(StrEnum):
    """Why a line of the log is no use."""

    UNREADABLE = "unreadable"
    OTHER_ROUTE = "other_route"
    TOO_OLD = "too_old"
    EXCLUDED = "excluded_version"
    FAILED = "failed"
    NO_FEATURES = "no_features"
    SEVERAL = "several_instances"
    REFUSED = "refused_by_contract"
    REPEATED = "repeated_id"
    NOT_LABELLED = "not_labelled"


class _Line(msgspec.Struct):
    timestamp: datetime
    request_id: str
    route: str
    version: str
    status: int
    prediction: str | None = None
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of a route (empty: there is only one), since a time, not answered by these."""

    route: str = ""
    since: datetime | None = None
    without: frozenset[str] = frozenset()


@dataclass(slots=True)
class Harvest:
    """What was found, and what was dropped. ``routes`` are all there are in the log."""

    rows: list[Labelled] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    routes: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None


def harvest(
    contract: Contract,
    lines: Iterable[bytes],
    wanted: Wanted,
    labels: Mapping[str, tuple[Value, ...]] | None,
) -> Harvest:
    """Rows with their labels, joined by request id; without ``labels`` with what was predicted.

    A request id that comes twice with other features says nothing of either: both are dropped. With
    the same features it is one request that somebody repeated.
    """
    found = Harvest()
    seen: dict[str, tuple[_Line, Row]] = {}
    unclear: set[str] = set()
    validator = Validator(contract, 1)
    for text in lines:
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found.dropped[Dropped.UNREADABLE] += 1
            continue
        if line.timestamp.tzinfo is None:
            line.timestamp = line.timestamp.replace(tzinfo=UTC)
        found.routes.add(line.route)
        outcome = _unwanted(line, wanted) or _row(contract, validator, line)
        if isinstance(outcome, Dropped):
            found.dropped[outcome] += 1
        elif line.request_id in seen:
            found.dropped[Dropped.REPEATED] += 1
            if seen[line.request_id][1] != outcome:
                unclear.add(line.request_id)
        else:
            seen[line.request_id] = line, outcome
    for request_id, (line, row) in seen.items():
        if request_id in unclear:
            found.dropped[Dropped.REPEATED] += 1
            continue
        answers = _predicted(contract, line) if labels is None else labels.get(request_id)
        if answers is None:
            found.dropped[Dropped.NOT_LABELLED] += 1
            continue
        found.rows.append(Labelled(row, answers))
        found.versions[line.version] += 1
        found.first = min(found.first or line.timestamp, line.timestamp)
        found.last = max(found.last or line.timestamp, line.timestamp)
    return found


def _unwanted(line: _Line, wanted: Wanted) -> Dropped | None:
    if wanted.route and line.route != wanted.route:
        return Dropped.OTHER_ROUTE
    if wanted.since is not None and line.timestamp < wanted.since:
        return Dropped.TOO_OLD
    if line.version in wanted.without:
        return Dropped.EXCLUDED
    return None if 200 <= line.status < 300 else Dropped.FAILED


def _row(contract: Contract, validator: Validator, line: _Line) -> Row | Dropped:
    if isinstance(line.features, msgspec.UnsetType):
        return Dropped.NO_FEATURES
    body = bytes(line.features)
    try:
        document = msgspec.json.decode(body)
        instances: object
        if isinstance(document, dict) and "inputs" in document and "instances" not in document:
            limit = 1 << 20  # the gateway writes down no larger body
            instances = open_inference.decode(body, None, contract, limit).instances
        else:
            instances = document.get("instances") if isinstance(document, dict) else None
        if not isinstance(instances, list):
            return Dropped.REFUSED
        if len(instances) > 1:
            return Dropped.SEVERAL
        return validator.rows(instances)[0]
    except (msgspec.MsgspecError, BadInference, RefusedBody, ValueError, RecursionError):
        return Dropped.REFUSED


def _predicted(contract: Contract, line: _Line) -> tuple[Value, ...] | None:
    """What was answered, where one output is all there is to answer."""
    if len(contract.outputs) > 1 or line.prediction is None:
        return None
    (output,) = contract.outputs
    if isinstance(output, Classes):
        return (line.prediction,) if line.prediction in output.labels else None
    try:
        number = float(line.prediction)
    except ValueError:
        return None
    return (number,) if abs(number) < float("inf") else None
