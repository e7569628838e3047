"""What is marked on every plot: what changed, and when."""

from __future__ import annotations

from typing import Final

from monitoring.grafana.look import Json
from monitoring.grafana.panels import SOURCE
from monitoring.grafana.promql import RATE

STEP: Final = "5s"  # as often as Prometheus scrapes: no change falls between two looks


def marks(matchers: str) -> list[Json]:
    """All marks; ``matchers`` chooses routes."""
    return [
        _mark(
            "Weight changes",
            "purple",
            _changed_weight(matchers),
            "{{route}} {{version}}: {{from}} % to {{to}} %",
            "canary history says who and why",
        ),
        _mark(
            "Rollbacks",
            "red",
            _grew("route, version, reason", "canary_rollbacks_total", matchers),
            "{{route}} {{version}} rolled back: {{reason}}",
            "canary history says what the numbers were",
        ),
        _mark(
            "Verdict changes",
            "yellow",
            _grew("route, version, verdict, reason", "canary_verdicts_total", matchers),
            "{{route}} {{version}}: {{verdict}}",
            "It rests on: {{reason}}",
        ),
        _mark(
            "Reloads",
            "green",
            _grew("result", "canary_config_reloads_total", ""),
            "routing.yaml was read: {{result}}",
            "canary history says what changed",
        ),
    ]


def _mark(name: str, colour: str, expr: str, title: str, text: str) -> Json:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "target": {"refId": "Anno", "expr": expr, "interval": STEP},
        "titleFormat": title,
        "textFormat": text,
    }


def _grew(labels: str, counter: str, matchers: str) -> str:
    selected = f"{counter}{{{matchers}}}" if matchers else counter
    return f"sum by ({labels}) (increase({selected}[{RATE}])) > 0"


def _changed_weight(matchers: str) -> str:
    """1 at each step at which a weight is another one than a step before; the two percentages
    stand in the labels ``from`` and ``to``, as a mark can show nothing else.
    """
    now = f"max by (route, version) (canary_route_weight_ratio{{{matchers}}})"
    then = now.replace("})", "} offset $__interval)")
    percent = "round(100 * {}, 0.01)"
    return (
        f'count_values by (route, version) ("to", {percent.format(now)})\n'
        "* on (route, version) group_left (from)\n"
        f'count_values by (route, version) ("from", {percent.format(then)})\n'
        f"and on (route, version) ({now} != {then})"
    )
