"""Which endpoint of several is left out for a while, as it fails again and again.

One endpoint's way (Envoy's outlier detection, with the half-open state of a circuit breaker):

    SERVING -- FAILURES in a row -----> OUT      gets nothing for a growing time
    OUT     -- its time is over ------> DUE      the next request is sent there
    DUE     -- that request is sent --> ASKED    and no other, until something is heard of it;
                                                 not before it is ready, where ``readiness`` asks
    ASKED   -- a good answer ---------> SERVING
    ASKED   -- a failure -------------> OUT      for twice as long
    ASKED   -- nothing for so long ---> DUE      its client may have left

At most half of the endpoints of a version are left out, so one always serves: if all of them fail,
the fault is not one endpoint's. Time and counts are passed in; nothing here looks at a clock.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

FAILURES: Final = 5  # in a row; Envoy's consecutive_5xx
# Seconds.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0
PATIENCE: Final = 5.0  # until another request is sent to an endpoint of which nothing was heard


class State(Enum):
    """Where an endpoint stands."""

    SERVING = auto()
    OUT = auto()
    DUE = auto()
    ASKED = auto()


def most_out(endpoints: int) -> int:
    """How many of so many endpoints may be left out at once."""
    return endpoints // 2


class Standing:
    """How one endpoint stands.

    ``answers`` is always how many good answers it has given altogether: one more than the last time
    means that the failures in a row are over.
    """

    __slots__ = ("_answers", "_pause", "_streak", "_until", "state")

    def __init__(self) -> None:
        self.state = State.SERVING
        self._answers = 0  # when last looked at
        self._streak = 0
        self._pause = 0.0  # the last one, in seconds
        self._until = 0.0  # the end of the present state, or of the time that makes pauses grow

    def __repr__(self) -> str:
        return f"<Standing {self.state.name}, {self._streak} failures in a row>"

    def failed(self, answers: int, now: float, *, room: bool) -> None:
        """A request that was sent there got no good answer; ``room``: one more may be left out."""
        if self.state is State.SERVING:
            self._streak = 1 if answers > self._answers else self._streak + 1
            self._answers = max(answers, self._answers)
            if self._streak >= FAILURES and room:
                self._leave_out(now)
        elif self.state is State.ASKED:
            self._leave_out(now)
        # Else it is the end of something that was sent there before.

    def asked(self, answers: int) -> None:
        """A request is sent there though it is left out."""
        self.state = State.ASKED
        self._answers = answers
        self._until = 0.0  # not known before the next tick

    def tick(self, answers: int, now: float) -> None:
        """Time has passed."""
        if self.state is State.OUT and now >= self._until:
            self.state = State.DUE
        elif self.state is State.ASKED and answers > self._answers:
            self.state = State.SERVING
            self._answers = answers
            self._streak = 0
            self._until = now + LONGEST_PAUSE
        elif self.state is State.ASKED and self._until == 0.0:
            self._until = now + PATIENCE
        elif self.state is State.ASKED and now >= self._until:
            self.state = State.DUE

    def _leave_out(self, now: float) -> None:
        """For twice as long as the last time, if that was not long ago."""
        grows = self.state is State.ASKED or now < self._until
        self._pause = min(2 * self._pause, LONGEST_PAUSE) if grows else FIRST_PAUSE
        self._until = now + self._pause
        self._streak = 0
        self.state = State.OUT
