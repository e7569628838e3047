"""The JSON Schema says to editors what the gateway says of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.config import document, parse
from gateway.config.schema import json_schema
from gateway.errors import ConfigError

SCHEMA = json_schema()
EXAMPLE = (Path(__file__).parents[3] / "routing.yaml").read_text()

# Every key of the file at least once, in spellings that editors read as other types than texts.
EVERYTHING = """\
routes:
  everything:
    match: {path: /predict, host: iris.example, header: {X-Tenant: 42, X-Beta: true}}
    stable: 1.10
    versions:
      1.10: {url: "http://127.0.0.1:8101"}
      on: {urls: ["http://[::1]:8102", "http://iris"], weight: 0.5}
      v3: {url: unix:/run/v3.sock, weight: 10%}
      v4: {url: "http://iris-v4", weight: "10"}
      v5: {url: "https://iris-v5", tls: {ca: /etc/ca.pem, server_name: iris}, readiness: /v2/ready}
    sticky: {cookie: canary_id, salt: 7}
    override: {header: X-Model-Version}
    timeout: 800ms
    idempotent: false
    fallback: none
    limits: {body: 512, in_flight: 100000}
    prediction:
      {protocol: v2, label: "", score: /a~1b, labels: [0, 1.5, true, many], value: /v,
       bounds: [-4, 0.5, "20"]}
    mirror: {to: v3, percent: 20, compare: /predictions/0}
    rollout:
      candidate: v4
      steps: [{weight: 1, pause: 10m}, {weight: 50%, pause: forever}]
      on_failure: alert
      on_success: hold
      paused: true
    analysis:
      max_false_rollback: 1%
      errors: {max_increase: 0.1%}
      latency: {max_increase: 1}
      predictions: {max_shift: 2%, action: rollback}
      min_bad: 5
    log: {sample: 10, features: true}
  last:
    stable: v1
    versions: {v1: {url: "http://a"}}
    sticky: {header: X-User-Id}
    rollout:
      - {candidate: v1, steps: [{weight: 2.5, pause: 1d}]}
notify:
  - {webhook: "https://chat.example/hook?x=y", events: [error]}
  - {webhook: "http://localhost:9"}
log:
  path: /var/log/p.jsonl
  sample: 0.5%
  features: "false"
  rotate: {size: 1048576, age: 1h, keep: 0}
"""


def as_editors_see_it(text: str) -> object:
    """With YAML's own types, keys as texts."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def complaints(instance: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(instance)]


def properties(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Every key that the schema describes."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}/{name}", value
        for name, value in schema.items():
            yield from properties(value, f"{path}/{name}")


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", [EXAMPLE, EVERYTHING], ids=["example", "everything"])
def test_what_the_gateway_takes_the_schema_takes_however_yaml_types_it(text: str) -> None:
    parse(text.encode())
    assert complaints(as_editors_see_it(text)) == []
    assert complaints(document.read(text.encode()).data) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight: 0.5", "wieght: 0.5"),
        ("weight: 0.5", "weight: ten"),
        ("weight: 0.5", "weight: 101"),
        ("weight: 0.5", "weight: -1"),
        ("weight: 0.5", "weight: "),
        ("timeout: 800ms", "timeout: 3"),
        ("timeout: 800ms", "timeout: soon"),
        ("    stable: v1\n", ""),
        ("fallback: none", "fallback: stabel"),
        ("idempotent: false", "idempotent: maybe"),
        ("      v3: ", "      -v3: "),
        ('      v4: {url: "http://iris-v4"', '      v4: {url: "ftp://iris-v4"'),
        ("ca: /etc/ca.pem", "ca: ca.pem"),
        ("ca: /etc/ca.pem", "verify: false"),
        ("server_name: iris", "server_name: 'iris:443'"),
        ("readiness: /v2/ready", "readiness: v2/ready"),
        ("readiness: /v2/ready", "readiness: {path: /v2/ready}"),
        ('      v4: {url: "http://iris-v4"', '      v4: {url: "http://iris-v4/path"'),
        ('      v4: {url: "http://iris-v4"', '      v4: {url: "http://a", urls: ["http://b"]'),
        ('      v4: {url: "http://iris-v4", ', "      v4: {"),
        ("urls: [", "urls: ['ftp://a', "),
        ('urls: ["http://[::1]:8102", "http://iris"]', "urls: []"),
        ("sticky: {header: X-User-Id}", "sticky: {}"),
        ("sticky: {header: X-User-Id}", "sticky: {header: a, cookie: b}"),
        ("sticky: {header: X-User-Id}", "sticky: {header: 'X User'}"),
        ("override: {header: X-Model-Version}", "override: {}"),
        ("body: 512", "body: 1Mi"),
        ("body: 512", "body: 0"),
        ("in_flight: 100000", "in_flight: 100001"),
        ("label: ''", "label: predictions"),
        ("score: /a~1b", "score: /a~2b"),
        ("bounds: [-4, 0.5", "bounds: [-4, 1e3"),
        ("value: /v", "value: v"),
        ("protocol: v2", "protocol: v3"),
        ("path: /predict,", "path: predict,"),
        ("X-Tenant: 42", "'X Tenant': 42"),
        ("steps: [{weight: 1,", "steps: [{weight: 0, pause: 1m}, {weight: 1,"),
        ("steps: [{weight: 1,", "steps: [{weight: 1}, {weight: 1,"),
        ("steps: [{weight: 2.5, pause: 1d}]", "steps: []"),
        ("- {candidate: v1, steps:", "- {steps:"),
        ("- {candidate: v1, steps:", "- v1\n      - {candidate: v1, step:"),
        ("- {candidate: v1, steps: [{weight: 2.5, pause: 1d}]}", "[]"),
        ("paused: true", "paused: 1"),
        ("max_false_rollback: 1%", "max_false_rollback: 60"),
        ("min_bad: 5", "min_bad: 0"),
        ("features: true", "features: maybe"),
        ("sample: 0.5%", "sample: 0.5.1"),
        ("path: /var/log/p.jsonl", "path: p.jsonl"),
        ("size: 1048576", "size: 1000"),
        ("age: 1h", "age: 3600"),
        ("keep: 0", "keep: 1001"),
        ("events: [error]", "events: [errors]"),
        ("notify:", "notify: {}\nnotfy:"),
        ("on_success: hold", "on_success: null"),
    ],
)
def test_what_the_schema_underlines_the_gateway_refuses(old: str, new: str) -> None:
    text = EVERYTHING.replace('label: ""', "label: ''")
    assert text.count(old) == 1
    text = text.replace(old, new)
    assert complaints(as_editors_see_it(text))
    with pytest.raises(ConfigError):
        parse(text.encode())


def test_a_file_without_routes_is_underlined() -> None:
    assert complaints({})
    assert complaints({"routes": {}})


def test_every_key_has_a_title_and_says_what_it_means() -> None:
    found = dict(properties(SCHEMA))
    assert len(found) >= 50
    for path, value in found.items():
        described = str(value.get("description", ""))
        assert described.endswith("."), path
        reference = str(value.get("$ref", "")).rpartition("/")[2]
        assert value.get("title") or SCHEMA["$defs"][reference]["title"], path  # type: ignore[index]


def test_no_key_may_be_null_and_no_other_key_may_stand() -> None:
    assert "null" not in json.dumps(SCHEMA)
    objects = [SCHEMA, *SCHEMA["$defs"].values()]  # type: ignore[attr-defined]
    assert all(each["additionalProperties"] is False for each in objects)
    routes = SCHEMA["properties"]["routes"]  # type: ignore[index]
    assert routes["additionalProperties"] is False
