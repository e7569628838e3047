"""Which share of a route's requests each of its versions is really given.

The split alone decides: health moves no share. Of several endpoints some are left out, never all;
a version of which none is ready is asked like any other; and a candidate that fails is asked first
all the same, for every request of its share, before stable answers in its place. What can differ
from the file is who serves it: a process that has not taken it yet still splits by the one before,
and without any process nobody is given anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.counting.report import Report
from gateway.model import FULL_WEIGHT
from gateway.routing.table import RoutingTable

Share = Mapping[tuple[str, str], float]
"""By route and version, 0 to 1."""


def configured(table: RoutingTable) -> Share:
    """As the file says."""
    return {
        (place.route.name, place.version): place.route.weight(place.version) / FULL_WEIGHT
        for place in table.places
    }


def effective(report: Report) -> Share:
    """Of the versions of the file in force, on average of the processes that serve clients at this
    moment.
    """
    tables = {epoch.generation: epoch.table for epoch, _ in report.history}
    serving = [one.generation for one in report.state.processes if one.generation in tables]
    shares = [configured(tables[generation]) for generation in serving if generation]
    return {
        key: sum(one.get(key, 0.0) for one in shares) / max(len(shares), 1)
        for key in configured(report.epoch.table)
    }
