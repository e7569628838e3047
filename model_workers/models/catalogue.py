"""All models, by name, and the recipes of each.

v1 is meant as the stable version, v2 as a candidate that is better, v3 as one that is visibly
worse. v1 and v2 of one model cost about the same per call and, on the rows they learned from, give
each label within one percentage point as often. So nothing but their accuracy tells them apart, and
an alarm between the two is a false one. (digits v2 costs 0.1 ms more than v1.)
"""

from __future__ import annotations

from functools import cache

from ..predictors.dummy import DummyPredictor
from .breast_cancer import BREAST_CANCER
from .digits import DIGITS
from .iris import IRIS
from .model import DUMMY, Data, Model, Recipe, UnknownModel

MODELS = {model.contract.model: model for model in (BREAST_CANCER, IRIS, DIGITS)}
RECIPES = tuple(recipe for model in MODELS.values() for recipe in model.recipes)


def model_of(name: str) -> Model:
    """The model of this name; raises :class:`UnknownModel`."""
    if name not in MODELS:
        raise UnknownModel(f"there is no model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def find(model: str, recipe: str) -> Recipe:
    """The recipe of this name; raises :class:`UnknownModel`."""
    known = model_of(model).recipes
    for found in known:
        if found.name == recipe:
            return found
    if recipe == DUMMY:
        return Recipe(model, DUMMY, "valid answers that mean nothing", ready=DummyPredictor)
    names = ", ".join([*(found.name for found in known), DUMMY])
    raise UnknownModel(f"{model} has no recipe {recipe!r}; choose one of {names}")


@cache
def data(model: str) -> Data:
    """The rows that every recipe of this model learns from."""
    return model_of(model).load()
