"""What the tests of the workers share: trained models, once per session, and clients for them."""

from collections.abc import Callable
from functools import cache

import pytest
from starlette.testclient import TestClient

from model_workers.models.catalogue import find, model_of
from model_workers.predictors.predictor import Predictor
from model_workers.serving.app import create_app
from model_workers.serving.faults import parse
from model_workers.training.fitting import fit
from model_workers.training.threads import one_thread

Connect = Callable[..., TestClient]


@pytest.fixture(scope="session", autouse=True)
def learning_on_one_thread():
    """As in a worker. Several would also wait for each other, long, where cores are busy."""
    with one_thread():
        yield


@cache
def trained(model: str, version: str) -> Predictor:
    """What answers by this recipe, learned once per session."""
    recipe = find(model, version)
    return recipe.ready(model_of(model).contract) if recipe.ready else fit(recipe)


@pytest.fixture
def connect() -> Connect:
    """A client of a worker in this process, called as from this machine."""

    def client(model: str = "iris", version: str = "v1", faults: str = "") -> TestClient:
        app = create_app(version, trained(model, version), parse(faults))
        return TestClient(app, client=("127.0.0.1", 50_000), raise_server_exceptions=False)

    return client
