"""Several endpoints of one version: the least busy is asked, a failing one is left out for a while,
and so is one that is not ready while others are.

Only a version with several endpoints pays for this. Good answers are counted as what has ended
without being taken back: of an end nothing is known but that it was one, and failures, which are
rare, say so afterwards.
"""

from __future__ import annotations

from typing import cast

from gateway.errors import Reason
from gateway.model import Endpoint
from gateway.workers.backlog import Backlog
from gateway.workers.dial import Dial
from gateway.workers.ejection import Standing, State, most_out
from gateway.workers.gathering import Gathering
from gateway.workers.pool import EndpointPool, Forwardable, Pool
from gateway.workers.readiness import held
from gateway.workers.upstream import UpstreamConnection


class WatchedEndpoint(EndpointPool):
    """One of several. ``out``: ordinary requests go elsewhere; ``held``: as it is not ready, and
    others are.
    """

    __slots__ = ("_siblings", "answers", "held", "out", "standing")

    def __init__(
        self, endpoint: Endpoint, dial: Dial, gathering: Gathering, siblings: BalancedPool
    ) -> None:
        super().__init__(endpoint, dial, gathering)
        self._siblings = siblings
        self.answers = 0
        self.held = False
        self.out = False
        self.standing = Standing()

    def released(self, connection: UpstreamConnection, reusable: bool) -> None:
        self.answers += 1
        EndpointPool.released(self, connection, reusable)

    def failed(self, now: float, *, sent: bool, stale: bool = False) -> None:
        self.answers -= sent  # that end was no answer
        if not stale:  # which says nothing of the endpoint
            self.standing.failed(self.answers, now, room=self._siblings.room)
            self._siblings.settle()

    def left(self) -> None:
        self.answers -= 1

    def ask(self) -> None:
        """A request is sent here though it is left out."""
        self.standing.asked(self.answers)
        self._siblings.settle()

    def tick(self, now: float) -> None:
        """Time has passed."""
        self.standing.tick(self.answers, now)
        self._siblings.settle()

    def watch(self, path: str, delay: float) -> None:
        super().watch(path, delay)
        self._siblings.settle()

    def heard(self, status: int | None) -> None:
        before = self.readiness.ready
        self.readiness.heard(status, serving=self.serving)
        if self.readiness.ready != before:
            self._siblings.settle()

    @property
    def serving(self) -> bool:
        """Whether it is not left out for its failures."""
        return self.standing.state is State.SERVING


class BalancedPool(Pool):
    """All endpoints of a version that has several."""

    __slots__ = ("_due", "_turn", "_watched")

    def __init__(
        self,
        endpoints: tuple[Endpoint, ...],
        limit: int,
        dial: Dial,
        gathering: Gathering | None = None,
    ) -> None:
        gathering = gathering or Gathering(Backlog())
        super().__init__(endpoints, limit, dial, gathering)
        self._turn = 0
        self._due = False  # one that is left out may be asked
        self._watched = [WatchedEndpoint(one, dial, gathering, self) for one in endpoints]
        self.members = cast("list[EndpointPool]", self._watched)

    @property
    def room(self) -> bool:
        """Whether one more may be left out."""
        return sum(member.out for member in self._watched) < most_out(len(self._watched))

    @property
    def ejected(self) -> list[EndpointPool]:
        return [member for member in self._watched if not member.serving]

    def forward(
        self, exchange: Forwardable, *, fresh: bool = False, avoid: EndpointPool | None = None
    ) -> None:
        if self.in_flight >= self.limit:
            exchange.on_failure(Reason.SHED, began=False)
        elif self._due and avoid is None:
            self._probed().take(exchange, fresh=fresh)
        else:
            self._least_busy(avoid).take(exchange, fresh=fresh)

    def look(self, now: float) -> None:
        super().look(now)
        for member in self._watched:
            if not member.serving:
                member.tick(now)

    def settle(self) -> None:
        """An endpoint stands otherwise than before, or says so."""
        watched = self._watched
        serving = [member.serving for member in watched]
        not_ready = held(serving, [member.readiness.ready for member in watched])
        for member, serves, waits in zip(watched, serving, not_ready, strict=True):
            member.held = waits
            member.out = waits or not serves
        self._due = any(map(_due, watched))

    def _probed(self) -> WatchedEndpoint:
        """The one that is due: a request is asked for its sake, and answered like any other."""
        member = next(filter(_due, self._watched))
        member.ask()
        return member

    def _least_busy(self, avoid: EndpointPool | None) -> WatchedEndpoint:
        """The first least busy one, beginning each time with the next, so that ties take turns."""
        self._turn = turn = (self._turn + 1) % len(self._watched)
        best = None
        for member in self._watched[turn:] + self._watched[:turn]:
            if member.out or member is avoid:
                continue
            if best is None or member.in_flight < best.in_flight:
                best = member
        return self._left_out(avoid) if best is None else best

    def _left_out(self, avoid: EndpointPool | None) -> WatchedEndpoint:
        """The only one in service has just failed: another that is left out is better than none.
        Before its time this says nothing of how long it stays so, or an outage of all of them would
        make the pauses as long as can be.
        """
        others = [member for member in self._watched if member is not avoid]
        member = min(others, key=lambda one: (one.held, one.in_flight))
        if _due(member):
            member.ask()
        return member


def _due(member: WatchedEndpoint) -> bool:
    """Whether a request is to try it, as its time is over and it may be ready."""
    return member.standing.state is State.DUE and not member.held
