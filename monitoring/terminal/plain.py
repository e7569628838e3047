"""What has changed from one view to the next, a line each: for a file, for grep, for a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from monitoring.terminal import figures
from monitoring.terminal.view import CandidateRow, RouteRow, VersionRow, View


def changes(before: View | None, after: View) -> Iterator[str]:
    """Without the time. At first everything is new."""
    yield from _gateways(before, after)
    if after.stale is not None:  # nothing new is known of routes
        return
    yield from _file(before, after)
    yield from _controller(before, after)
    known = {one.name: one for one in before.routes} if before else {}
    for route in after.routes:
        yield from _route(known.get(route.name), route, after)
    for name in known.keys() - {one.name for one in after.routes}:
        yield f"{name} is not in the file any more"


def _gateways(before: View | None, after: View) -> Iterator[str]:
    was = set(before.silent) if before else set()
    for one in after.silent:
        if one not in was:
            yield f"gateway silent: {one}"
    if was and len(after.silent) < len(was):
        yield f"gateways answer again: {after.gateways - len(after.silent)} of {after.gateways}"


def _file(before: View | None, after: View) -> Iterator[str]:
    refused = before is not None and before.refused
    if after.refused and (before is None or after.problems != before.problems):
        for problem in after.problems:
            yield f"file refused, an older one serves: {problem}"
    elif refused and not after.refused:
        yield "file taken: it is no longer refused"
    was = before.disagreement if before else ""
    if after.disagreement not in ("", was):
        yield after.disagreement
    elif was and not after.disagreement:
        yield "the gateway serves this file again"
    if before is None or after.generation != before.generation:
        yield f"{after.file} generation {after.generation} in force"


def _controller(before: View | None, after: View) -> Iterator[str]:
    if before is None or before.is_led is not after.is_led:
        if not after.is_led:
            yield after.controller
        elif before is not None:
            yield "a controller watches again"


def _route(before: RouteRow | None, after: RouteRow, view: View) -> Iterator[str]:
    name = after.name
    was = {one.name: one for one in before.versions} if before else {}
    share = {one.name: one.weight for one in after.versions}
    if before is None or share != {one.name: one.weight for one in before.versions}:
        moved = [_moved(was.get(one.name), one) for one in after.versions]
        why = _why(name, share, view) if before is not None else ""
        numbers = f"; {_numbers(after)}" if view.seconds else ""
        yield f"{name} weights: {', '.join(moved)}{why}{numbers}"
    if before is not None and after.stable != before.stable:
        yield f"{name} stable: {before.stable} -> {after.stable}"
    known = {one.version: one for one in before.candidates} if before else {}
    for one in after.candidates:
        yield from _candidate(known.get(one.version), one, after)
    for line in after.outcomes:
        if before is None or line not in before.outcomes:
            yield line
    for line in after.endpoints:
        if before is None or line not in before.endpoints:
            yield line


def _moved(before: VersionRow | None, after: VersionRow) -> str:
    was = f"{before.weight:g} -> " if before and before.weight != after.weight else ""
    return f"{after.name} {after.role} {was}{after.weight:g} %"


def _why(route: str, share: dict[str, float], view: View) -> str:
    """By whom and why, if the newest change of the route is the one that did it."""
    for change in view.changes:
        if change.route == route:
            same = {name: weight for name, weight in change.shares if name in share}
            if same and all(share[name] == weight for name, weight in same.items()):
                reason = f": {change.reason}" if change.reason else ""
                return f" (by {change.by}, {change.action}{reason})"
            return ""
    return ""


def _candidate(before: CandidateRow | None, after: CandidateRow, route: RouteRow) -> Iterator[str]:
    who = f"{route.name} {after.version}"
    if before is None or before.verdict != after.verdict:
        was = f"{before.verdict} -> " if before and before.verdict else ""
        evidence = f" (evidence {figures.factor(after.factor)} of {after.limit:g})"
        told = "" if "(evidence" in after.sentence or not after.evidence else evidence
        yield f"{who} verdict: {was}{after.verdict or 'none'}: {after.sentence}{told}"
    if after.stand and (before is None or (before.stand, before.step) != (after.stand, after.step)):
        yield f"{who} rollout: {after.outlook}; {after.next}"
    for alert in after.alerts:
        # Its numbers move with each look; that there is one is the news.
        if before is None or len(after.alerts) > len(before.alerts):
            yield f"{who} alert: {alert}"


def _numbers(route: RouteRow) -> str:
    """How each version that gets requests does."""
    told = [
        f"{one.name} {figures.rate(one.rate)} {figures.percent(one.errors)} errors "
        f"p95 {figures.seconds(one.p95)}"
        for one in route.versions
        if one.rate
    ]
    return ", ".join(told) or "no traffic"
