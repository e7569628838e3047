"""What the admin port tells as JSON: the state now, and the counts a verdict may use. Values
only.
"""

from __future__ import annotations

from typing import Any

from gateway.live import Live, Serving
from gateway.model import FULL_WEIGHT
from gateway.reloader import ReloadStatus

Json = dict[str, Any]


def status_json(live: Live, reload_status: ReloadStatus, filename: str) -> Json:
    """Per route and version: configured and observed share, what is in flight, the endpoints.

    Shares are percent; ``observed`` is None until the present generation has drawn a request.
    """
    serving = live.serving
    return {
        "generation": serving.generation,
        "since": serving.since,
        "draining": live.draining,
        "file": {
            "name": filename,
            "in_force": reload_status.successful,
            "problems": [problem.render(filename) for problem in reload_status.problems],
            "warnings": [warning.render(filename) for warning in reload_status.warnings],
        },
        "routes": _routes(serving),
    }


def _routes(serving: Serving) -> Json:
    routes: Json = {}
    for place, pool, counts, evidence in zip(
        serving.table.places, serving.pools, serving.counts, serving.evidence, strict=True
    ):
        name = place.route.name
        route = routes.setdefault(name, {"stable": place.route.stable, "versions": {}})
        drawn = assigned_total(serving, name)
        route["versions"][place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version) * 100 / FULL_WEIGHT,
            "observed": evidence.assigned * 100 / drawn if drawn else None,
            "assigned": evidence.assigned,
            "bad": evidence.bad,
            "reasons": evidence.reasons,
            "answered": sum(counts.answered.values()),
            "in_flight": pool.in_flight,
            "endpoints": [
                {"url": member.endpoint.url, "in_flight": member.in_flight}
                for member in pool.members
            ],
        }
    return routes


def assigned_total(serving: Serving, route: str) -> int:
    """Requests drawn in a route under this generation."""
    pairs = zip(serving.table.places, serving.evidence, strict=True)
    return sum(evidence.assigned for place, evidence in pairs if place.route.name == route)


def evidence_json(live: Live) -> Json:
    """Integer counts per generation (the newest last), route and version."""
    return {
        "generation": live.serving.generation,
        "generations": [_generation(serving) for serving in (*live.past, live.serving)],
    }


def _generation(serving: Serving) -> Json:
    routes: Json = {}
    for place, evidence in zip(serving.table.places, serving.evidence, strict=True):
        routes.setdefault(place.route.name, {})[place.version] = {
            "role": place.role,
            "weight": place.route.weight(place.version),
            "assigned": evidence.assigned,
            "bad": evidence.bad,
            "reasons": evidence.reasons,
            "labels": evidence.labels,
        }
    return {"generation": serving.generation, "since": serving.since, "routes": routes}
