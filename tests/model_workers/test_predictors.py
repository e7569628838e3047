"""Scorers against the libraries they were taken from, and rows against their neighbours."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_workers.contract.contract import Classes, Contract, Quantity
from model_workers.contract.feature import Choice, Number, Text
from model_workers.models.catalogue import RECIPES, data, find, model_of
from model_workers.predictors.preparation import Preparation
from model_workers.predictors.rules import RulesPredictor, otherwise, says
from model_workers.predictors.scorer import Linear, softmax
from model_workers.predictors.trained import TrainedPredictor
from model_workers.predictors.trees import Trees
from model_workers.predictors.words import terms
from model_workers.training.extraction import scorer_of
from model_workers.training.fitting import estimators, matrix_of
from tests.model_workers.conftest import trained

LEARNED = [recipe for recipe in RECIPES if recipe.learner]
ROWS = 40  # of each model, spread over its data


def named(recipe):
    return f"{recipe.model}-{recipe.name}"


@cache
def some_rows(model):
    rows = data(model).rows
    return rows[:: len(rows) // ROWS][:ROWS]


@cache
def alone(model, name):
    """The answer to each row when nothing stands beside it, as bits."""
    predictor = trained(model, name)
    return [bits(predictor.predict([row]))[0] for row in some_rows(model)]


def bits(answer):
    """For each row its labels, and its numbers to the last bit."""
    arrays = [*answer.predictions, *(one for one in answer.probabilities if one is not None)]
    return [
        tuple(value.hex() if isinstance(value, float) else value for value in values)
        for values in zip(*arrays, strict=True)
    ]


# --- neighbours


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
@given(order=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=60))
@settings(max_examples=25)
def test_a_row_is_answered_to_the_same_bit_whatever_rows_stand_beside_it(recipe, order):
    rows = some_rows(recipe.model)
    together = trained(recipe.model, recipe.name).predict([rows[i] for i in order])
    expected = alone(recipe.model, recipe.name)
    assert bits(together) == [expected[i] for i in order]


def test_whole_data_sets_at_once_are_answered_as_their_rows_are():
    for model, name in (("digits", "v2"), ("breast-cancer", "v1"), ("iris", "boosting")):
        rows = data(model).rows[:500]
        predictor = trained(model, name)
        assert bits(predictor.predict(rows)) == [bits(predictor.predict([r]))[0] for r in rows]


# --- against the libraries


@pytest.mark.parametrize("recipe", LEARNED, ids=named)
def test_a_scorer_says_what_the_library_says_on_every_row(recipe):
    # XGBoost itself adds up 32-bit floats; all others differ at most in the order of sums.
    tolerance = 1e-6 if recipe.name == "xgboost" else 1e-12
    matrix = matrix_of(recipe.model)
    for estimator in estimators(recipe):
        ask = getattr(estimator, "predict_proba", estimator.predict)
        said = ask(matrix).reshape(len(matrix), -1)
        ours = np.array(scorer_of(estimator, matrix).score(matrix))
        scale = max(1.0, np.abs(said).max())
        np.testing.assert_allclose(ours, said, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["tree", "forest", "v3"])
def test_trees_say_exactly_what_the_library_says(name):
    matrix = matrix_of("iris")
    (estimator,) = estimators(find("iris", name))
    assert scorer_of(estimator, matrix).score(matrix) == estimator.predict_proba(matrix).tolist()


def test_values_between_those_learned_fall_into_the_same_leaves():
    draw = np.random.default_rng(3)
    matrix = matrix_of("iris")
    # Also right on the thresholds, where a wrong kind of comparison would show.
    near = np.repeat(matrix, 4, axis=0) + draw.choice([0.0, 0.05, -0.05, 1e-9], (600, 4))
    for name, tolerance in (("forest", 1e-12), ("boosting", 1e-12), ("xgboost", 1e-6)):
        (estimator,) = estimators(find("iris", name))
        ours = np.array(scorer_of(estimator, matrix).score(near))
        np.testing.assert_allclose(ours, estimator.predict_proba(near), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["boosting", "xgboost"])
def test_two_labels_are_boosted_by_one_tree_a_round(name):
    matrix = matrix_of("iris")[50:]
    estimator = find("iris", name).learner().fit(matrix, np.repeat([0, 1], 50))
    ours = np.array(scorer_of(estimator, matrix).score(matrix))
    tolerance = 1e-6 if name == "xgboost" else 1e-12
    np.testing.assert_allclose(ours, estimator.predict_proba(matrix), rtol=0, atol=tolerance)


def test_an_estimator_nobody_translated_is_refused():
    from sklearn.svm import SVC

    with pytest.raises(TypeError, match="no scorer for a SVC"):
        scorer_of(SVC(), matrix_of("iris"))


# --- preparation

CONTRACT = Contract(
    "made-up",
    "",
    (
        Number("size", 0, 9),
        Choice("side", ("left", "right")),
        Choice("colour", ("red", "green", "blue")),
    ),
    (Quantity("out"),),
)


def test_columns_are_fixed_by_the_contract():
    preparation = Preparation(CONTRACT)
    assert preparation.columns == (
        "size",
        "side=right",
        "colour=red",
        "colour=green",
        "colour=blue",
    )
    matrix = preparation.matrix([(2, "left", "blue"), (3.5, "right", "red")])
    assert matrix.dtype == np.float64
    assert matrix.tolist() == [[2, 0, 0, 0, 1], [3.5, 1, 1, 0, 0]]


def test_text_stands_first_and_is_left_as_it_is():
    features = (Number("n", 0, 1), Text("title", 9), Text("body", 9))
    preparation = Preparation(Contract("m", "", features, (Quantity("out"),)))
    assert preparation.width == 2
    assert preparation.matrix([(1, "Größe", "b\n")]).tolist() == [["Größe\nb\n", 1.0]]


def test_a_value_no_choice_has_never_becomes_a_column():
    with pytest.raises(KeyError, match="purple"):
        Preparation(CONTRACT).matrix([(1, "left", "purple")])


def test_terms_are_words_and_pairs_in_lower_case():
    assert terms("It's NOT urgent.") == ["it", "not", "urgent", "it not", "not urgent"]


# --- predictors


@pytest.mark.parametrize(
    ("width", "answers", "scorers"), [(3, 1, 1), (5, 2, 1), (5, 1, 2), (5, 1, 0)]
)
def test_a_scorer_for_another_contract_is_refused(width, answers, scorers):
    scorer = Linear(np.zeros((answers, width)), np.zeros(answers), soft=False)
    with pytest.raises(ValueError, match="scorer"):
        TrainedPredictor([scorer] * scorers, CONTRACT)


@pytest.mark.parametrize("offset", [np.nan, np.inf])
def test_what_is_no_number_is_never_an_answer(offset):
    predictor = TrainedPredictor([Linear(np.ones((1, 5)), np.array([offset]), False)], CONTRACT)
    with pytest.raises(ArithmeticError, match="out that is no number"):
        predictor.predict([(1, "left", "red")])


def test_huge_scores_become_probabilities_without_overflow():
    assert softmax([1e6, 0.0, -1e6]) == [1.0, 0.0, 0.0]


def tree(**changes):
    parts = {
        "width": 1,
        "columns": np.array([0, -1, -1]),
        "thresholds": np.array([0.5, 0, 0]),
        "left": np.array([1, -1, -1]),
        "right": np.array([2, -1, -1]),
        "values": np.array([[0.0], [1.0], [2.0]]),
        "roots": np.array([0]),
        "start": np.zeros(1),
        "shared": 1,
        "soft": False,
        "background": np.zeros((1, 1), dtype=np.float32),
    }
    return Trees(**(parts | changes))


def test_a_tree_sends_what_is_at_most_its_threshold_to_the_left():
    assert tree().score(np.array([[0.5], [0.50001]])) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "changes",
    [
        {"left": np.array([0, -1, -1])},
        {"right": np.array([3, -1, -1])},
        {"left": np.array([-1, -1, -1])},
        {"columns": np.array([1, -1, -1])},
        {"columns": np.array([-2, -1, -1])},
        {"roots": np.array([3])},
        {"values": np.array([[0.0], [1.0]])},
        {"start": np.zeros(2)},
    ],
    ids=str,
)
def test_a_tree_whose_walk_would_not_end_or_lead_outside_is_refused(changes):
    with pytest.raises(ValueError, match=r"child|column|begins|lengths"):
        tree(**changes)


def test_the_first_rule_that_holds_answers_with_its_share():
    contract = Contract("m", "", (Text("text", 99),), (Classes("kind", ("a", "b")),))
    rules = (says(contract, "text", "x", "a", 0.9), otherwise("b", 0.6))
    predictor = RulesPredictor(contract, [rules])
    assert predictor.predict([("aXb",), ("none",)]) == ((["a", "b"],), ([0.9, 0.6],))
    assert predictor.fired(("aXb",))[0].when == "text matches /x/"
    with pytest.raises(ValueError, match="without a condition"):
        RulesPredictor(contract, [rules[:1]])


def test_several_outputs_are_several_arrays():
    answer = trained("tickets", "bag-of-words").predict(data("tickets").rows[:3])
    outputs = model_of("tickets").contract.outputs
    assert [len(said) for said in answer.predictions] == [3, 3]
    for output, said in zip(outputs, answer.predictions, strict=True):
        assert set(said) <= set(output.labels)
