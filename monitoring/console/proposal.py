"""An edit as it would be made to the file as it stands: what a person is shown before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gateway.config import parse
from gateway.config.quantities import percent_text
from gateway.edit import Change, apply, diff, named
from gateway.errors import EditFailed, EditRefused, StaleEdit
from gateway.model import Route
from monitoring import editing
from monitoring.console import difference
from monitoring.console.difference import Line
from monitoring.console.meaning import meaning, remarks
from monitoring.console.offers import Act, change_of
from monitoring.console.texts import Texts
from monitoring.history import changes

_TRIES: Final = 3  # to read and to try out the same text, while somebody saves


@dataclass(frozen=True, slots=True)
class Asked:
    """Which act, with which candidate; ``weight`` in basis points, where it was given."""

    act: Act
    route: str
    version: str
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """``route`` is as the file of ``generation`` has it. ``change`` is None where its weight is not
    known yet, and then there is no diff; ``refusal`` says why it cannot be made.
    """

    asked: Asked
    route: Route
    generation: str
    change: Change | None = None
    lines: tuple[Line, ...] = ()
    sentence: str = ""
    remarks: tuple[str, ...] = ()
    noop: bool = False
    refusal: str = ""

    @property
    def weight(self) -> str:
        """Of the candidate as things stand, in percent."""
        return percent_text(self.route.weight(self.asked.version))

    @property
    def steps(self) -> tuple[str, ...]:
        """The weights of its rollout, in percent."""
        rollout = self.route.rollout(self.asked.version)
        return tuple(percent_text(step.weight) for step in rollout.steps) if rollout else ()

    @property
    def possible(self) -> bool:
        return self.change is not None and not self.refusal and not self.noop


def propose(file: Path, texts: Texts, asked: Asked) -> Proposal:
    """By the file as it is, which ``texts`` remembers then. Raises ConfigError if it is refused,
    UnknownName if it has no such route or version, EditFailed.
    """
    for _ in range(_TRIES - 1):
        try:
            return _proposed(file, texts, asked)
        except StaleEdit:
            continue
    return _proposed(file, texts, asked)


def _proposed(file: Path, texts: Texts, asked: Asked) -> Proposal:
    content = editing.content_of(file)
    config = parse(content)
    texts.keep(content)
    route = named(config, asked.route, asked.version)
    bare = Proposal(asked, route, config.generation)
    if asked.act is Act.SET_WEIGHT and asked.weight is None:
        return bare
    try:
        past = partial(_past, file)
        change = change_of(asked.act, config, asked.route, asked.version, asked.weight, past)
        tried = editing.carry_out(
            file, change, by="", reason="", action="", if_generation=config.generation, dry_run=True
        )
    except EditRefused as error:
        return Proposal(asked, route, config.generation, refusal=str(error))
    after = parse(apply(content, change)).route(asked.route)
    return Proposal(
        asked,
        route,
        config.generation,
        change,
        difference.lines(tried.diff),
        meaning(change, route, after),
        remarks(change, route),
        tried.noop,
    )


def _past(file: Path) -> list[changes.Entry]:
    """What happened to the file. Raises EditFailed where that cannot be read."""
    try:
        return changes.read(file)
    except OSError as error:
        raise EditFailed(f"the history cannot be read: {error}") from error


def between(before: bytes, after: bytes, name: str) -> tuple[Line, ...]:
    """What lies between two texts of the file."""
    return difference.lines(diff(before, after, name))
