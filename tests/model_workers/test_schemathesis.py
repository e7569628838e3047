"""Schemathesis against every served contract: it writes requests that the description allows, and
some that it does not, and holds each answer against the description. All its phases and checks.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from model_workers.contract.contract import Row
from model_workers.models.assistant import find_chat
from model_workers.models.catalogue import MODELS
from model_workers.predictors.dummy import DummyPredictor
from model_workers.predictors.predictor import Answer
from model_workers.serving.app import create_app, create_chat_app

from .conftest import trained

# That a tensor's shape and data agree cannot be said in a JSON Schema, nor which options of a chat
# go together; so of these not every request that the schema allows is answered.
_LOOSE = {"checks": {"positive_data_acceptance": {"enabled": False}}}
CONFIG = {
    "workers": 1,
    "generation": {"max-examples": 5, "deterministic": True, "database": "none"},
    # Most of what is sent comes from the phase `coverage`, which goes through the schemas one by
    # one; sequences are a few, because nothing a client does here changes what comes later.
    "phases": {"stateful": {"generation": {"max-examples": 3}}},
    "operations": [
        {"include-path-regex": "/infer$", **_LOOSE},
        {"include-path": "/v1/chat/completions", **_LOOSE},
    ],
}
# The same operation under its other names, and pages that are the same for every contract; tried
# with one model alone.
SHARED = (
    "/predict/|/invocations|/versions/|^/v2$|^/v2/models$|^/v2/health"
    "|^/(docs|healthy|ready|ping|stats|faults)"
)


def failures(app: Any, without: str = "^$") -> str:
    """What is wrong with the answers of an application, and how to see it again."""
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    found = set()
    for event in from_schema(schema.exclude(path_regex=without)).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.add(repr(event))
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                found |= {
                    f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                    for check in checks
                    if check.failure_info is not None
                }
    return "\n\n".join(sorted(found))


@pytest.mark.parametrize("model", [name for name in MODELS if name != "iris"])
def test_a_dummy_behind_any_contract_answers_as_described(model: str) -> None:
    app = create_app("v1", DummyPredictor(MODELS[model].contract))

    assert failures(app, without=SHARED) == ""


def test_a_trained_model_answers_as_described_under_every_name() -> None:
    assert failures(create_app("v1", trained("iris", "v1"))) == ""


def test_a_model_that_chats_answers_as_described() -> None:
    assert failures(create_chat_app("v1", "assistant", find_chat("assistant", "v1").make())) == ""


class Broken:
    contract = MODELS["iris"].contract

    def predict(self, rows: Sequence[Row]) -> Answer:
        raise ArithmeticError


def test_an_answer_that_is_not_as_described_would_be_seen() -> None:
    found = failures(create_app("v1", Broken()), without="^/(?!predict$)")

    assert "not_a_server_error" in found
