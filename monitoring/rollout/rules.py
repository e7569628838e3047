"""What is done, as one table: what a rollout waits for, times what the verdict says.

Whoever wants to know what the controller does reads this; the README's table and diagram are drawn
from it. "Don't know" is a column of its own twice, and never moves anything.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import Final

from gateway.model import OnFailure, OnSuccess, Rollout
from monitoring.analysis.verdict import Kind
from monitoring.rollout.position import Stand


class Action(StrEnum):
    """What is done. All but ``hold`` and ``alert`` are edits of the file."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    PAUSE = "pause"
    ALERT = "alert"


class Rule(StrEnum):
    """A cell of the table. What two of them mean stands in the file."""

    HOLD = "hold"
    ADVANCE = "advance"
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"


TABLE: Final[dict[tuple[Stand, Kind], Rule]] = {
    **dict.fromkeys(product(Stand, Kind), Rule.HOLD),
    **{(stand, Kind.FAILED): Rule.ON_FAILURE for stand in Stand},
    (Stand.READY, Kind.SUCCESSFUL): Rule.ADVANCE,
    (Stand.READY_TO_PROMOTE, Kind.SUCCESSFUL): Rule.ON_SUCCESS,
}
"""``Successful`` answers the question "may it get the next weight?"; after the last step that is
all requests.
"""

_ON_FAILURE: Final = {
    OnFailure.ROLLBACK: Action.ROLLBACK,
    OnFailure.PAUSE: Action.PAUSE,
    OnFailure.ALERT: Action.ALERT,
}
_ON_SUCCESS: Final = {OnSuccess.PROMOTE: Action.PROMOTE, OnSuccess.HOLD: Action.HOLD}


def choose(stand: Stand, kind: Kind, rollout: Rollout | None) -> Action:
    """The action of a verdict, which answers the question about the next weight.

    Without a rollout in the file a failed candidate is rolled back.
    """
    match TABLE[stand, kind]:
        case Rule.ON_FAILURE:
            action = _ON_FAILURE[rollout.on_failure if rollout else OnFailure.ROLLBACK]
            # Who is paused already is not paused again.
            return Action.ALERT if (action, stand) == (Action.PAUSE, Stand.PAUSED) else action
        case Rule.ON_SUCCESS:
            return _ON_SUCCESS[rollout.on_success if rollout else OnSuccess.HOLD]
        case Rule.ADVANCE:
            return Action.ADVANCE
        case Rule.HOLD:
            return Action.HOLD
