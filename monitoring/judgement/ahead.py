"""What comes next in a rollout, and when or upon what: for whoever looks at it at this moment."""

from __future__ import annotations

from math import ceil
from typing import Final

from gateway.config.quantities import percent_text
from gateway.model import FULL_WEIGHT, OnSuccess, Rollout
from monitoring.analysis.verdict import Kind, Verdict
from monitoring.judgement.acting import span
from monitoring.rollout.position import Position, Stand
from monitoring.rollout.rules import Action, choose

_DONE: Final[dict[Action, str]] = {
    Action.ROLLBACK: "is being rolled back",
    Action.PAUSE: "is being paused",
    Action.ALERT: "has failed; nothing is done about it (on_failure: alert), a person decides",
}


def ahead(
    position: Position,
    watched: float,
    verdict: Verdict,
    rollout: Rollout | None,
    *,
    is_led: bool = True,
    has_traffic: bool = True,
) -> str:
    """``5 % -> 25 % in 3m12s``, or what it waits for: proof, a person, traffic, a controller."""
    if not is_led:
        return "nobody watches: nothing advances, nothing is taken out; start canary controller"
    kind = verdict.on(position.following or FULL_WEIGHT)
    action = choose(position.stand, kind, rollout)
    if kind is Kind.FAILED and action in _DONE:
        return _DONE[action]
    here, move = percent_text(position.weight), _move(position, rollout)
    match position.stand:
        case Stand.FIXED:
            return f"stays at {here} % until a person changes it"
        case Stand.PAUSED:
            return "paused: waits for a person (canary resume, promote or rollback)"
        case Stand.WAITING:
            return f"{move} waits for a person (canary resume, promote or rollback)"
        case Stand.WATCHING:
            when = f"{move} in {span(ceil(max(0.0, position.pause - watched)))}"
        case Stand.READY_TO_PROMOTE if kind is Kind.SUCCESSFUL and action is Action.HOLD:
            return f"proven, held at {here} % (on_success: hold): waits for canary promote"
        case _ if kind is Kind.SUCCESSFUL:
            return f"{move} with the controller's next look"
        case _:
            when = move
    return when + _waits(position, verdict, has_traffic=has_traffic)


def _move(position: Position, rollout: Rollout | None) -> str:
    here, following = percent_text(position.weight), position.following or FULL_WEIGHT
    if following < FULL_WEIGHT or position.step < position.steps:
        return f"{here} % -> {percent_text(following)} %"
    held = rollout is not None and rollout.on_success is OnSuccess.HOLD
    return f"{here} % -> held" if held else f"{here} % -> promotion"


def _waits(position: Position, verdict: Verdict, *, has_traffic: bool) -> str:
    """What is missing besides time, and about how much of it."""
    parts = []
    allowance = verdict.allowance(position.following or FULL_WEIGHT)
    if verdict.kind is Kind.ERROR:
        parts.append("waits for evidence that can be trusted")
    elif allowance is not None and allowance.wanting:
        names = ", ".join(one.partition(":")[0] for one in allowance.wanting)
        more = f" (about {allowance.remaining:,} more requests)" if allowance.remaining else ""
        parts.append(f"waits for proof: {names}{more}")
    elif not verdict.allowances:
        parts.append("waits for a verdict")
    if not has_traffic:
        parts.append("no traffic now")
    return "".join(f"; {one}" for one in parts)
