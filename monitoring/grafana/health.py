"""The gateway and its controller themselves, whatever the models do."""

from __future__ import annotations

from typing import Final

from monitoring.grafana.look import Json, steps, words
from monitoring.grafana.page import Row, page
from monitoring.grafana.panels import instant, plot, stat, target, timeline
from monitoring.grafana.promql import ROUTES, largest, quantile, rate, total
from monitoring.grafana.upkeep import controller, files, processes

_TO_ROUTE: Final = [
    {
        "title": "This route",
        "url": "/d/canary-route?${datasource:queryparam}&var-route=${__field.labels.route}"
        "&${__url_time_range}",
        "targetBlank": False,
    }
]
_UP: Final = steps("red", (1, "green"))
_ENDPOINT: Final = "{{route}} {{version}} {{endpoint}}"


def health() -> Json:
    """The dashboard ``canary-gateway``."""
    return page(
        "canary-gateway",
        "The gateway and its controller themselves, whatever the models do.",
        [
            Row("Now", 4, [*_standing(), *_threatened()], wide=4),
            Row("Cost and saturation", 8, _cost(), wide=8),
            Row("What was not served as drawn", 8, _refusals(), wide=8),
            Row("Endpoints", 8, _endpoints(), wide=12),
            Row("Configuration and certificates", 8, files(), wide=6),
            Row("Processes", 8, processes(), wide=6),
            Row("Controller", 8, controller(), wide=8),
        ],
        any_route=True,
    )


def _standing() -> list[Json]:
    return [
        stat(
            "routing.yaml",
            "Whether the file as it stands is in force. If it was refused, the last good one is "
            "being served; the gateway's log names every problem with its line.",
            "none",
            instant("min(canary_config_last_reload_successful)", "routing.yaml"),
            shows="value",
            background=True,
            mappings=words(_0=("refused", "red"), _1=("in force", "green")),
            alerts=["CanaryReloadFailed"],
        ),
        stat(
            "Generation",
            "The content in force, by its hash. More than one: the gateways do not all serve the "
            "same file.",
            "none",
            instant("count by (hash) (canary_config_info)", "{{hash}}"),
            shows="name",
        ),
        stat(
            "Scraped",
            "Whether Prometheus reaches gateway and controller.",
            "none",
            instant('min by (job) (up{job=~"gateway|controller"})', "{{job}}"),
            mappings=words(_0=("down", "red"), _1=("up", "green")),
            color={"mode": "thresholds"},
            thresholds=_UP,
            alerts=["CanaryGatewayDown", "CanaryControllerDown"],
        ),
    ]


def _threatened() -> list[Json]:
    return [
        stat(
            "Endpoints ready",
            "Share of the endpoints that say they are ready; only of versions with `readiness`.",
            "percentunit",
            instant(f"avg(canary_upstream_up{{{ROUTES}}})", "ready"),
            shows="value",
            noValue="nobody is asked",
            color={"mode": "thresholds"},
            thresholds=_UP,
            alerts=["CanaryUpstreamDown"],
        ),
        stat(
            "Circuits open",
            "Endpoints that are left out for a while after failures in a row.",
            "none",
            instant(f"sum(canary_circuit_open{{{ROUTES}}})", "open"),
            shows="value",
            noValue="none",
            color={"mode": "thresholds"},
            thresholds=steps("green", (1, "red")),
        ),
        stat(
            "Certificate ends in",
            "Time until the first of the certificates in use ends.",
            "s",
            instant("min(canary_tls_certificate_expiry_timestamp_seconds) - time()", "ends in"),
            shows="value",
            noValue="no TLS",
            color={"mode": "thresholds"},
            thresholds=steps("red", (7 * 86400, "yellow"), (21 * 86400, "green")),
        ),
    ]


def _cost() -> list[Json]:
    return [
        plot(
            "Overhead, p50 and p99",
            "Time the gateway itself adds to a request: half, and 99 of 100, take less than this.",
            "s",
            *(
                target(
                    quantile(share, "canary_gateway_overhead_seconds", "route", ROUTES),
                    f"{{{{route}}}} {name}",
                )
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
            links=_TO_ROUTE,
            alerts=["CanaryOverheadHigh"],
        ),
        plot(
            "Requests",
            "Answers a second, by route.",
            "reqps",
            target(total("route", rate("canary_requests_total", ROUTES)), "{{route}}"),
            links=_TO_ROUTE,
            alerts=["CanaryRouteWithoutTraffic"],
        ),
        plot(
            "In flight",
            "Requests under way, by route.",
            "short",
            target(total("route", f"canary_requests_in_flight{{{ROUTES}}}"), "{{route}}"),
            links=_TO_ROUTE,
        ),
    ]


def _refusals() -> list[Json]:
    refused = total("reason", rate("canary_refused_requests_total", ""))
    return [
        plot(
            "Refused requests",
            "Requests a second refused before any version was asked, by reason.",
            "reqps",
            target(refused, "{{reason}}"),
        ),
        plot(
            "Retries",
            "Requests a second sent once more after no answer, and those that were not, as too "
            "many were under way already.",
            "reqps",
            target(total("route", rate("canary_retries_total", ROUTES)), "{{route}} sent"),
            target(
                total("route", rate("canary_retries_refused_total", ROUTES)), "{{route}} refused"
            ),
            links=_TO_ROUTE,
        ),
        plot(
            "Fallbacks",
            "Requests a second that stable answered in a candidate's place, by route.",
            "reqps",
            target(total("route", rate("canary_fallbacks_total", ROUTES)), "{{route}}"),
            links=_TO_ROUTE,
        ),
    ]


def _endpoints() -> list[Json]:
    return [
        timeline(
            "Endpoints that are ready",
            "Whether each endpoint says that it is ready; only of versions with `readiness`.",
            target(
                f"min by (route, version, endpoint) (canary_upstream_up{{{ROUTES}}})", _ENDPOINT
            ),
            mappings=words(_0=("down", "red"), _1=("ready", "green")),
            alerts=["CanaryUpstreamDown"],
        ),
        timeline(
            "Circuits",
            "Whether an endpoint is left out for a while; only of versions with several.",
            target(largest("route, version, endpoint", "canary_circuit_open", ROUTES), _ENDPOINT),
            mappings=words(_0=("closed", "green"), _1=("open", "red")),
        ),
    ]
