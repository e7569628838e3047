"""The registry: what is trained, and that v2 is better than v1 is better than v3."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_workers.models.catalogue import MODELS, RECIPES, data, find, model_of
from model_workers.models.model import UnknownModel
from model_workers.predictors.trained import TrainedPredictor
from model_workers.training.fitting import accuracy, fit


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_the_same_three_versions(model):
    assert [recipe.name for recipe in RECIPES if recipe.model == model] == ["v1", "v2", "v3"]


def test_labels_are_the_names_that_people_use():
    assert model_of("iris").contract.labels == ("setosa", "versicolor", "virginica")
    assert model_of("breast-cancer").contract.labels == ("malignant", "benign")
    assert model_of("digits").contract.labels == tuple("0123456789")
    assert model_of("iris").contract.names[0] == "sepal length (cm)"


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_v2_is_better_and_v3_visibly_worse_however_the_folds_fall(model, seed):
    stable, better, worse = (accuracy(find(model, name), seed) for name in ("v1", "v2", "v3"))
    assert better > stable
    assert worse < stable - 0.03


@pytest.mark.parametrize("model", MODELS)
def test_the_better_candidate_gives_each_label_about_as_often_as_stable(model):
    learned = data(model)
    shares = [
        np.bincount(
            fit(find(model, name)).predict_proba(np.array(learned.rows)).argmax(axis=1),
            minlength=len(model_of(model).contract.labels),
        )
        / len(learned.rows)
        for name in ("v1", "v2")
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.01


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(UnknownModel, match="choose one of breast-cancer, iris, digits"):
        find("tulip", "v1")
    with pytest.raises(UnknownModel, match="choose one of v1, v2, v3, dummy"):
        find("iris", "v9")


_flowers = model_of("iris").contract
_predictors = [
    TrainedPredictor(fit(recipe), _flowers) for recipe in RECIPES if recipe.model == "iris"
]


@given(st.sampled_from(_predictors), st.tuples(*[st.floats(0, 30)] * 4))
def test_any_row_a_worker_accepts_has_a_label_and_a_probability(predictor, row):
    answer = predictor.predict([row])
    assert answer.predictions[0][0] in _flowers.labels
    assert 0 <= answer.probabilities[0][0] <= 1
