"""All models, by name, and the recipes of each.

v1 is meant as the stable version, v2 as a candidate that is better, v3 as one that is visibly
worse. v1 and v2 of iris, breast-cancer and digits, on the rows they learned from, give each label
within one percentage point as often. So nothing but their accuracy tells them apart, and an alarm
between the two is a false one.
"""

from __future__ import annotations

from functools import cache

from ..predictors.dummy import DummyPredictor
from .breast_cancer import BREAST_CANCER
from .diabetes import DIABETES
from .digits import DIGITS
from .iris import IRIS
from .model import DUMMY, Data, Model, Recipe, UnknownModel
from .tickets import TICKETS

MODELS = {model.contract.model: model for model in (BREAST_CANCER, IRIS, DIGITS, DIABETES, TICKETS)}
RECIPES = tuple(recipe for model in MODELS.values() for recipe in model.recipes)


def model_of(name: str) -> Model:
    """The model of this name; raises :class:`UnknownModel`."""
    if name not in MODELS:
        raise UnknownModel(f"there is no model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def find(model: str, recipe: str) -> Recipe:
    """The recipe of this name or alias; raises :class:`UnknownModel`."""
    known = model_of(model)
    if recipe == DUMMY:
        return Recipe(model, DUMMY, "valid answers that mean nothing", ready=DummyPredictor)
    for found in known.recipes:
        if found.name == known.aliases.get(recipe, recipe):
            return found
    names = ", ".join([*known.aliases, *(found.name for found in known.recipes), DUMMY])
    raise UnknownModel(f"{model} has no recipe {recipe!r}; choose one of {names}")


@cache
def data(model: str) -> Data:
    """The rows that every recipe of this model learns from."""
    return model_of(model).load()
