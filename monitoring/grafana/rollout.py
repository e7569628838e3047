"""The rollout of one route: how traffic is split, how each version does, what is thought of it."""

from __future__ import annotations

from typing import Final

from monitoring.grafana.look import BY_ROLE, CONFIGURED, EFFECTIVE, LIMIT, Json, steps, words
from monitoring.grafana.page import Row, page
from monitoring.grafana.panels import bars, instant, plot, stat, target, timeline
from monitoring.grafana.promql import (
    CHOSEN,
    RANGE,
    ROUTE,
    VERSION,
    error_ratio,
    largest,
    numbered,
    observed_share,
)
from monitoring.grafana.quality import predictions, quality, scores, traffic, values

# In the order of their numbers on a timeline.
_VERDICTS: Final = ("Successful", "Inconclusive", "Failed", "Error")
_PHASES: Final = ("idle", "ramping", "paused", "promoted", "rolled_back")
_CONFIGURED: Final = f"route_version:canary_route_weight:ratio{{{CHOSEN}}}"
# The role stands at another metric of the same gateway.
_EFFECTIVE: Final = f"""max by ({VERSION}) (
  canary_route_effective_weight_ratio{{{CHOSEN}}}
  * on (instance, job, route, version) group_left (role)
  (canary_requests_in_flight{{{CHOSEN}}} >= bool 0)
)"""
_NAMED: Final = "{{version}}"


def rollout() -> Json:
    """The dashboard ``canary-rollout``."""
    return page(
        "canary-rollout",
        "One route: how its traffic is split, and how each version does. Stable is blue, a "
        "candidate orange.",
        [
            Row("Now", 4, [*_standing(), *_so_far()], wide=4),
            Row("Split", 8, _split(), wide=8),
            Row("Verdict", 8, _verdict(), wide=12),
            Row("Quality", 8, quality(), wide=12),
            Row("Traffic", 8, traffic(), wide=8),
            Row("Predictions", 8, predictions(), wide=8),
            Row("Scores", 7, scores(), wide=24),
            Row("Values", 8, values(), wide=12),
        ],
    )


def _standing() -> list[Json]:
    left = (
        f"(canary_rollout_pause_seconds{{{CHOSEN}}} > 0 < +Inf)"
        f" - canary_rollout_watched_seconds{{{CHOSEN}}}"
    )
    return [
        stat(
            "Phase",
            "What the rollout of each candidate is doing.",
            "none",
            instant(
                f"{largest('version, phase', 'canary_rollout_phase')} == 1",
                "{{version}}: {{phase}}",
            ),
            shows="name",
            noValue="no candidate",
            alerts=["CanaryRolledBack"],
        ),
        stat(
            "Step",
            "The step of its rollout at which each candidate stands, from 1.",
            "none",
            instant(f"{largest('version', 'canary_rollout_step')} > 0", _NAMED),
            noValue="none",
        ),
        stat(
            "Time to the next step",
            "How long the candidate is still to be watched at its weight. At 0 it goes on as soon "
            "as it is proven good enough for the next weight; a pause without end is not shown.",
            "s",
            instant(f"clamp_min(max by (version) ({left}), 0)", _NAMED),
            noValue="none",
            alerts=["CanaryVerdictStalled"],
        ),
    ]


def _so_far() -> list[Json]:
    return [
        stat(
            "Configured share",
            "Share of the route's requests that routing.yaml gives each version.",
            "percentunit",
            instant(_CONFIGURED),
            overrides=BY_ROLE,
            decimals=2,
        ),
        stat(
            "Observed share",
            "Share of the draws in the time shown that fell to each version. Requests that name a "
            "version are left out; one that stable answered in a candidate's place counts for the "
            "candidate.",
            "percentunit",
            instant(observed_share(RANGE)),
            overrides=BY_ROLE,
            decimals=2,
        ),
        stat(
            "Error ratio",
            "Of what each version was asked in the time shown, the share it gave no good answer "
            "to, answered by stable or not.",
            "percentunit",
            instant(error_ratio(RANGE)),
            overrides=BY_ROLE,
            decimals=2,
            alerts=["CanaryErrorRatioAboveStable"],
        ),
    ]


def _split() -> list[Json]:
    return [
        plot(
            "Split: configured and observed",
            "Dashed: the share routing.yaml gives each version. Solid: the share of draws that "
            "fell to it. They part for as long as chance explains, or something is wrong.",
            "percentunit",
            target(_CONFIGURED, "{{role}} {{version}} configured"),
            target(observed_share(), "{{role}} {{version}} observed"),
            overrides=[*BY_ROLE, CONFIGURED],
            max=1,
        ),
        plot(
            "Split: in effect",
            "Dotted: the share that the serving processes draw by. It parts from the configured "
            "one, dashed, only while a new file has not reached all of them.",
            "percentunit",
            target(_CONFIGURED, "{{role}} {{version}} configured"),
            target(_EFFECTIVE, "{{role}} {{version}} effective"),
            overrides=[*BY_ROLE, CONFIGURED, EFFECTIVE],
            max=1,
        ),
        plot(
            "Sample ratio: p-value",
            "How likely draws as uneven as these are if requests are shared as the weights say, "
            "however often one looks. Below a thousandth: believe neither split nor verdict.",
            "none",
            target(f"min by (route) (canary_sample_ratio_pvalue{{{ROUTE}}})", "p-value"),
            log=True,
            alerts=["CanarySampleRatioMismatch"],
            max=1,
        ),
    ]


def _verdict() -> list[Json]:
    against = f"canary_check_value{{{CHOSEN}}} / canary_check_threshold{{{CHOSEN}}}"
    return [
        plot(
            "Evidence against its limit",
            "Factor by which the data speak for worse than stable, by what is checked, on a "
            "logarithmic axis. At the dashed limit it is proof, and the candidate is taken out.",
            "none",
            target(largest("version, check", "canary_check_value"), "{{version}}: {{check}}"),
            target(largest("version", "canary_check_threshold"), "{{version}} limit"),
            overrides=[LIMIT],
            log=True,
        ),
        bars(
            "Evidence, as a share of the limit",
            "How near each check is to proof that the candidate is worse.",
            "percentunit",
            instant(f"max by (version, check) ({against})", "{{version}}: {{check}}"),
            min=0,
            max=1,
            thresholds=steps("green", (0.1, "yellow"), (1, "red")),
        ),
        timeline(
            "Verdict",
            "What the data say about each candidate. Inconclusive: not enough of them yet.",
            target(numbered("canary_verdict", "verdict", _VERDICTS), _NAMED),
            mappings=words(
                _1=("Successful", "green"),
                _2=("Inconclusive", "blue"),
                _3=("Failed", "red"),
                _4=("Error", "purple"),
            ),
            alerts=["CanaryVerdictStalled"],
        ),
        timeline(
            "Phase and steps",
            "What the rollout of each candidate was doing.",
            target(numbered("canary_rollout_phase", "phase", _PHASES), _NAMED),
            mappings=words(
                _1=("idle", "text"),
                _2=("ramping", "blue"),
                _3=("paused", "yellow"),
                _4=("promoted", "green"),
                _5=("rolled back", "red"),
            ),
            alerts=["CanaryRolledBack"],
        ),
    ]
