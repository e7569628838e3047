"""A model's answer against its contract."""

import numpy as np
import pytest

from model_workers.contract.contract import Classes, Contract, Quantity
from model_workers.contract.feature import Number
from model_workers.predictors.predictor import Answer
from model_workers.serving.promises import BrokenContract, check

CONTRACT = Contract(
    "flat",
    "Of flats.",
    (Number("rooms", 1, 9),),
    (Classes("kind", ("old", "new")), Quantity("rent")),
)
NAN = float("nan")


def answer(**changes: object) -> Answer:
    good = {"kind": ["old", "new"], "rent": [512.5, 830.0], "sure": [0.5, 1.0], "none": None}
    said = good | changes
    return Answer((said["kind"], said["rent"]), (said["sure"], said["none"]))  # type: ignore[arg-type]


def test_an_answer_that_keeps_the_contract_is_let_through() -> None:
    check(CONTRACT, answer(), 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": ["old"]}, "kind has 1 predictions for 2 instances"),
        ({"kind": ["old", "new", "new"]}, "kind has 3 predictions for 2 instances"),
        ({"kind": ["old", "ruin"]}, "kind is 'ruin', a label nobody knows"),
        ({"kind": ["old", 1]}, "kind is 1, a label nobody knows"),
        ({"sure": [0.5]}, "kind has 1 probabilities for 2 instances"),
        ({"sure": None}, "kind has no probabilities"),
        ({"sure": [0.5, NAN]}, "kind has nan where a number belongs"),
        ({"sure": [0.5, 1.01]}, "kind has 1.01 where a number belongs"),
        ({"sure": [0.5, -0.1]}, "kind has -0.1 where a number belongs"),
        ({"rent": [512.5]}, "rent has 1 predictions for 2 instances"),
        ({"rent": [512.5, NAN]}, "rent has nan where a number belongs"),
        ({"rent": [512.5, float("inf")]}, "rent has inf where a number belongs"),
        ({"rent": [512.5, "much"]}, "rent has 'much' where a number belongs"),
        ({"rent": [512.5, True]}, "rent has True where a number belongs"),
        # As scikit-learn answers, unless somebody makes lists of it: JSON could not be written.
        (
            {"kind": np.array(["old", "new"])},
            "kind is a numpy.str_; answer Python's own types, as .tolist() gives",
        ),
        (
            {"sure": [0.5, np.float64(1.0)]},
            "kind has a numpy.float64; answer Python's own types, as .tolist() gives",
        ),
        (
            {"rent": [np.float32(1.0), 1.0]},
            "rent has a numpy.float32; answer Python's own types, as .tolist() gives",
        ),
    ],
)
def test_an_answer_that_breaks_it_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BrokenContract) as caught:
        check(CONTRACT, answer(**changes), 2)
    assert str(caught.value) == words


def test_an_output_too_few_or_too_many_is_named() -> None:
    with pytest.raises(BrokenContract, match="1 outputs and not 2"):
        check(CONTRACT, Answer((["old"],), ([1.0],)), 1)
