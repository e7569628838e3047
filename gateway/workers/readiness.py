"""Whether an endpoint says that it is ready, and who is left out for not saying so.

Like a readiness probe of Kubernetes, or an active health check of Envoy and HAProxy: an answer is a
word and counts at once (2xx is ready, anything else is not); silence is none, and counts at once
only against an endpoint that is left out anyway. A worker that is busy with predictions may be late
with this answer as well, so one that is in service must be silent several times in a row.

What is said matters only where others do better: a version of which nobody is ready is asked as if
nobody had been, for a wrong path must not take it out. Nothing here looks at a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SILENCES: Final = 3  # in a row; HAProxy's `fall`, Kubernetes' failureThreshold


class Readiness:
    """What one endpoint has said. Until it is asked it is not known to be ready."""

    __slots__ = ("_silences", "ready")

    def __init__(self) -> None:
        self.ready = False
        self._silences = 0

    def __repr__(self) -> str:
        return f"<Readiness {self.ready}, {self._silences} silences in a row>"

    def heard(self, status: int | None, *, serving: bool) -> None:
        """It was asked, and gave an answer of that status or none; ``serving``: it is not left
        out for its failures.
        """
        if status is not None:
            self.ready = 200 <= status < 300
            self._silences = 0
            return
        self._silences += 1
        if self._silences >= SILENCES or not serving:
            self.ready = False


def held(serving: Sequence[bool], ready: Sequence[bool]) -> list[bool]:
    """Which endpoints of a version get no requests because they are not ready: all that do not say
    so, if one does that is not left out for its failures.
    """
    better = any(serves and says for serves, says in zip(serving, ready, strict=True))
    return [better and not says for says in ready]
