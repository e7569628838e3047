"""A predictor for whoever serves, scores or explains."""

from __future__ import annotations

from pathlib import Path

from ..models.catalogue import model_of
from ..models.model import Recipe
from ..predictors.predictor import Predictor


def supply(recipe: Recipe, directory: Path) -> Predictor:
    """What answers by this recipe: made on the spot, or loaded from its artefact, which is trained
    first if it is not there. Raises ArtefactError, or MissingExtra if a library is needed to train.
    """
    if recipe.ready is not None:
        return recipe.ready(model_of(recipe.model).contract)
    from .artefact import load, path_of  # what is ready needs no numpy

    if not path_of(recipe, directory).exists():
        from .train import write

        write(recipe, directory)
    return load(recipe, directory)
