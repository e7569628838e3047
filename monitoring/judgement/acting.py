"""From what a judgement calls for to the edit of the file, and to the sentence that stays."""

from __future__ import annotations

from gateway.config.quantities import percent_text
from gateway.edit import Change, Promote, SetPaused, SetWeight
from monitoring.analysis.verdict import Kind, Verdict
from monitoring.judgement.docket import Judgement
from monitoring.rollout.position import Position, Stand
from monitoring.rollout.rules import Action


def change_of(judgement: Judgement) -> Change | None:
    """The edit; None where the file stays as it is."""
    route, version = judgement.key
    match judgement.action:
        case Action.ROLLBACK:
            return SetWeight(route, version, 0)
        case Action.PAUSE:
            return SetPaused(route, version, True)
        case Action.PROMOTE:
            return Promote(route, version)
        case Action.ADVANCE if judgement.position.following is not None:
            return SetWeight(route, version, judgement.position.following)
    return None


def reason_of(judgement: Judgement) -> str:
    """Why, for the history and for people."""
    if judgement.action not in (Action.ADVANCE, Action.PROMOTE):
        return judgement.verdict.sentence
    watched = judgement.filed.watch.seconds if judgement.filed else 0.0
    so_far = f"watched {span(watched)} at {percent_text(judgement.position.weight)} %"
    if judgement.verdict.kind is Kind.SUCCESSFUL:
        return f"{so_far}; {judgement.verdict.sentence}"
    following = percent_text(judgement.position.following or 0)
    return f"{so_far}, proven good enough for {following} %; {judgement.verdict.sentence}"


def outlook(position: Position, watched: float, verdict: Verdict) -> str:
    """What a rollout waits for, in a few words."""
    wanting = _wanting(position.following, verdict)
    place = _place(position)
    match position.stand:
        case Stand.FIXED:
            return f"at {percent_text(position.weight)} %, without steps"
        case Stand.PAUSED:
            return f"{place}: paused"
        case Stand.WAITING:
            return f"{place}: waits for a person (canary resume, promote or rollback)"
        case Stand.WATCHING:
            left = f"watched {span(watched)} of {span(position.pause)}"
            return f"{place}: {left}{wanting}"
    return f"{place}: watched long enough{wanting or ', and proven'}"


def span(seconds: float) -> str:
    """``45s``, ``3m20s``, ``2h05m``, ``3d04h``."""
    whole = int(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02d}{name}"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def _place(position: Position) -> str:
    at = f"{percent_text(position.weight)} %"
    return f"step {position.step} of {position.steps} ({at})" if position.step else f"at {at}"


def _wanting(following: int | None, verdict: Verdict) -> str:
    """What is not proven yet for the next weight."""
    allowance = verdict.allowance(following) if following else None
    if allowance is None or not allowance.wanting:
        return ""
    wanting = ", ".join(allowance.wanting)
    more = f", about {allowance.remaining:,} more requests" if allowance.remaining else ""
    return f"; not proven for {percent_text(following or 0)} % yet: {wanting}{more}"
