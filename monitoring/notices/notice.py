"""What people are told of: an event, and how it is written down for their webhook.

The body is JSON with a fixed set of keys. One of them, ``text``, is a sentence for people: it is
what incoming webhooks of Slack, Mattermost and Teams show, and they ignore the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from typing import Final

from gateway.model import Event
from monitoring.history.changes import Entry, Status

_EVENTS: Final = {
    "rollback": Event.ROLLBACK,
    "promote": Event.PROMOTE,
    "pause": Event.PAUSE,
}
_DONE: Final = {
    Event.ROLLBACK: "rolled back",
    Event.PROMOTE: "promoted",
    Event.PAUSE: "paused",
    Event.ERROR: "trouble",
}
# How Slack wants them written (its "Formatting text for app surfaces"), or a reason that somebody
# gave could call a whole channel: `<!channel>`. In Markdown they are read as entities.
_SPECIAL: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. ``sentence`` says why; ``at`` is ISO 8601, UTC; ``by`` who did it.

    ``before`` and ``after`` are the shares of the route's versions in percent; ``generation`` is
    the file's afterwards. ``id`` is the same however often it is told: by it, receivers know what
    they have been told already. What is about no route or version in particular has empty ones.
    """

    event: Event
    route: str
    version: str
    sentence: str
    at: str
    by: str
    id: str
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    generation: str = ""

    @property
    def text(self) -> str:
        """One line for people: what, of whom, by whom, and why."""
        about = " ".join(name for name in (self.route, self.version) if name) or "controller"
        by = f" by {self.by}" if self.by and self.event is not Event.ERROR else ""
        why = f": {self.sentence}" if self.sentence else ""
        line = f"{about}: {_DONE[self.event]}{self._share()}{by}{why}"
        return " ".join(line.split()).translate(_SPECIAL)

    def body(self) -> bytes:
        """The JSON that is posted: the fields of this, and ``text``. It is ASCII, so that a reason
        of a strange terminal has a form, too.
        """
        return json.dumps(asdict(self) | {"text": self.text}, allow_nan=False).encode()

    def _share(self) -> str:
        """What became of the share of the version, if anything did."""
        before, after = self.before.get(self.version), self.after.get(self.version)
        if before is None or after is None:
            return ""
        if before == after:
            return f" at {after:g} %"
        return f" from {before:g} % to {after:g} %"


def notices_of(entries: Sequence[Entry], told: AbstractSet[str]) -> list[Notice]:
    """What is to be told of a history: rollbacks, promotions and pauses that came to be, whoever
    made them, unless ``told`` has their id. What was edited by hand was told by who did it.
    """
    return [
        Notice(
            event=_EVENTS[entry.action],
            route=entry.route,
            version=entry.version,
            sentence=entry.reason,
            at=entry.at,
            by=entry.by,
            id=entry.id,
            before=entry.before,
            after=entry.after,
            generation=entry.after_hash,
        )
        for entry in entries
        if entry.status is Status.DONE and entry.action in _EVENTS and entry.id not in told
    ]
