"""Which version a request would get, and why: the gateway's own code, asked without traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import Refusal
from gateway.http.target import check_characters, check_path
from gateway.model import Assignment, Route, RoutingConfig
from gateway.routing.split import BUCKETS, bucket_of
from gateway.routing.table import compile_table


@dataclass(frozen=True, slots=True)
class Explanation:
    """``version`` is None where each request is drawn on its own, or where none would answer;
    ``shares`` are percent per version.
    """

    route: str | None
    version: str | None
    assignment: str | None
    bucket: int | None
    shares: Mapping[str, float]
    sentence: str


def explain(config: RoutingConfig, path: bytes, fields: Mapping[bytes, bytes]) -> Explanation:
    """The answer for one request; ``fields`` maps lower-case header names to values."""
    table = compile_table(config)
    try:
        check_characters(path)
        check_path(path)
        route = table.match(path, fields)
        key = route.key(fields)
        decision = route.assign(fields, key, lambda: 0.0)
    except Refusal as refusal:
        sentence = f"none: refused with {refusal.status}, {refusal.sentence}"
        return Explanation(None, None, None, None, {}, sentence)
    rules = route.rules
    shares = {version.name: rules.weight(version.name) / 100 for version in rules.versions}
    if decision.assignment is Assignment.FORCED:
        why = f"{route.named_by(fields)} names it"
        return _answer(rules, decision.version, Assignment.FORCED, None, shares, why)
    if key is None or rules.sticky is None:
        drawn = ", ".join(f"{name} {share:g} %" for name, share in shares.items())
        sentence = f"route {rules.name}: each request is drawn on its own ({drawn})"
        if rules.sticky is not None:
            sentence += f"; it carries no {rules.sticky.kind} {rules.sticky.name} to stick to"
        return Explanation(rules.name, None, Assignment.WEIGHTED, None, shares, sentence)
    bucket = bucket_of(rules.sticky.salt.encode(), key)
    shown = key.decode("utf-8", "replace")
    why = (
        f"{rules.sticky.kind} {rules.sticky.name} = {shown!r} falls into bucket {bucket} "
        f"of {BUCKETS}, which is {decision.version}'s at {shares[decision.version]:g} %"
    )
    return _answer(rules, decision.version, Assignment.STICKY, bucket, shares, why)


def _answer(
    rules: Route,
    version: str,
    assignment: Assignment,
    bucket: int | None,
    shares: Mapping[str, float],
    why: str,
) -> Explanation:
    sentence = f"route {rules.name}: {version} ({assignment}): {why}"
    return Explanation(rules.name, version, assignment, bucket, shares, sentence)
