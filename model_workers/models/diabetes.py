"""How far diabetes has come a year later, by ten measurements (B. Efron and others, 2004)."""

from __future__ import annotations

from functools import partial

from ..contract.contract import Contract, Quantity
from ..contract.feature import Choice, Number
from . import learners
from .model import Data, Model, Recipe

CONTRACT = Contract(
    model="diabetes",
    description="How far diabetes will have come in a year, by a measure from 25 to 346 (the range "
    "of the 442 patients it was learned from).",
    features=(
        Number("age", 0.0, 120.0, unit="years"),
        Choice(
            "sex", ("1", "2"), description="As the source codes it, without saying which is which."
        ),
        Number("bmi", 10.0, 80.0, unit="kg/m2", description="Body mass index."),
        Number("bp", 40.0, 200.0, unit="mmHg", description="Mean arterial blood pressure."),
        Number("s1", 50.0, 500.0, unit="mg/dL", description="Cholesterol, total."),
        Number("s2", 10.0, 400.0, unit="mg/dL", description="Cholesterol in low-density lipids."),
        Number("s3", 10.0, 150.0, unit="mg/dL", description="Cholesterol in high-density lipids."),
        Number("s4", 1.0, 20.0, description="s1 divided by s3."),
        Number("s5", 2.0, 8.0, description="Logarithm of the triglycerides."),
        Number(
            "s6",
            30.0,
            500.0,
            unit="mg/dL",
            missing=91.0,
            description="Blood sugar; left away, it is taken for 91, the patients' median.",
        ),
    ),
    outputs=(Quantity("progression"),),
)


def _load() -> Data:
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    rows = tuple(
        tuple(
            str(int(value)) if isinstance(feature, Choice) else float(value)
            for feature, value in zip(CONTRACT.features, row, strict=True)
        )
        for row in found.data.tolist()
    )
    return Data(rows, (tuple(found.target.tolist()),))


DIABETES = Model(
    CONTRACT,
    _load,
    (
        Recipe("diabetes", "v1", "linear, strongly regularised", partial(learners.ridge, 1000.0)),
        Recipe("diabetes", "v2", "linear, barely regularised", partial(learners.ridge, 0.1)),
        Recipe("diabetes", "v3", "linear, its weights near 0", partial(learners.ridge, 100_000.0)),
    ),
)
