"""Between which bounds the values of a route are counted, and since when.

The file says so, and another file may say otherwise. Counts between other bounds cannot be added,
nor can those between bounds that were left and come back: a counter would jump by what was counted
then. So what is counted altogether begins anew, and only of values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from gateway.counting.ledger import Name
from gateway.model import Prediction, RoutingConfig

_KINDS: Final = frozenset({"values", "drawn_values", "values_sum"})


def scales_of(
    config: RoutingConfig,
    serial: int,
    old: RoutingConfig | None = None,
    before: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """By route: since which serial its values are counted as this file says. ``before`` is the same
    of the ``old`` file, which was the last one.
    """
    known = {route.name: _scale(route.prediction) for route in old.routes} if old else {}
    found = {}
    for route in config.routes:
        scale = _scale(route.prediction)
        if scale is not None:
            same = before is not None and known.get(route.name) == scale
            found[route.name] = before[route.name] if before and same else serial
    return found


def unlike(one: Mapping[str, int], other: Mapping[str, int]) -> frozenset[str]:
    """The routes whose values are not counted as one in both."""
    return frozenset(name for name in (*one, *other) if one.get(name) != other.get(name))


def is_value(name: Name, routes: Collection[str]) -> bool:
    """Whether these are cells of values of one of the routes."""
    return name[0] in _KINDS and name[1] in routes


def _scale(prediction: Prediction | None) -> tuple[str, tuple[float, ...]] | None:
    if prediction is None or prediction.value is None:
        return None
    return prediction.value, prediction.bounds
