"""All services once, for every module of this directory, and one story told with them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.composed.clients import Load, fault, rare
from tests.composed.harness import Composed, Told, eventually, free_port


@pytest.fixture(scope="package")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    one = Composed(tmp_path_factory.mktemp("composed"))
    try:
        one.up()
        yield one
    finally:
        one.down()


def alerted(composed: Composed, route: str) -> bool:
    """Whether Alertmanager has told of a rollback there."""
    told = composed.said("alerts", "alert firing")
    return any((one["alertname"], one.get("route")) == ("CanaryRolledBack", route) for one in told)


@pytest.fixture(scope="package")
def told(composed: Composed) -> Told:
    """Healthy traffic, then the candidate of breast-cancer fails and is taken out."""
    began = time.time()
    load = Load(free_port("gateway", 8080))
    counted_none = "sum(canary_requests_total) == 0"
    eventually(lambda: composed.value(counted_none) == 0, "Prometheus asked before the first one")
    load.start()
    try:
        counted = 'canary_rollbacks_total{route="breast-cancer", version="v2", reason="errors"}'
        eventually(lambda: composed.value(counted) == 0, "Prometheus asked the controller")
        drawn = 'count(route_version:canary_requests_assigned:ratio_rate1m{version="v2"} > 0)'
        eventually(lambda: composed.value(drawn) == 2, "both candidates were drawn and recorded")
        with fault(composed, "breast-cancer-v2", "errors=0.5"):
            eventually(lambda: not composed.weight("breast-cancer", "v2"), "the candidate is out")
        changed = 'canary_route_weight_ratio{route="breast-cancer", version="v2"} == 0'
        eventually(lambda: composed.value(changed) is not None, "Prometheus knows it is out")
        eventually(lambda: composed.value(counted) == 1, "Prometheus knows who took it out")
        out = 'canary_rollout_phase{route="breast-cancer", version="v2", phase="rolled_back"}'
        eventually(lambda: composed.value(out) == 1, "Prometheus knows that it is over")
        eventually(lambda: alerted(composed, "breast-cancer"), "people were told")
        load.end()
        rare(composed, load)
    finally:
        load.end()
        load.close()
    total = sum(load.seen.values())
    eventually(
        lambda: composed.value("sum(canary_requests_total)") == total, "the last scrape has it all"
    )
    return Told(began, time.time(), load)
