"""Which acts make sense for a candidate as the file stands, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.config.quantities import percent_text
from gateway.edit import Change, SetWeight
from gateway.errors import EditRefused
from gateway.model import FULL_WEIGHT, Route, RoutingConfig
from monitoring import verbs
from monitoring.history.promotions import Past


class Act(StrEnum):
    """What a person can do with a candidate: the words of the commands, of addresses, and of the
    history.
    """

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    SET_WEIGHT = "set-weight"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


LABELS: Final[Mapping[Act, str]] = {
    Act.START: "Start",
    Act.PAUSE: "Pause",
    Act.RESUME: "Resume",
    Act.SET_WEIGHT: "Set weight",
    Act.PROMOTE: "Promote",
    Act.ROLLBACK: "Roll back",
}
HEADINGS: Final[Mapping[Act, str]] = {**LABELS, Act.SET_WEIGHT: "Set the weight of"}
_VERBS: Final[Mapping[Act, verbs.Verb]] = {
    Act.START: verbs.start,
    Act.PAUSE: verbs.pause,
    Act.RESUME: verbs.resume,
    Act.PROMOTE: verbs.promote,
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One button. ``refusal``: why it would do nothing now; empty where it can be pressed."""

    act: Act
    label: str
    refusal: str = ""

    @property
    def possible(self) -> bool:
        return not self.refusal


def change_of(
    act: Act,
    config: RoutingConfig,
    route: str,
    version: str,
    weight: int | None = None,
    past: Past = tuple,
) -> Change:
    """The edit that an act is; ``weight`` in basis points, for ``set-weight`` only; ``past`` tells
    of the promotion that a rollback takes back. Raises as the functions of
    :mod:`monitoring.verbs` do.
    """
    if act is Act.SET_WEIGHT:
        return SetWeight(route, version, 0 if weight is None else weight)
    if act is Act.ROLLBACK:
        return verbs.rollback(config, route, version, past)
    return _VERBS[act](config, route, version)


def offers(
    config: RoutingConfig, route: str, version: str, past: Past = tuple
) -> tuple[Offer, ...]:
    """A button for each act, in the order in which a rollout needs them. KeyError if the file has
    no such route or version.
    """
    found = config.route(route)
    found.version(version)
    return tuple(
        Offer(act, LABELS[act], _refusal(act, config, found, version, past)) for act in Act
    )


def offered(
    config: RoutingConfig, route: str, past: Past = tuple
) -> tuple[tuple[str, tuple[Offer, ...]], ...]:
    """Of each candidate of a route, in the file's order; then of the stable version its rollback,
    where it was promoted. KeyError if there is no such route.
    """
    found = config.route(route)
    rows = tuple((one.name, offers(config, route, one.name)) for one in found.candidates)
    back = tuple(one for one in offers(config, route, found.stable, past) if one.possible)
    return (*rows, (found.stable, back)) if back else rows


def most(route: Route, version: str) -> int:
    """The largest weight that the other candidates leave, in basis points."""
    return FULL_WEIGHT - sum(one.weight for one in route.candidates if one.name != version)


def _refusal(act: Act, config: RoutingConfig, route: Route, version: str, past: Past) -> str:
    stable = version == route.stable
    if stable and act is not Act.ROLLBACK:
        return f"{version} is the stable version: it takes what the candidates leave"
    try:
        change = change_of(act, config, route.name, version, past=past)
    except EditRefused as error:
        return str(error)
    rollout = route.rollout(version)
    match act:
        case Act.ROLLBACK if not (stable or route.weight(version)):
            return f"{version} has weight 0 already: it gets no requests"
        case Act.PAUSE if rollout is not None and rollout.paused:
            return f"the rollout of {version} is paused already"
        case Act.PROMOTE if route.mirror is not None and route.mirror.to == version:
            return f"`mirror` goes to {version}, and cannot go to the stable version: remove it"
        case Act.START | Act.RESUME if _too_much(change, route, version):
            left = percent_text(most(route, version))
            return f"the other candidates leave {left} % for {version}: lower one of them first"
    return ""


def _too_much(change: Change, route: Route, version: str) -> bool:
    return isinstance(change, SetWeight) and change.weight_bp > most(route, version)
