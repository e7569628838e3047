"""Schemathesis against every served contract: it writes requests that the description allows, and
some that it does not, and holds each answer against the description. All its phases and checks.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from model_workers.models.catalogue import MODELS
from model_workers.predictors.dummy import DummyPredictor
from model_workers.serving.app import create_app

from .conftest import trained

CONFIG = {
    "workers": 1,
    "generation": {"max-examples": 10, "deterministic": True, "database": "none"},
    # That the shape of a tensor and its data agree cannot be said in a JSON Schema.
    "operations": [
        {
            "include-path-regex": "/infer$",
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }
    ],
}


def failures(app: Any) -> Iterator[str]:
    """What is wrong with the answers of an application, and how to see it again."""
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    asked = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield str(event)
        if isinstance(event, events.ScenarioFinished):
            asked += len(event.recorder.interactions)
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.status is Status.FAILURE:
                        found = check.failure_info
                        yield f"{check.name}: {found.failure}\n{found.code_sample}"
    print(asked, config)


@pytest.mark.parametrize("model", MODELS)
def test_a_dummy_behind_any_contract_answers_as_described(model: str) -> None:
    app = create_app("v1", DummyPredictor(MODELS[model].contract))

    assert "\n\n".join(sorted(set(failures(app)))) == ""


def test_a_trained_model_answers_as_described() -> None:
    assert "\n\n".join(sorted(set(failures(create_app("v1", trained("iris", "v1")))))) == ""
