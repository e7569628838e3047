"""What to do when a version gave no good answer: a function of the facts, nothing else.

Rules, first match wins:

1. A connection that had answered before and is reset before the first byte of this answer was most
   likely idle too long. Once more on a new connection, if a prediction may be asked twice. This is
   no failure of the version: nobody could know that the connection was stale.
2. An endpoint that refuses or resets: once more on another endpoint of the same version, if there
   is one (after a reset only if a prediction may be asked twice).
3. A candidate that gives no good answer: stable answers in its place, within the same deadline, and
   the failure counts against the candidate.
4. Otherwise the client is told.

"May be asked twice" is ``idempotent: true``, and that the body was not streamed away. What was
never sent (refused, no room) may always be sent elsewhere. What was sent is sent once more to the
same version only within its budget (``budget``); beyond it, as if that had been tried already.
"""

from __future__ import annotations

from enum import Enum, auto
from math import inf
from typing import Final

from gateway.errors import Reason
from gateway.model import Role, Route

# Of the deadline, while stable could still be asked: a candidate that hangs leaves stable the rest.
CANDIDATE_PATIENCE: Final = 0.5


def too_late(route: Route, role: Role) -> float:
    """From how many seconds on an answer of stable is none in the evidence.

    A candidate that stable can replace has only part of the deadline. Were stable not held to the
    same measure, a model that is slow in both versions would fail in one only.
    """
    if role is Role.STABLE and route.fallback and route.idempotent:
        return route.timeout * CANDIDATE_PATIENCE
    return inf


class Move(Enum):
    """What happens next to an exchange whose attempt failed."""

    RETRY_FRESH = auto()  # the same endpoint, on a new connection
    RETRY_ELSEWHERE = auto()  # another endpoint of the same version
    GIVE_WAY = auto()  # stable
    FAIL = auto()  # the gateway's own answer


RETRIES: Final = frozenset({Move.RETRY_FRESH, Move.RETRY_ELSEWHERE})  # of the same version


def next_move(
    reason: Reason,
    *,
    sent: bool,
    began: bool,
    stale: bool,
    retried: bool,
    endpoints: int,
    repeatable: bool,
    fallback: bool,
    in_time: bool,
) -> Move:
    """The next move.

    ``sent``: the request went out on a connection; ``began``: bytes of an answer came back;
    ``stale``: that connection had answered before; ``retried``: this version was tried twice
    already; ``repeatable``: may be asked twice; ``fallback``: another version may answer in this
    one's place; ``in_time``: the deadline has not passed.
    """
    may_send_again = in_time and (repeatable or not sent)
    if may_send_again and not retried and not began:
        if reason is Reason.RESET and stale:
            return Move.RETRY_FRESH
        if reason in (Reason.RESET, Reason.CONNECT) and endpoints > 1:
            return Move.RETRY_ELSEWHERE
    if may_send_again and fallback:
        return Move.GIVE_WAY
    return Move.FAIL
