"""What waits for a collector: how much, for how long, and what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from gateway.http.headers import RequestHead
from gateway.traces.span import Visit
from gateway.traces.spool import BATCH, Spool
from gateway.traces.tracing import Trace

OWN = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
VISIT = Visit(OWN, "", b"", RequestHead([]), b"", b"", 0, 0.0, 200, None, "", False, ())
HUNG = 20.0


def test_all_that_fits_is_exported_a_few_at_a_time() -> None:
    taken: list[int] = []

    def export(visits: Sequence[Visit]) -> bool:
        taken.append(len(visits))
        return True

    spool = Spool(export, every=HUNG)
    for _ in range(3 * BATCH + 1):
        spool.put(VISIT)

    assert spool.close(HUNG) == 0
    assert sum(taken) == 3 * BATCH + 1
    assert max(taken) <= BATCH
    assert spool.dropped == 0


def test_it_does_not_wait_for_more_than_a_batch() -> None:
    exported = threading.Event()
    spool = Spool(lambda _: exported.set() or True, every=10 * HUNG)
    for _ in range(BATCH):
        spool.put(VISIT)

    assert exported.wait(HUNG)
    spool.close(HUNG)


@pytest.mark.parametrize("how", ["refused", "raised"])
def test_what_the_collector_does_not_take_is_lost_and_counted(how: str) -> None:
    taken: list[int] = []

    def export(visits: Sequence[Visit]) -> bool:
        taken.append(len(visits))
        if how == "raised" and len(taken) == 1:
            raise RuntimeError("no route to host")
        return len(taken) > 1

    spool = Spool(export, every=HUNG)
    for _ in range(BATCH + 3):
        spool.put(VISIT)
    spool.close(HUNG)

    assert sum(taken) == BATCH + 3
    assert spool.dropped == taken[0]


def test_the_end_does_not_wait_for_ever() -> None:
    released = threading.Event()
    spool = Spool(lambda _: released.wait(HUNG), every=HUNG)
    for _ in range(BATCH + 2):
        spool.put(VISIT)

    assert spool.close(0.05) >= 2
    released.set()
    spool.close(HUNG)
