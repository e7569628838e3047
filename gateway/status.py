"""What the admin port tells as JSON: the state now, and the counts a verdict may use. Values
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.archive import Epoch
from gateway.model import FULL_WEIGHT
from gateway.report import Key, Report, VersionTotals, key_of

Json = dict[str, Any]


def status_json(report: Report) -> Json:
    """Per route and version: configured and observed share, what is in flight, the endpoints.

    Shares are percent; ``observed`` is None until the present generation has drawn a request.
    """
    state = report.state
    return {
        "generation": report.epoch.generation,
        "since": report.epoch.since,
        "draining": state.draining,
        "processes": [asdict(process) for process in state.processes],
        "restarts": state.restarts,
        "file": {
            "name": state.filename,
            "in_force": state.reloads.successful,
            "problems": [problem.render(state.filename) for problem in state.reloads.problems],
            "warnings": [warning.render(state.filename) for warning in state.reloads.warnings],
        },
        "routes": _routes(report),
    }


def _routes(report: Report) -> Json:
    routes: Json = {}
    places = report.epoch.table.places
    for place in places:
        name = place.route.name
        route = routes.setdefault(name, {"stable": place.route.stable, "versions": {}})
        now = report.now(place)
        drawn = sum(report.now(other).assigned for other in places if other.route.name == name)
        altogether = report.versions.get(key_of(place)) or VersionTotals()
        endpoints = place.route.version(place.version).endpoints
        route["versions"][place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version) * 100 / FULL_WEIGHT,
            "observed": now.assigned * 100 / drawn if drawn else None,
            "assigned": now.assigned,
            "bad": now.bad,
            "reasons": now.reasons,
            "answered": sum(altogether.answered.values()),
            "in_flight": report.all_in_flight(place),
            "endpoints": [
                {
                    "url": endpoint.url,
                    "in_flight": report.in_flight(place, endpoint),
                    "ejected": report.ejected(place, endpoint) > 0,
                    "ready": report.ready(place, endpoint),
                }
                for endpoint in endpoints
            ],
        }
    return routes


def evidence_json(report: Report) -> Json:
    """Integer counts per generation (the newest last), route and version."""
    return {
        "generation": report.epoch.generation,
        "generations": [_generation(*one) for one in report.history],
    }


def _generation(epoch: Epoch, versions: Mapping[Key, VersionTotals]) -> Json:
    routes: Json = {}
    for place in epoch.table.places:
        counted = versions.get(key_of(place)) or VersionTotals()
        routes.setdefault(place.route.name, {})[place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version),
            "assigned": counted.assigned,
            "bad": counted.bad,
            "reasons": counted.reasons,
            "labels": {label: number for label, number in counted.drawn_labels.items() if number},
        }
    return {"generation": epoch.generation, "since": epoch.since, "routes": routes}
