"""A model: its contract, the rows it learns from, and the ways to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..contract.contract import Contract, Row
from ..predictors.predictor import Predictor

if TYPE_CHECKING:  # rules and dummies start without what is needed to learn
    from .learners import Estimator

DUMMY = "dummy"  # the recipe that every model has


class UnknownModel(Exception):
    """Nobody has this model or recipe; the message lists those there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows with their right answers: for each output of the contract one tuple, a label or a number
    for each row.
    """

    rows: tuple[Row, ...]
    answers: tuple[tuple[str, ...] | tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to answer by a model's contract: ``learner`` makes an estimator that has seen no data
    yet, ``ready`` a predictor that needs none. Exactly one of them is there.

    ``learner`` is a partial call, so that what was asked for can be compared with what an artefact
    was made from, without the library that learns.
    """

    model: str
    name: str
    about: str
    learner: partial[Estimator] | None = None
    ready: Callable[[Contract], Predictor] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """``load`` gives the same rows each time; nothing is downloaded. ``aliases`` are other names of
    recipes. ``synthetic``: a program made the rows up, they tell nothing of the world.
    """

    contract: Contract
    load: Callable[[], Data]
    recipes: tuple[Recipe, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    synthetic: bool = False
