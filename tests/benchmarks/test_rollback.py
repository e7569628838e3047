"""The measurement of rollbacks measures something: one run, as short as it can be."""

from __future__ import annotations

import uvloop

from benchmarks.outage import Fault
from benchmarks.rollback import USERS, measure


def test_a_run_ends_with_a_rollback_that_no_request_and_no_client_pays_for() -> None:
    took = uvloop.run(measure(USERS["drawn"], Fault.FAILS, healthy=1.0, seed=1))

    assert took.served >= took.filed > 0
    assert took.bad >= 2
    assert (took.after, took.failed) == (0, 0)
