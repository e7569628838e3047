"""What a valid ``routing.yaml`` asks for that cannot come: no mistake, but hardly meant."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.document import Path
from gateway.config.quantities import percent_text
from gateway.config.rules import Finding
from gateway.model import FULL_WEIGHT, Analysis, Rollout, Route, RoutingConfig, ShiftAction


def remarks(config: RoutingConfig) -> Iterator[Finding]:
    """Each with the path of the key it is about, which may be one to add; rollouts by index."""
    for route in config.routes:
        ramps = [
            (index, rollout)
            for index, rollout in enumerate(route.rollouts)
            if rollout.steps and rollout.candidate != route.stable
        ]
        place = ("routes", route.name)
        if ramps and route.analysis:
            yield from _unproven(route.analysis, (*place, "analysis"))
        elif ramps:
            for index, _ in ramps:
                message = "nothing is judged, so no step is ever taken; add `analysis` to the route"
                yield (*place, "rollout", index, "steps"), message
        yield from _crowded(route, [rollout for _, rollout in ramps], (*place, "rollout"))


def _unproven(analysis: Analysis, place: Path) -> Iterator[Finding]:
    """A candidate is proven good only where something is tolerated of every signal that may roll it
    back.
    """
    never = "nothing is tolerated, so nothing can be proven: it never advances by itself"
    if not analysis.errors_max_increase:
        missing = analysis.errors_max_increase is None
        remedy = "add `errors: {max_increase: 0.1%}`, say" if missing else "write 0.1%, say"
        yield (*place, "errors", "max_increase"), f"{never}; {remedy}"
    if analysis.latency_max_increase == 0:
        yield (*place, "latency", "max_increase"), f"{never}; write 1%, say"
    acts = analysis.predictions_action is ShiftAction.ROLLBACK
    if acts and analysis.predictions_max_shift == 0:
        yield (*place, "predictions", "max_shift"), f"{never}; write 2%, say"


def _crowded(route: Route, ramps: list[Rollout], place: Path) -> Iterator[Finding]:
    """Steps that are refused once the others have taken theirs, as weights add up to 100."""
    ends = {rollout.candidate: rollout.steps[-1].weight for rollout in ramps}
    if len(ends) > 1 and sum(ends.values()) > FULL_WEIGHT:
        shares = " + ".join(f"{name} {percent_text(weight)}" for name, weight in ends.items())
        yield (
            place,
            f"the last steps add up to {percent_text(sum(ends.values()))} ({shares}); weights must "
            "not be more than 100 together, so not all of these steps can be taken: lower some",
        )
