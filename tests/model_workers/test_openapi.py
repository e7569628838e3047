"""``/openapi.json``, ``/contract``, ``/docs``: true to the routes and the contract, offline."""

import json
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from model_workers.contract.contract import Classes, Contract, Quantity
from model_workers.contract.feature import Choice, Number, Text
from model_workers.models.catalogue import MODELS
from model_workers.predictors.dummy import DummyPredictor
from model_workers.serving import docs
from model_workers.serving.app import create_app
from model_workers.serving.worker import Limits

FLAT = Contract(
    "flat",
    "What a flat costs.",
    (
        Number("rooms", 1, 9, whole=True),
        Number("size", 10, 500, unit="m2", missing=60.0, description="Of all rooms."),
        Choice("heating", ("gas", "oil")),
        Text("words", longest=200, shortest=5),
    ),
    (Classes("kind", ("old", "new")), Quantity("rent", "EUR")),
)


def client(contract: Contract, **more: Any) -> TestClient:
    return TestClient(create_app("v1", DummyPredictor(contract), **more))


def at(document: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of what ``POST path`` takes, with all that it refers to."""
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return {**body["schema"], "components": document["components"]}


@pytest.mark.parametrize("name", MODELS)
def test_the_document_is_valid_and_its_examples_are_answered(name: str) -> None:
    worker = client(MODELS[name].contract)
    document = worker.get("/openapi.json").json()
    validate(document)

    for path, item in document["paths"].items():
        for content in item.get("post", {}).get("requestBody", {}).get("content", {}).values():
            answered = worker.post(path, json=content["example"])
            assert answered.status_code == 200, (path, answered.text)


def test_every_route_is_described_under_the_names_it_is_called_by() -> None:
    worker = client(FLAT)
    names = {"model": "flat", "version": "v1"}
    app: Any = worker.app
    app = app._app._app  # within what counts and what cuts
    # Files of a page, another way to write /v2, and what answers 501 of a model without reasons.
    undescribed = ("/docs/{name}", "/v2/", "/explain")
    routes = {
        (re.sub(r"{(\w+)}", lambda found: names[found[1]], route.path), method.lower())
        for route in app.routes
        if route.path not in undescribed
        for method in route.methods - {"HEAD"}
    }
    paths = worker.get("/openapi.json").json()["paths"]

    assert {(path, method) for path, item in paths.items() for method in item} == routes


@pytest.mark.parametrize(
    ("instance", "allowed"),
    [
        ([3, 55.5, "gas", "bright"], True),
        ([3, None, "gas", "bright"], True),
        ({"rooms": 3, "heating": "oil", "words": "bright"}, True),
        ({"rooms": 3.5, "heating": "oil", "words": "bright"}, False),
        ({"rooms": 3, "heating": "wood", "words": "bright"}, False),
        ({"rooms": 3, "heating": "oil", "words": "dim"}, False),
        ({"rooms": 3, "heating": "oil"}, False),
        ({"rooms": 3, "heating": "oil", "words": "bright", "floor": 2}, False),
        ([3, 55.5, "gas"], False),
        ([3, 55.5, "gas", "bright", 1], False),
        ([None, 55.5, "gas", "bright"], False),
        ([True, 55.5, "gas", "bright"], False),
        ("bright", False),
    ],
)
def test_the_schema_allows_what_is_answered_and_nothing_else(instance: Any, allowed: bool) -> None:
    worker = client(FLAT)
    schema = at(worker.get("/openapi.json").json(), "/predict")
    body = {"instances": [instance]}

    assert jsonschema.Draft202012Validator(schema).is_valid(body) is allowed
    assert worker.post("/predict", json=body).status_code == (200 if allowed else 422)


def test_the_limit_of_instances_is_part_of_the_schema() -> None:
    worker = client(FLAT, limits=Limits(instances=3))
    schema = worker.get("/openapi.json").json()["components"]["schemas"]["Instances"]

    assert schema["properties"]["instances"]["maxItems"] == 3
    assert worker.get("/contract").json()["max_instances"] == 3


def test_the_contract_is_told_to_people() -> None:
    told = client(FLAT).get("/contract").json()

    assert (told["model"], told["description"]) == ("flat", "What a flat costs.")
    assert told["features"] == [
        {"name": "rooms", "type": "whole number", "low": 1, "high": 9, "mandatory": True},
        {
            "name": "size",
            "type": "number",
            "low": 10,
            "high": 500,
            "unit": "m2",
            "mandatory": False,
            "missing": 60.0,
            "description": "Of all rooms.",
        },
        {"name": "heating", "type": "choice", "values": ["gas", "oil"], "mandatory": True},
        {"name": "words", "type": "text", "shortest": 5, "longest": 200, "mandatory": True},
    ]
    assert told["outputs"] == [
        {"name": "kind", "type": "label", "labels": ["old", "new"]},
        {"name": "rent", "type": "number", "unit": "EUR"},
    ]
    assert told["model_version"] == "v1"
    assert re.fullmatch(r"[\d.]+\+[0-9a-f]{8}", told["code_version"])


def test_an_answer_of_several_outputs_has_arrays_by_their_names() -> None:
    body = {"instances": [[3, 55.5, "gas", "bright"], [4, None, "oil", "bright"]]}
    answer = client(FLAT).post("/predict", json=body).json()

    assert answer["predictions"].keys() == {"kind", "rent"}
    assert {len(values) for values in answer["predictions"].values()} == {2}
    assert answer["probabilities"] == {"kind": [0.5, 0.5]}
    assert answer["model_version"] != answer["code_version"]


# --- the page


def test_the_page_asks_only_this_worker_for_files_that_are_there() -> None:
    worker = client(FLAT)
    page = worker.get("/docs")
    asked = re.findall(r'(?:href|src)="([^"]+)"', page.text)

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?! src=)|<style|\son\w+=|\sstyle=", page.text)
    assert {one for one in asked if one != "data:,"} == {f"docs/{name}" for name in docs.FILES}
    for name in docs.FILES:
        assert worker.get(f"/docs/{name}").status_code == 200
    assert worker.get("/docs/manifest.json").status_code == 404
    assert "//" not in re.sub(r"^//.*", "", (docs.STATIC / "start.js").read_text(), flags=re.M)
    assert 'url: "openapi.json"' in (docs.STATIC / "start.js").read_text()


def test_the_vendored_files_are_the_published_ones_with_their_licences_beside_them() -> None:
    manifest = json.loads((docs.STATIC / "manifest.json").read_text())
    licences = {name for one in manifest.values() for name in one["licences"]}
    present = {path.name for path in docs.STATIC.iterdir()}

    assert present == manifest.keys() | licences | {"manifest.json", "start.js"}
    for name, one in manifest.items():
        assert sha256((docs.STATIC / name).read_bytes()).hexdigest() == one["sha256"], name


def test_the_page_is_part_of_what_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())

    assert project["tool"]["setuptools"]["package-data"]["model_workers.serving"] == ["static/*"]
