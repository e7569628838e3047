"""What keeps the gateway going: files, processes, the controller."""

from __future__ import annotations

from monitoring.grafana.look import Json
from monitoring.grafana.panels import instant, plot, stat, target
from monitoring.grafana.promql import RANGE, ROUTES, increase, rate, total


def files() -> list[Json]:
    of_port = "{{port}}: {{result}}"
    return [
        plot(
            "Reloads",
            "Changed files seen a second, by result.",
            "ops",
            target(total("result", rate("canary_config_reloads_total", "")), "{{result}}"),
            alerts=["CanaryReloadFailed"],
        ),
        plot(
            "Generations served",
            "Gateways that serve each content of routing.yaml, by its hash.",
            "short",
            target("count by (hash) (canary_config_info)", "{{hash}}"),
            custom={"drawStyle": "line", "lineInterpolation": "stepAfter", "fillOpacity": 20},
        ),
        plot(
            "Certificates: time left",
            "Time until the certificate in use ends, by port.",
            "s",
            target(
                "min by (port) (canary_tls_certificate_expiry_timestamp_seconds) - time()",
                "{{port}}",
            ),
        ),
        plot(
            "Certificates: reloads",
            "Changed certificates or keys seen a second, by port and result.",
            "ops",
            target(
                total("port, result", rate("canary_tls_certificate_reloads_total", "")), of_port
            ),
        ),
    ]


def processes() -> list[Json]:
    name = "{{process}}"
    return [
        plot(
            "CPU",
            "Cores that each process uses; one process uses one at most.",
            "none",
            target(total("process", rate("canary_process_cpu_seconds_total", "")), name),
        ),
        plot(
            "Memory",
            "Memory that each process really holds.",
            "bytes",
            target(total("process", "canary_process_resident_memory_bytes"), name),
        ),
        plot(
            "Open files",
            "Files and sockets that each process has open.",
            "short",
            target(total("process", "canary_process_open_fds"), name),
        ),
        plot(
            "Serving processes",
            "Processes that serve clients, and those started in place of one that ended.",
            "short",
            target("sum(canary_processes)", "serving"),
            target(f"sum({increase('canary_process_restarts_total', '')})", "restarted"),
        ),
    ]


def controller() -> list[Json]:
    took = f"rate(canary_rollback_duration_seconds_bucket{{{ROUTES}}}[{RANGE}])"
    return [
        plot(
            "Looks",
            "Looks a second by what came of them; standing_by: another controller leads.",
            "ops",
            target(total("outcome", rate("canary_controller_looks_total", "")), "{{outcome}}"),
            alerts=["CanaryControllerDown"],
        ),
        plot(
            "Since the last look",
            "It looks once a second; ten seconds without are too long.",
            "s",
            target("time() - max(canary_controller_last_look_timestamp_seconds)", "last look"),
        ),
        plot(
            "Changes of routing.yaml",
            "Changes in the time between two points, by who made them.",
            "short",
            target(
                total("actor, kind", increase("canary_weight_changes_total", "")),
                "{{actor}}: {{kind}}",
            ),
        ),
        plot(
            "Unrecorded changes",
            "Changes made that could not be written into the history yet.",
            "short",
            target("sum(canary_controller_unrecorded_changes)", "unrecorded"),
        ),
        plot(
            "Notices",
            "Notices for webhooks in the time between two points, by what became of them.",
            "short",
            target(
                total("event, outcome", increase("canary_notices_total", "")),
                "{{event}}: {{outcome}}",
            ),
        ),
        stat(
            "Rollbacks take",
            "95 of 100 rollbacks in the time shown were in force in all gateways so soon after "
            "they were decided.",
            "s",
            instant(f"histogram_quantile(\n  0.95,\n  {total('route, le', took)}\n)", "{{route}}"),
            noValue="no rollback",
            alerts=["CanaryRolledBack"],
        ),
    ]
