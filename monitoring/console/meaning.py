"""What an edit means for the requests of a route, in one sentence."""

from __future__ import annotations

from gateway.config.quantities import percent_text
from gateway.edit import AddVersion, Change, Promote, RemoveVersion, Restore, SetPaused, SetWeight
from gateway.model import FULL_WEIGHT, OnFailure, Route
from monitoring.rollout.position import position_of


def meaning(change: Change, before: Route, after: Route) -> str:
    """``before`` and ``after`` are the route as it is and as the change leaves it."""
    match change:
        case SetWeight(_, version, 0):
            return (
                f"{version} gets not one more request of {after.name}{_so_far(before, version)}; "
                f"{_rest(after, version, ' gets')}"
            )
        case SetWeight(_, version, _):
            return (
                f"{version} gets {_share(after, version)} of the requests of {after.name}"
                f"{_instead(before, version)}, {_rest(after, version)}"
            )
        case Promote(_, version):
            return (
                f"{version} becomes the stable version of {after.name} and gets "
                f"{_share(after, version)} of the requests{_instead(before, version)}; "
                f"{before.stable} gets none{_instead(before, before.stable)}, and stays reachable "
                "for the way back"
            )
        case Restore(_, version, former):
            return (
                f"{change.sentence}: {former} gets {_share(after, former)} of the requests of "
                f"{after.name}{_instead(before, former)}; {version} had {_share(before, version)}, "
                "and stays reachable"
            )
        case SetPaused(_, version, True):
            return (
                f"{version} stays at {_share(after, version)} of the requests of {after.name} "
                f"until somebody resumes it{_if_worse(after, version)}"
            )
        case SetPaused(_, version, _):
            return (
                f"{version} is paused no more: its rollout goes on at {_share(after, version)} of "
                f"the requests of {after.name}{_then(after, version)}"
            )

        case AddVersion(_, version):
            return f"{version} is there for {after.name}, and gets no requests until it is started"
        case RemoveVersion(_, version):
            return f"{version} is not there for {after.name} any more"


def remarks(change: Change, before: Route) -> tuple[str, ...]:
    """What a person should know before, that the file and the numbers do not say."""
    found = []
    version = change.version
    if isinstance(change, Promote) and not before.weight(version):
        found.append(
            f"{version} gets no requests at this moment, so nothing is known of how it does now"
        )
    if isinstance(change, SetWeight) and change.weight_bp and before.analysis is None:
        found.append(f"{version} is judged by nobody: the route has no `analysis`")
    rollout = before.rollout(version)
    if isinstance(change, SetWeight) and rollout and rollout.paused and change.weight_bp:
        found.append(f"{version} stays paused in its rollout")
    return tuple(found)


def _share(route: Route, version: str) -> str:
    return f"{percent_text(route.weight(version))} %"


def _instead(before: Route, version: str) -> str:
    weight = before.weight(version)
    return f" instead of {percent_text(weight)} %" if weight else " instead of none"


def _so_far(before: Route, version: str) -> str:
    return f", of which it had {_share(before, version)}" if before.weight(version) else ""


def _rest(after: Route, version: str, gets: str = "") -> str:
    """The shares of the others that get any, stable first."""
    names = [after.stable, *(one.name for one in after.candidates if one.weight)]
    others = [name for name in names if name != version]
    shares = [f"{name}{gets} {_share(after, name)}" for name in others[:1]]
    return ", ".join([*shares, *(f"{name} {_share(after, name)}" for name in others[1:])])


def _if_worse(route: Route, version: str) -> str:
    rollout = route.rollout(version)
    if route.analysis is None or rollout is None or rollout.on_failure is not OnFailure.ROLLBACK:
        return ""
    return "; it is taken out all the same if it is proven worse"


def _then(route: Route, version: str) -> str:
    if not route.weight(version):
        return ", which is none until somebody starts it"
    following = position_of(route, version, watched=0.0).following
    if following is None:
        return ""
    return "; next is " + (
        "its promotion" if following == FULL_WEIGHT else f"{percent_text(following)} %"
    )
