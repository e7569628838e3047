"""The catalogue: what can answer, how well, and that the data keep to their own contracts."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_workers.contract.contract import Classes
from model_workers.contract.feature import Choice, Number
from model_workers.contract.validation import Validator
from model_workers.models.catalogue import MODELS, RECIPES, data, find, model_of
from model_workers.models.model import UnknownModel
from model_workers.predictors.dummy import DummyPredictor
from model_workers.training.comparison import right
from model_workers.training.fitting import quality
from tests.model_workers.conftest import trained

CLASSIFIERS = ("breast-cancer", "iris", "digits")
CONTRACTS = {name: model.contract for name, model in MODELS.items()}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_the_same_three_versions_and_a_dummy(model):
    assert all(find(model, name).model == model for name in ("v1", "v2", "v3", "dummy"))


def test_iris_has_interchangeable_predictors():
    names = [recipe.name for recipe in RECIPES if recipe.model == "iris"]
    assert names == ["v1", "v2", "v3", "rules", "tree", "forest", "boosting", "xgboost"]


def test_an_alias_is_another_name_of_the_same_recipe():
    assert find("tickets", "v1") == find("tickets", "rules")
    assert find("tickets", "v2") == find("tickets", "bag-of-words")


def test_labels_are_the_names_that_people_use():
    assert model_of("iris").contract.labels == ("setosa", "versicolor", "virginica")
    assert model_of("breast-cancer").contract.labels == ("malignant", "benign")
    assert model_of("digits").contract.labels == tuple("0123456789")
    assert model_of("iris").contract.names[0] == "sepal length (cm)"


# --- how good they are


def how_good(model: str, name: str, seed: int) -> float:
    """By 5 folds; rules do not learn, so that every row is new to them."""
    recipe = find(model, name)
    return quality(recipe, seed) if recipe.learner else right(trained(model, name), recipe, 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_v2_is_better_and_v3_visibly_worse_however_the_folds_fall(model, seed):
    stable, better, worse = (how_good(model, name, seed) for name in ("v1", "v2", "v3"))
    assert better > stable
    assert worse < stable - 0.03


@pytest.mark.parametrize("name", ["rules", "tree", "forest", "boosting", "xgboost"])
def test_any_predictor_of_iris_can_stand_in_for_another(name):
    assert how_good("iris", name, 0) > 0.9


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_the_better_candidate_gives_each_label_about_as_often_as_stable(model):
    rows = data(model).rows
    labels = model_of(model).contract.labels
    said = [trained(model, name).predict(rows).predictions[0] for name in ("v1", "v2")]
    shares = [[one.count(label) / len(rows) for label in labels] for one in said]
    assert np.abs(np.subtract(*shares)).max() < 0.01


@pytest.mark.parametrize("model", ["iris", "tickets"])
def test_a_rule_claims_to_be_right_as_often_as_it_is(model):
    predictor = trained(model, "rules")
    for place, rules in enumerate(predictor.rules):
        known = data(model).answers[place]
        fired = [predictor.fired(row)[place] for row in data(model).rows]
        for rule in rules:
            answers = [answer for answer, one in zip(known, fired, strict=True) if one is rule]
            assert answers.count(rule.label) / len(answers) == pytest.approx(rule.share, abs=0.006)


# --- contracts


@pytest.mark.parametrize("model", MODELS)
def test_every_row_of_the_data_is_within_its_contract(model):
    rows = data(model).rows
    checked = Validator(model_of(model).contract, len(rows)).rows([list(row) for row in rows])
    assert checked == list(rows)


@pytest.mark.parametrize("model", MODELS)
def test_every_right_answer_is_one_that_the_contract_has(model):
    outputs = model_of(model).contract.outputs
    assert len(outputs) == len(data(model).answers)
    for output, answers in zip(outputs, data(model).answers, strict=True):
        assert len(answers) == len(data(model).rows)
        if isinstance(output, Classes):
            assert set(answers) == set(output.labels)


@pytest.mark.parametrize(
    ("model", "feature", "stands_in"), [("diabetes", "s6", 91.0), ("tickets", "channel", "unknown")]
)
def test_a_feature_that_may_be_missing_is_filled_in(model, feature, stands_in):
    contract = model_of(model).contract
    (place,) = [i for i, one in enumerate(contract.features) if one.missing is not None]
    assert contract.names[place] == feature
    row = data(model).rows[0]
    told = dict(zip(contract.names, row, strict=True)) | {feature: None}
    (checked,) = Validator(contract).rows([told])
    assert checked == (*row[:place], stands_in, *row[place + 1 :])


def test_a_model_of_made_up_tickets_says_so():
    assert "synthetic" in model_of("tickets").contract.description


# --- any row, any recipe


def _value(feature):
    if isinstance(feature, Number):
        if feature.whole:
            return st.integers(int(feature.low), int(feature.high)).map(float)
        return st.floats(feature.low, feature.high)
    if isinstance(feature, Choice):
        return st.sampled_from(feature.values)
    return st.text(min_size=feature.shortest, max_size=60)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.model}-{recipe.name}")
@given(draw=st.data())
def test_any_row_a_contract_allows_has_an_answer_that_it_promises(recipe, draw):
    contract = CONTRACTS[recipe.model]
    row = draw.draw(st.tuples(*map(_value, contract.features)))
    answer = trained(recipe.model, recipe.name).predict([row])
    for output, said, how in zip(contract.outputs, *answer, strict=True):
        if isinstance(output, Classes):
            assert said[0] in output.labels
            assert 0 <= how[0] <= 1
        else:
            assert np.isfinite(said[0])
            assert how is None


@pytest.mark.parametrize("model", MODELS)
def test_a_dummy_answers_behind_every_contract(model):
    contract = model_of(model).contract
    rows = data(model).rows[:50]
    predictor = find(model, "dummy").ready(contract)
    answer = predictor.predict(rows)
    assert answer == predictor.predict(rows)
    for output, said, how in zip(contract.outputs, *answer, strict=True):
        assert len(said) == 50
        if isinstance(output, Classes):
            assert set(said) <= set(output.labels)
            assert how == [1 / len(output.labels)] * 50


def test_a_dummy_needs_no_model_at_all():
    contract = dataclasses.replace(model_of("tickets").contract, model="not there yet")
    assert DummyPredictor(contract).predict([("hello", "email")]).predictions[0]


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(UnknownModel, match="choose one of breast-cancer, iris, digits, diabetes"):
        find("tulip", "v1")
    with pytest.raises(UnknownModel, match=r"choose one of v1, v2, v3, rules, .*, dummy"):
        find("iris", "v9")
    with pytest.raises(UnknownModel, match="choose one of v1, v2, rules, bag-of-words, v3, dummy"):
        find("tickets", "v9")
