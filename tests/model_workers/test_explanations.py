"""Why a model answers what it does: the parts of its scores, and ``/explain``."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from model_workers.cli import app
from model_workers.contract.contract import Contract, Row
from model_workers.explanations import explainer as explaining
from model_workers.explanations.explainer import Explainer
from model_workers.explanations.explanation import Additive, Fired, NotExplainable
from model_workers.models.catalogue import MODELS, RECIPES, data, find, model_of
from model_workers.models.model import Data
from model_workers.predictors.dummy import DummyPredictor
from model_workers.predictors.trained import TrainedPredictor
from model_workers.predictors.trees import Trees
from model_workers.revision import code_version
from model_workers.serving.app import create_app
from model_workers.training.artefact import Note, pack, read
from model_workers.training.teaching import teach
from model_workers.training.train import write

from .conftest import trained

FLOWER = [5.1, 3.5, 1.4, 0.2]
ADDITIVE = [
    (recipe.model, recipe.name)
    for recipe in RECIPES
    if recipe.ready is None and (recipe.model, recipe.name) != ("digits", "v2")
]


def some(model: str, count: int = 12) -> list[Row]:
    rows = data(model).rows
    return list(rows[:: len(rows) // count])


def explained(model: str, recipe: str, rows: Sequence[Row]) -> list[list[Any]]:
    found = Explainer(trained(model, recipe)).explain(rows)
    assert found is not None
    return found[0]


# --- what it says


@pytest.mark.parametrize(("model", "recipe"), ADDITIVE)
def test_base_and_contributions_add_up_to_the_models_own_score(model, recipe):
    predictor = trained(model, recipe)
    assert isinstance(predictor, TrainedPredictor)
    rows = some(model)
    answer = predictor.predict(rows)

    for place, row in enumerate(explained(model, recipe, rows)):
        matrix = predictor.preparation.matrix([rows[place]])
        for i, (one, scorer) in enumerate(zip(row, predictor.scorers, strict=True)):
            assert isinstance(one, Additive)
            assert one.prediction == answer.predictions[i][place]
            assert set(one.contributions) == set(predictor.contract.names)
            total = math.fsum([one.base, *one.contributions.values()])
            near = 1e-6 if one.method == "shap" else 1e-9
            assert (one.method == "shap") == isinstance(scorer, Trees)
            assert total == pytest.approx(one.score, rel=near, abs=near)
            first, second, *_ = [*sorted(scorer.score(matrix)[0], reverse=True), None]
            assert first is not None
            if one.scale.startswith("log-odds"):
                assert second is not None
                if second > 1e-200:
                    assert one.score == pytest.approx(math.log(first / second), abs=1e-9)
            else:
                assert one.score == pytest.approx(first, abs=1e-12)


def test_what_a_text_contributes_is_what_its_terms_do():
    ((topic, _),) = explained("tickets", "bag-of-words", [("was charged twice, refund", "email")])

    assert topic.prediction == "billing"
    assert topic.scale.startswith("log-odds of billing against ")
    assert {"charged", "refund", "was charged"} <= set(topic.terms)
    assert sum(topic.terms.values()) == pytest.approx(topic.contributions["text"], abs=1e-12)


def test_of_rules_the_one_that_fired_is_named_with_what_it_looked_at():
    ((one,),) = explained("iris", "rules", [(6.0, 3.0, 4.5, 1.5)])

    assert one == Fired(
        prediction="versicolor",
        number=2,
        condition="petal width (cm) < 1.75",
        values={"petal width (cm)": 1.5},
        share=0.91,
    )


@pytest.mark.parametrize("recipe", ["v1", "forest", "boosting"])
def test_an_explanation_is_the_same_each_time_and_whatever_stands_beside_it(recipe):
    rows = some("iris")
    at_once = explained("iris", recipe, rows)

    assert [explained("iris", recipe, [row])[0] for row in rows] == at_once


def test_the_feature_that_a_tree_does_not_ask_for_contributes_nothing():
    ((one,),) = explained("iris", "v3", [tuple(FLOWER)])

    assert sum(value != 0 for value in one.contributions.values()) == 1


def test_trees_are_explained_beside_the_rows_that_they_learned_from():
    """And not beside those that come with the model, which are of other flowers."""
    known = data("iris")
    larger = tuple(tuple(float(value) + 10 for value in row) for row in known.rows[::2])
    learned = teach(find("iris", "forest"), Data(larger, (known.answers[0][::2],)), seed=0)
    packed = pack(learned, Note("", "", 0.0))
    predictor = read(packed, learned.contract, Path("forest.skops"))
    found = Explainer(predictor).explain([larger[40]])
    assert found is not None
    ((one,),) = found[0]
    place = learned.contract.labels.index(one.prediction)
    sums = predictor.scorers[0].score(predictor.preparation.matrix(larger))

    assert one.base == pytest.approx(fmean(row[place] for row in sums), abs=1e-6)
    assert all(one.contributions.values())


# --- who cannot be explained


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_dummy_has_no_reasons(model):
    with pytest.raises(NotExplainable, match=r"DummyPredictor\) cannot be explained"):
        Explainer(DummyPredictor(model_of(model).contract)).explain(some(model, 1))


def test_without_shap_trees_are_refused_by_the_name_of_the_extra(monkeypatch):
    monkeypatch.setattr(explaining, "find_spec", lambda name: None)

    with pytest.raises(NotExplainable, match=r"pip install 'canary-gateway\[shap\]'"):
        Explainer(trained("iris", "forest")).explain([tuple(FLOWER)])
    assert Explainer(trained("iris", "v1")).explain([tuple(FLOWER)])


class Own(DummyPredictor):
    """Gives its reasons itself, and counts how often."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self.asked: list[Row] = []

    def explain(self, row: Row) -> list[Any]:
        self.asked.append(row)
        return [Fired(prediction="setosa", number=1, condition="always", values={}, share=1.0)]


def test_a_predictor_may_explain_itself():
    own = Own(model_of("iris").contract)

    assert Explainer(own).explain([tuple(FLOWER)]) == ([own.explain(tuple(FLOWER))], False)


# --- what is kept


def test_a_row_is_explained_once_and_the_one_longest_unused_is_forgotten():
    own = Own(model_of("iris").contract)
    explainer = Explainer(own, kept=2)
    a, b, c = (1.0, 1.0, 1.0, 1.0), (2.0, 2.0, 2.0, 2.0), (3.0, 3.0, 3.0, 3.0)

    known = [found[1] for row in (a, b, a, c, a, b) if (found := explainer.explain([row]))]

    assert known == [False, False, True, False, True, False]
    assert own.asked == [a, b, c, b]


def test_what_fails_to_start_is_told_anew_each_time_with_its_cause(monkeypatch):
    cause = ImportError("broken")

    def fail(predictor: Any) -> Any:
        raise cause

    monkeypatch.setattr("model_workers.explanations.explainer.explainable", fail)
    explainer = Explainer(Own(model_of("iris").contract))
    told = []
    for _ in range(2):
        with pytest.raises(RuntimeError, match="does not start") as caught:
            explainer.explain([tuple(FLOWER)])
        told.append(caught.value)

    assert told[0] is not told[1]  # one that is raised again keeps the frames of each time
    assert [error.__cause__ for error in told] == [cause, cause]


# --- over HTTP


def client(model: str, recipe: str) -> TestClient:
    served = create_app("v7", trained(model, recipe))
    return TestClient(served, client=("127.0.0.1", 1), raise_server_exceptions=False)


def ask(worker: TestClient, instances: Any) -> Any:
    """Until what SHAP needs is there."""
    while (said := worker.post("/explain", json={"instances": instances})).status_code == 503:
        assert said.headers["retry-after"] == "1"
    return said


def test_the_answer_names_both_versions_and_says_whether_it_was_known():
    worker = client("iris", "v1")
    names = model_of("iris").contract.names
    first = ask(worker, [FLOWER])
    again = ask(worker, [dict(zip(names, FLOWER, strict=True))])
    other = ask(worker, [FLOWER, [6, 3, 4, 1]])
    body = first.json()

    assert [body[key] for key in ("model", "model_version")] == ["iris", "v7"]
    assert body["code_version"] == code_version()
    assert body["explanations"][0]["prediction"] == "setosa"
    heard = [said.headers["x-explanation-cache"] for said in (first, again, other)]
    assert heard == ["miss", "hit", "miss"]
    assert first.content == again.content


def test_with_several_outputs_there_is_an_array_for_each():
    body = ask(client("tickets", "rules"), [["my parcel is urgent", None]] * 2).json()

    assert list(body["explanations"]) == ["topic", "urgent"]
    assert [one["prediction"] for one in body["explanations"]["topic"]] == ["delivery"] * 2
    assert len(body["explanations"]["urgent"]) == 2


def test_trees_are_explained_over_http_and_predictions_are_counted_apart():
    worker = client("iris", "forest")
    (one,) = ask(worker, [FLOWER]).json()["explanations"]

    assert one["method"] == "shap"
    assert one["scale"] == "probability of setosa"
    assert set(worker.get("/stats").json()["predictions"].values()) == {0}


def test_a_wrong_body_is_refused_as_by_predict():
    worker = client("iris", "v1")
    body = {"instances": [[1, 2, 3, 31]]}

    refused = worker.post("/explain", json=body)
    assert refused.status_code == 422
    assert refused.json() == worker.post("/predict", json=body).json()


@pytest.mark.parametrize(("model", "recipe"), [("iris", "dummy"), ("digits", "v2")])
def test_what_cannot_be_explained_is_501_and_stands_in_no_document(model, recipe):
    worker = client(model, recipe)
    said = ask(worker, [])

    assert said.status_code == 501
    assert "cannot be explained" in said.json()["error"]
    assert "/explain" not in worker.get("/openapi.json").json()["paths"]


def test_what_can_be_explained_stands_in_the_document():
    document = client("iris", "v1").get("/openapi.json").json()

    assert "200" in document["paths"]["/explain"]["post"]["responses"]


# --- as a command


def command(*words: str) -> Any:
    return CliRunner().invoke(app, ["explain", "--model", "iris", *words])


def test_the_command_says_why():
    said = command("--predictor", "rules", json.dumps(FLOWER))

    assert said.exit_code == 0
    assert said.stdout.splitlines() == [
        "species: setosa, by rule 1: petal length (cm) < 2.5",
        "  petal length (cm) is 1.4",
    ]


def test_the_command_says_it_in_json_as_well():
    said = command("--predictor", "rules", "--json", json.dumps(FLOWER))

    assert json.loads(said.stdout)["species"]["number"] == 1


def test_the_command_explains_on_one_thread_as_a_worker_does(tmp_path):
    program = (
        "import sys; from threadpoolctl import threadpool_info; from model_workers import cli;"
        "from model_workers.commands import explaining;"
        "explaining.Explainer = lambda _: sys.exit(str([x['num_threads'] for x in"
        " threadpool_info()])); cli.main()"
    )
    words = ["explain", "--model", "iris", "--predictor", "v1", "--artefacts", str(tmp_path)]
    write(find("iris", "v1"), tmp_path)
    more = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "3")
    said = subprocess.run(
        [sys.executable, "-c", program, *words, json.dumps(FLOWER)],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )

    assert set(ast.literal_eval(said.stderr)) == {1}


@pytest.mark.parametrize(
    ("typed", "environment", "code"),
    [
        (["--predictor", "rules"], {"REGISTRY": "none"}, 0),
        (["--predictor", "rules"], {"REGISTRY": "none", "VERSION": "v1"}, 0),
        (["--registry", "none", "--version", "v1"], {"PREDICTOR": "rules"}, 1),  # it is asked
        ([], {"PREDICTOR": "rules", "REGISTRY": "none"}, 2),
        (["--predictor", "rules", "--registry", "none"], {}, 2),
    ],
)
def test_what_is_typed_wins_over_what_stands_in_the_environment(typed, environment, code):
    said = CliRunner().invoke(
        app,
        ["explain", "--model", "iris", *typed, json.dumps(FLOWER)],
        env={f"MODEL_WORKER_{name}": value for name, value in environment.items()},
    )

    assert said.exit_code == code, said.output
    told = " ".join(said.stderr.replace("│", "").split())
    assert {0: "", 1: "iris has no version 'v1' in none", 2: "not both"}[code] in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--predictor", "dummy", json.dumps(FLOWER)], 1),
        (["--predictor", "rules", "[1]"], 2),
        (["--predictor", "rules", "{"], 2),
        ([json.dumps(FLOWER)], 2),
    ],
)
def test_what_the_command_cannot_do_is_told_by_its_exit_code(words, code):
    said = command(*words)

    assert said.exit_code == code
    assert said.stderr
