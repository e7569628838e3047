"""From the history to people and counters: each change is told of once, whoever made it.

What was told stands in the history, so a controller that was killed between an edit and its notice
tells of it when it is back: at least once, and with the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from queue import SimpleQueue
from typing import Final

from gateway.model import Event, Webhook
from monitoring.history import changes
from monitoring.history.chronicle import Chronicle
from monitoring.judgement.docket import Judgement
from monitoring.judgement.record import CONTROLLER
from monitoring.metrics.collector import OPERATOR, Metrics, reason_of
from monitoring.notices.notice import Notice, notices_of
from monitoring.notices.postman import Outcome, Postman

STALE: Final = 3600.0  # seconds after which a change is no news any more
LASTING: Final = 30.0  # seconds for which a trouble must last before people hear of it


class Herald:
    """``clock`` is the time of day in seconds. ``close`` ends it."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Callable[[], float],
        postman: Callable[..., Postman] = Postman,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._outcomes: SimpleQueue[tuple[Notice, Outcome]] = SimpleQueue()
        self._postman = postman(lambda notice, _, outcome: self._outcomes.put((notice, outcome)))
        self._waiting: dict[str, int] = {}  # by id: at how many webhooks
        self._best: dict[str, Outcome] = {}
        self._reasons: dict[tuple[str, str], str] = {}
        self._since: dict[str, float] = {}
        self._urgent: set[str] = set()
        self._warnings: list[Notice] = []
        self._alarmed: set[str] = set()  # troubles that people have heard of
        self._counted: set[str] = set()
        self._begun = False

    def close(self, patience: float) -> None:
        """Give what is under way so many seconds."""
        self._postman.close(patience)

    def decided(self, judgement: Judgement) -> None:
        """Why the controller makes the change that comes next."""
        self._reasons[judgement.key] = reason_of(judgement.verdict)

    def alarm(self, about: str) -> None:
        """A trouble that people hear of at once, and not only if it lasts."""
        self._urgent.add(about)

    def warn(self, route: str, version: str, sentence: str) -> None:
        """Something that people hear of with this look, though nothing is done about it."""
        at = changes.timestamp(self._clock())
        self._warnings.append(
            Notice(Event.ERROR, route, version, sentence, at, CONTROLLER, changes.new_id())
        )

    def follow(
        self, webhooks: Sequence[Webhook], chronicle: Chronicle, troubles: Mapping[str, str]
    ) -> None:
        """Tell of what has changed since the last look, and of troubles. Raises OSError if the
        history cannot be read or written; what is known without it is told all the same.
        """
        try:
            self._conclude(chronicle)
            if chronicle.catch_up() or not self._begun:
                self._news(webhooks, chronicle)
        finally:
            self._announce(webhooks, chronicle, chronicle.owed)
            self._trouble(webhooks, troubles)
            for notice in self._warnings:
                self._tell(webhooks, notice)
            self._warnings.clear()

    def _news(self, webhooks: Sequence[Webhook], chronicle: Chronicle) -> None:
        entries = [one for one in changes.read(chronicle.path) if one.id]
        # The newest first: what this process did stands behind what others did before it.
        for entry in reversed(entries):
            if entry.id not in self._counted:
                self._counted.add(entry.id)
                if entry.status is changes.Status.DONE:
                    self._count(entry)
        self._begun = True
        self._announce(webhooks, chronicle, entries)

    def _announce(
        self, webhooks: Sequence[Webhook], chronicle: Chronicle, entries: Sequence[changes.Entry]
    ) -> None:
        for notice in notices_of(entries, chronicle.told):
            asked = [one for one in webhooks if notice.event in one.events]
            if asked and self._clock() - _seconds(notice.at) < STALE:
                self._tell(asked, notice)
            chronicle.told.add(notice.id)

    def _count(self, entry: changes.Entry) -> None:
        key = entry.route, entry.version
        reason = self._reasons.pop(key, "") if entry.by == CONTROLLER else ""
        if not (self._begun or reason):  # it happened before this process
            return
        self._metrics.changed(entry.by, entry.action)
        if entry.action == "rollback":
            self._metrics.rolled_back(*key, reason or OPERATOR)

    def _trouble(self, webhooks: Sequence[Webhook], troubles: Mapping[str, str]) -> None:
        now = self._clock()
        # A clock that was set back makes none of them last for a day.
        self._since = {about: min(self._since.get(about, now), now) for about in troubles}
        self._alarmed &= troubles.keys()
        for about, why in troubles.items():
            lasts = now - self._since[about] >= LASTING or about in self._urgent
            if lasts and about not in self._alarmed:
                self._alarmed.add(about)
                id, at = changes.new_id(), changes.timestamp(now)
                self._tell(
                    webhooks, Notice(Event.ERROR, "", "", f"{about}: {why}", at, CONTROLLER, id)
                )
        self._urgent.clear()

    def _tell(self, webhooks: Sequence[Webhook], notice: Notice) -> None:
        urls = {one.url for one in webhooks if notice.event in one.events}
        if urls:
            self._waiting[notice.id] = len(urls)
            self._postman.tell(webhooks, notice)

    def _conclude(self, chronicle: Chronicle) -> None:
        """Write down what was told, once all webhooks have got it or never will."""
        while not self._outcomes.empty():
            notice, outcome = self._outcomes.get()
            self._metrics.told(notice.event, outcome)
            if self._best.setdefault(notice.id, outcome) is not Outcome.DELIVERED:
                self._best[notice.id] = outcome
            self._waiting[notice.id] = self._waiting.get(notice.id, 1) - 1
            if self._waiting[notice.id] <= 0:
                del self._waiting[notice.id]
                chronicle.tell([notice.id], str(self._best.pop(notice.id)))


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
