"""How many requests a version may be sent once more: a share of those it is busy with.

A worker in trouble breaks many answers at once. Were each of them asked for again, it would get
twice the load in the moment when it can take the least. So what is under way for the second time is
at most ``SHARE`` of what is under way (Linkerd's and Envoy's retry budget), beyond a floor that
leaves room for single mishaps and for a few connections that were idle too long.

Two things need no budget. What was never sent (a refused connection) is no load on any worker. And
fallback is no second time: stable has not seen the request, a candidate that is dead must be
replaced for every one of its requests, and stable is protected by its own ``in_flight``.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

SHARE: Final = 0.2  # of the requests under way at a version
FLOOR: Final = 10  # requests; Envoy's min_retry_concurrency is 3, Linkerd's floor 10 a second


def most_retries(running: int) -> int:
    """How many of so many requests may be under way for the second time."""
    return max(FLOOR, int(SHARE * running))


class Retry:
    """One request under way for the second time, for as long as somebody holds on to this."""

    __slots__ = ("__weakref__",)


class RetryBudget:
    """What one version may be sent once more.

    Whoever retries holds on to what it was granted: an exchange that has ended, however it did,
    holds on to nothing. So nothing has to be given back, and an ordinary request knows nothing of
    it.
    """

    __slots__ = ("_under_way",)

    def __init__(self) -> None:
        self._under_way: WeakSet[Retry] = WeakSet()

    def __repr__(self) -> str:
        return f"<RetryBudget {len(self._under_way)} under way>"

    def grant(self, running: int) -> Retry | None:
        """Leave to send one more, while ``running`` are under way; None beyond the budget."""
        if len(self._under_way) >= most_retries(running):
            return None
        retry = Retry()
        self._under_way.add(retry)
        return retry
