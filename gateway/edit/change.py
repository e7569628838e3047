"""What may be changed about ``routing.yaml``, each in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a candidate this share, in basis points. A rollback is this with 0."""

    route: str
    version: str
    weight_bp: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the version stable. It loses its own weight, and its rollout is paused no more; the
    former stable is left with 0.
    """

    route: str
    version: str


@dataclass(frozen=True, slots=True)
class Restore:
    """Take the promotion of the stable version back: the former one is stable again, as by
    :class:`Promote`, and the version is left with 0.
    """

    route: str
    version: str
    former: str

    @property
    def sentence(self) -> str:
        """What it means, for the history and for people."""
        return f"{self.former} is stable again, {self.version} gets no request"


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Keep the candidate's rollout where it is, or let it go on."""

    route: str
    version: str
    paused: bool


@dataclass(frozen=True, slots=True)
class AddVersion:
    """Put a version with these addresses after the last one, without a weight. The rollout of the
    candidate that ``takes_over`` names is the new version's from then on; empty: no rollout is
    touched. Of a version that is there already, with the same addresses, nothing else changes; and
    nothing at all, if it has a rollout.
    """

    route: str
    version: str
    urls: tuple[str, ...]
    readiness: str = ""
    takes_over: str = ""


@dataclass(frozen=True, slots=True)
class RemoveVersion:
    """Take a candidate that gets nothing, and that nothing names, out of the file."""

    route: str
    version: str


Change: TypeAlias = SetWeight | Promote | Restore | SetPaused | AddVersion | RemoveVersion
