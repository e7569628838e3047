"""``routing.yaml`` taken whole or refused whole: values, or every problem with place and remedy."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import parse, warnings
from gateway.config.parsing import MAX_PROBLEMS
from gateway.errors import ConfigError
from gateway.model import (
    Analysis,
    Endpoint,
    Event,
    Limits,
    Match,
    Mirror,
    OnFailure,
    OnSuccess,
    Prediction,
    PredictionLog,
    Rollout,
    Rotation,
    Route,
    RoutingConfig,
    ShiftAction,
    Step,
    Sticky,
    StickyKind,
    Version,
    Webhook,
    generation_of,
)

EXAMPLE = (Path(__file__).parents[3] / "routing.yaml").read_bytes()

SMALLEST = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # percent of requests; stable takes the rest
"""

FULL = """\
routes:
  iris:
    match: {path: /predict}              # default: every path. First matching route wins
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {urls: ["http://127.0.0.1:8102", "http://127.0.0.1:8103"], weight: 10}   # least busy
      v3: {url: "unix:/run/v3.sock"}     # no weight: reached by override or mirror only
    sticky: {header: X-User-Id}          # or {cookie: canary_id}
    override: {header: X-Model-Version}  # lets a client name a version
    timeout: 3s                          # ONE total deadline for the request, not per read
    idempotent: true                     # default true; false for chat/generation presets
    fallback: stable
    limits: {body: 1MiB, in_flight: 256}
    prediction:                          # where the prediction stands in the response
      label: /predictions/0              # JSON Pointer
      labels: [setosa, versicolor, virginica]
      score: /probabilities/0
    mirror: {to: v3, percent: 20, compare: /predictions/0}
    rollout:                             # the controller edits v2's weight through these steps
      candidate: v2
      steps:
        - {weight: 1, pause: 10m}
        - {weight: 10, pause: 1h}
        - {weight: 50, pause: 24h}       # pause: forever = waits for `canary promote`
      on_failure: rollback               # rollback | pause | alert
      on_success: promote                # promote | hold
    analysis:
      max_false_rollback: 1%             # chance that a healthy candidate is EVER rolled back
      errors: {max_increase: 0.1%}       # tolerated difference to stable, in points
      latency: {max_increase: 1%}
      predictions: {max_shift: 2%, action: alert}
      min_bad: 2                         # never roll back on fewer bad answers than this
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""


def endpoint(port: int) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{port}", "127.0.0.1", port)


def refused(text: str) -> list[str]:
    """The lines a refused file gets."""
    with pytest.raises(ConfigError) as error:
        parse(text.encode())
    return [problem.render("routing.yaml") for problem in error.value.problems]


def route(more: str = "", versions: str = "") -> str:
    """A file with one route, `iris`, with v1 (stable) and v2; ``more`` begins on line 6, at 5."""
    return (
        "routes:\n  iris:\n    stable: v1\n    versions:\n"
        f"      {{v1: {{url: http://a}}, v2: {{url: http://b}}{versions}}}\n"
        + "".join(f"    {line}\n" for line in more.splitlines())
    )


def only_route(text: str) -> Route:
    (found,) = parse(text.encode()).routes
    return found


# What is taken.


def test_the_smallest_useful_file_has_every_default() -> None:
    versions = (Version("v1", (endpoint(8101),)), Version("v2", (endpoint(8102),), 1000))
    assert parse(SMALLEST.encode()) == RoutingConfig(
        routes=(Route(name="iris", stable="v1", versions=versions),),
        generation=generation_of(SMALLEST.encode()),
    )


LOG = PredictionLog("/var/log/p.jsonl")


@pytest.mark.parametrize(
    ("shared", "own", "meant"),
    [
        ("", "", None),
        ("{path: /var/log/p.jsonl}", "", LOG),
        ("", "{path: /var/log/p.jsonl}", LOG),
        ("{path: /a}", "{path: /var/log/p.jsonl}", LOG),
        ("{path: /var/log/p.jsonl}", "{sample: 10}", replace(LOG, sample=1000)),
        ("{path: /a, sample: 5, features: true}", "{path: /b}", PredictionLog("/b", 500, True)),
        ("{path: /var/log/p.jsonl}", "{sample: 0}", None),
        ("{path: /var/log/p.jsonl, sample: 0%}", "", None),
        ("{path: /a, sample: 0}", "{sample: 100}", PredictionLog("/a")),
        (
            "{path: /a, rotate: {size: 1MiB, age: 1h, keep: 3}}",
            "{features: true}",
            PredictionLog("/a", 10_000, True, Rotation(1024 * 1024, 3600.0, 3)),
        ),
    ],
)
def test_a_routes_own_log_says_what_differs_from_the_files(
    shared: str, own: str, meant: PredictionLog | None
) -> None:
    text = route(f"log: {own}" if own else "") + (f"log: {shared}\n" if shared else "")

    assert only_route(text).log == meant


def test_the_full_shape_means_what_the_contract_says() -> None:
    assert parse(FULL.encode()) == RoutingConfig(
        routes=(
            Route(
                name="iris",
                stable="v1",
                versions=(
                    Version("v1", (endpoint(8101),)),
                    Version("v2", (endpoint(8102), endpoint(8103)), 1000),
                    Version("v3", (Endpoint("unix:/run/v3.sock", socket="/run/v3.sock"),)),
                ),
                match=Match("/predict"),
                sticky=Sticky(StickyKind.HEADER, "x-user-id", "iris"),
                override="x-model-version",
                timeout=3.0,
                idempotent=True,
                fallback=True,
                limits=Limits(1_048_576, 256),
                prediction=Prediction(
                    "/predictions/0", "/probabilities/0", ("setosa", "versicolor", "virginica")
                ),
                mirror=Mirror("v3", 2000, "/predictions/0"),
                rollouts=(
                    Rollout(
                        "v2",
                        (Step(100, 600.0), Step(1000, 3600.0), Step(5000, 86_400.0)),
                        OnFailure.ROLLBACK,
                        OnSuccess.PROMOTE,
                    ),
                ),
                analysis=Analysis(
                    max_false_rollback=100,
                    errors_max_increase=10,
                    latency_max_increase=100,
                    predictions_max_shift=200,
                    predictions_action=ShiftAction.ALERT,
                    min_bad=2,
                ),
            ),
        ),
        notify=(
            Webhook(
                "https://chat.example/hook",
                (Event.ROLLBACK, Event.PROMOTE, Event.PAUSE, Event.ERROR),
            ),
        ),
        generation=generation_of(FULL.encode()),
    )


def test_where_endpoints_say_that_they_are_ready_is_a_path_of_each_version() -> None:
    versions = only_route(route(versions=", v3: {url: http://c, readiness: /v2/ready}")).versions

    assert [version.readiness for version in versions] == ["", "", "/v2/ready"]


def test_what_differs_from_the_defaults_is_kept() -> None:
    found = only_route(
        route(
            "match: {path: /a, host: Iris.Example, header: {X-Tenant: acme, X-B: 1}}\n"
            "sticky: {cookie: Canary_Id, salt: spring}\n"
            "timeout: 800ms\nidempotent: false\nfallback: none\n"
            "limits: {body: 2kB}\n"
            "prediction: {score: ''}\n"
            "rollout: {candidate: v2, steps: [{weight: 0.01, pause: forever}], on_failure: alert,\n"
            "  on_success: hold}\n"
            "analysis: {max_false_rollback: 0.5%, predictions: {max_shift: 3, action: rollback}}\n",
        )
    )
    assert found.match == Match("/a", "iris.example", (("x-tenant", "acme"), ("x-b", "1")))
    assert found.sticky == Sticky(StickyKind.COOKIE, "Canary_Id", "spring")
    assert (found.timeout, found.idempotent, found.fallback) == (0.8, False, False)
    assert found.limits == Limits(2000, 256)
    assert found.prediction == Prediction(None, "")
    assert found.rollouts == (Rollout("v2", (Step(1, None),), OnFailure.ALERT, OnSuccess.HOLD),)
    assert found.analysis == Analysis(
        50, predictions_max_shift=300, predictions_action=ShiftAction.ROLLBACK
    )


def test_each_candidate_may_have_a_rollout_of_its_own_with_or_without_steps() -> None:
    text = """\
rollout:
- {candidate: v2, steps: [{weight: 1, pause: 10m}], paused: true}
- candidate: v1
  on_failure: alert
  paused: false
"""
    found = only_route(route(text))

    assert found.rollouts == (
        Rollout("v2", (Step(100, 600.0),), paused=True),
        Rollout("v1", (), OnFailure.ALERT),
    )
    assert found.rollout("v1") == found.rollouts[1]
    assert found.rollout("v3") is None


def test_a_list_of_one_rollout_is_the_same_as_the_rollout_alone() -> None:
    alone = only_route(route("rollout: {candidate: v2}"))

    assert alone == only_route(route("rollout: [{candidate: v2}]"))
    assert alone.rollouts == (Rollout("v2"),)


def test_an_empty_analysis_and_a_webhook_without_events_have_their_defaults() -> None:
    found = parse((route("analysis: {}") + "notify: [{webhook: http://a}]\n").encode())
    assert found.routes[0].analysis == Analysis()
    assert found.notify == (Webhook("http://a", tuple(Event)),)


@pytest.mark.parametrize("name", ["1.10", "on", "yes", "010", "12", "1e3", "null", "true"])
def test_names_keep_the_spelling_that_yaml_would_change(name: str) -> None:
    text = f"routes:\n  {name}:\n    stable: {name}\n    versions: {{{name}: {{url: http://a}}}}\n"
    found = only_route(text)
    assert (found.name, found.stable, found.versions[0].name) == (name, name, name)


FINISH = "/choices/0/finish_reason"
POWERS = tuple(2.0**k for k in range(14))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("protocol: predict", Prediction("/predictions/0", "/probabilities/0")),
        ("protocol: v2", Prediction("/outputs/0/data/0", "/outputs/1/data/0")),
        ("protocol: sagemaker", Prediction("/predictions/0", None)),
        (
            "protocol: openai, bounds: [100, 1000]",
            Prediction(FINISH, None, (), "/usage/completion_tokens", (100.0, 1000.0)),
        ),
        (
            "protocol: openai, value: /usage/total_tokens",
            Prediction(FINISH, None, (), "/usage/total_tokens", POWERS),
        ),
        (
            "protocol: openai",
            Prediction(
                FINISH, None, (), "/usage/completion_tokens", tuple(2.0**k for k in range(14))
            ),
        ),
        ("protocol: v2, label: /a", Prediction("/a", "/outputs/1/data/0")),
        ("protocol: predict, label: '', score: ''", Prediction("", "")),
        (
            "protocol: predict, labels: [a]",
            Prediction("/predictions/0", "/probabilities/0", ("a",)),
        ),
        (  # a number is a value or a class, not both
            "protocol: sagemaker, value: /predictions/0, bounds: [1]",
            Prediction(None, None, (), "/predictions/0", (1.0,)),
        ),
        (
            "protocol: sagemaker, value: /predictions/1, bounds: [1]",
            Prediction("/predictions/0", None, (), "/predictions/1", (1.0,)),
        ),
        (
            "protocol: sagemaker, value: /predictions/0, bounds: [1], labels: [a]",
            Prediction("/predictions/0", None, ("a",), "/predictions/0", (1.0,)),
        ),
    ],
)
def test_protocols_preset_what_is_not_given(given: str, expected: Prediction) -> None:
    found = only_route(route(f"prediction: {{{given}}}"))

    assert found.prediction == replace(expected, protocol=found.protocol)
    assert found.protocol == given.split(",")[0].removeprefix("protocol: ")


def test_a_value_has_the_bounds_of_the_file() -> None:
    found = only_route(route("prediction: {value: /v, bounds: [-1, 0.5, '20']}"))

    assert found.prediction == Prediction(None, None, (), "/v", (-1.0, 0.5, 20.0))


def test_generations_are_asked_once_unless_the_file_says_otherwise() -> None:
    assert not only_route(route("prediction: {protocol: openai}")).idempotent
    assert only_route(route("prediction: {protocol: openai}\nidempotent: true")).idempotent
    assert only_route(route("prediction: {protocol: v2}")).idempotent


def test_weights_may_take_everything_from_stable() -> None:
    text = route(versions=", v3: {url: http://c, weight: 99.99}, v4: {url: http://d, weight: 0.01}")
    assert only_route(text).weight("v1") == 0


def test_255_versions_are_taken_and_256_are_not() -> None:
    versions = "".join(f", x{i}: {{url: http://c}}" for i in range(253))
    assert len(only_route(route(versions=versions)).versions) == 255
    assert refused(route(versions=versions + ", y: {url: http://d}")) == [
        "routing.yaml:4:5: routes.iris.versions: this has more than 255 entries; remove some"
    ]


def test_the_example_of_the_project_is_taken_without_a_warning() -> None:
    found = parse(EXAMPLE)
    assert [(each.name, each.match.path) for each in found.routes] == [
        ("breast-cancer", "/predict/breast-cancer"),
        ("iris", "/predict/iris"),
    ]
    for each in found.routes:
        assert [each.weight(version.name) for version in each.versions] == [9000, 1000, 0]
        assert each.stable == "v1"
    assert warnings(EXAMPLE) == ()
    assert EXAMPLE.startswith(b"# yaml-language-server: $schema=routing.schema.json\n")


# What is refused. Each line: what to put where, and the problem it gets.


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = """\
routes:
  iris:
    stabel: v1
    versions:
      v1: {url: "ftp://iris-v1", weight: 95}
      v2: {url: "http://iris-v2", wieght: 10}
      v2: {}
      v3: {urls: ["http://169.254.169.254"], weight: ten}
      v4: {weight: 101, url: &a http://b}
    idempotent: yes
    timeout:
  wine: {stable: v9, versions: {v1: {url: *a}}}
notfy: []
"""
    assert refused(text) == [
        "routing.yaml:2:3: routes.iris: key 'stable' is missing; "
        "write the version that takes what the candidates leave",
        "routing.yaml:3:5: routes.iris.stabel: unknown key 'stabel'; did you mean 'stable'?",
        "routing.yaml:5:17: routes.iris.versions.v1.url: 'ftp://iris-v1' is not an "
        "address; write http://host:port, https://host:port or unix:/absolute/path",
        "routing.yaml:6:35: routes.iris.versions.v2.wieght: unknown key 'wieght'; "
        "did you mean 'weight'?",
        "routing.yaml:7:7: routes.iris.versions.v2: this key stands twice, first at 6:7; "
        "keep one of them",
        "routing.yaml:8:19: routes.iris.versions.v3.urls[0]: '169.254.169.254' is a link-local, "
        "metadata, multicast or unspecified address, which traffic must not go to; "
        "write the address of a server",
        "routing.yaml:8:54: routes.iris.versions.v3.weight: 'ten' is not a percentage; "
        "write a number from 0 to 100",
        "routing.yaml:9:20: routes.iris.versions.v4.weight: '101' is more than 100; "
        "write a number from 0 to 100",
        "routing.yaml:9:30: routes.iris.versions.v4.url: remove the anchor &a; "
        "nothing may refer to it",
        "routing.yaml:10:17: routes.iris.idempotent: 'yes' is neither true nor false; write true",
        "routing.yaml:11:5: routes.iris.timeout: nothing stands here; "
        "write a value, or remove this",
        "routing.yaml:12:3: routes.wine: no request reaches this route, as 'iris' above takes them "
        "all; move this route up, or narrow the `match` of the other",
        "routing.yaml:12:18: routes.wine.stable: this route has no version 'v9'; write one of v1",
        "routing.yaml:12:43: routes.wine.versions.v1.url: an alias stands here; "
        "write the value itself",
        "routing.yaml:13:1: notfy: unknown key 'notfy'; did you mean 'notify'?",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", "1:1: a single value stands here; write a mapping of the keys routes, notify, log"),
        ("[]", "1:1: a list stands here; write a mapping of the keys routes, notify, log"),
        ("# x\nnotify: []", "2:1: key 'routes' is missing; write the routes by name, in order"),
        ("routes: {}", "1:1: routes: this is empty; write at least one entry"),
        ("routes: []", "1:1: routes: a list stands here; write a mapping of names"),
        (
            "routes: {iris: v1}",
            "1:16: routes.iris: a single value stands here; write a mapping of the keys match, "
            "stable, versions, sticky, override, timeout, idempotent, fallback, limits, "
            "prediction, mirror, rollout, analysis, log",
        ),
        (
            "routes: {a b: {stable: v1, versions: {v1: {url: http://a}}}}",
            "1:10: routes.'a b': 'a b' is not a name; write at most 63 letters, digits, '.', '_' "
            "and '-', a letter or digit first",
        ),
        (
            "routes:\n  a: {stable: v1, versions: {}}",
            "2:19: routes.a.versions: this is empty; write at least one entry",
        ),
        (
            "routes:\n  a: {versions: {v1: {url: http://a}}}",
            "2:3: routes.a: key 'stable' is missing; "
            "write the version that takes what the candidates leave",
        ),
        (
            "routes:\n  a:\n    stable: v1\n",
            "2:3: routes.a: key 'versions' is missing; "
            "write the versions, stable and candidates, by name",
        ),
    ],
)
def test_the_frame_of_the_file(text: str, line: str) -> None:
    assert refused(text) == [f"routing.yaml:{line}"]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("", "neither 'url' nor 'urls' stands here"),
        ("weight: 1", "neither 'url' nor 'urls' stands here"),
        ("url: http://c, urls: [http://d]", "both 'url' and 'urls' stand here"),
        ("urls: []", "this is empty"),
        ("urls: http://c", "a single value stands here"),
        ("urls: [http://c, HTTP://c]", "'HTTP://c' is not an address"),
        ("urls: [http://c, http://C:80]", "'http://c:80' stands twice"),
        ("url: [http://c]", "a list stands here"),
        ("url: http://c, weight: {a: b}", "a mapping stands here"),
        ("url: http://c, weight: -1", "'-1' is not a percentage"),
        ("url: http://c, weight: .nan", "'.nan' is not a percentage"),
        ("url: http://c, weight: 010", "'010' is not a percentage"),
        ("url: http://c, weight: 0.001", "'0.001' has more than two decimals"),
        ("url: http://c, colour: red", "unknown key 'colour'"),
        ("url: http://user:pw@c", "'http://***@c' carries credentials"),
        ("url: http://c, readiness: ready", "'ready' is not a path"),
        ("url: http://c, readiness: ''", "'' is not a path"),
        ("url: http://c, readiness: http://c/ready", "'http://c/ready' is not a path"),
        ("url: http://c, readiness: '/ready?deep=1'", "'/ready?deep=1' is not a path"),
        ("url: http://c, readiness: '/re ady'", "'/re ady' is not a path"),
        ("url: http://c, readiness: {path: /ready}", "a mapping stands here"),
        ("url: http://c, readyness: /ready", "unknown key 'readyness'"),
    ],
)
def test_a_version(version: str, found: str) -> None:
    (rendered,) = refused(route(versions=f", v3: {{{version}}}"))
    place = r"routing\.yaml:5:\d+: routes\.iris\.versions\.v3(\.\w+)?(\[\d\])?"
    assert re.fullmatch(f"{place}: {re.escape(found)}; .+", rendered)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("match: {path: predict}", "match.path: 'predict' is not a path"),
        ("match: {host: 'a:80'}", "match.host: 'a:80' has a port"),
        ("match: {host: '*.a'}", "match.host: '*.a' is not a host"),
        ("match: {header: X-A}", "match.header: a single value stands here"),
        (
            "match: {header: {X A: b}}",
            "match.header.'X A': 'X A' cannot be the name of a header or cookie",
        ),
        ("match: {header: {X-A: ü}}", "match.header.X-A: 'ü' cannot be a header's value"),
        (
            "match: {header: {X-A: 1, x-a: 2}}",
            "match.header.x-a: this header is named twice, in another case",
        ),
        ("sticky: {}", "sticky: neither 'header' nor 'cookie' stands here"),
        ("sticky: X-User", "sticky: a single value stands here"),
        ("sticky: {header: a, cookie: b}", "sticky.cookie: both 'header' and 'cookie' stand here"),
        (
            "sticky: {header: Host}",
            "sticky.header: 'Host' is about the connection, not about the client",
        ),
        (
            "sticky: {header: Content-Length}",
            "sticky.header: 'Content-Length' is about the connection, not about the client",
        ),
        ("sticky: {cookie: a b}", "sticky.cookie: 'a b' cannot be the name of a header or cookie"),
        ("sticky: {cookie: a, salt: ''}", "sticky.salt: '' is too long or empty"),
        ("override: {}", "override: key 'header' is missing"),
        (
            "override: {header: Transfer-Encoding}",
            "override.header: 'Transfer-Encoding' is about the connection, not about the client",
        ),
        (
            "sticky: {header: X-Amzn-SageMaker-Target-Variant}\nprediction: {protocol: sagemaker}",
            "sticky.header: by this header clients of SageMaker name a version",
        ),
        (
            "override: {header: X-User}\nsticky: {header: x-user}",
            "override.header: `sticky` reads the same header for another purpose",
        ),
        ("timeout: 0s", "timeout: '0s' is out of range"),
        ("timeout: 61m", "timeout: '61m' is out of range"),
        ("timeout: 3", "timeout: '3' has no unit"),
        ("timeout: forever", "timeout: 'forever' is not a duration"),
        ("timeout: 12:30", "timeout: '12:30' is not a duration"),
        ("idempotent: on", "idempotent: 'on' is neither true nor false"),
        ("fallback: stabel", "fallback: 'stabel' is unknown here"),
        ("fallback: false", "fallback: 'false' is unknown here"),
        ("limits: {body: 0}", "limits.body: '0' is out of range"),
        ("limits: {body: 2GiB}", "limits.body: '2GiB' is out of range"),
        ("limits: {body: 1Mi}", "limits.body: '1Mi' is not a size"),
        ("limits: {in_flight: 0}", "limits.in_flight: '0' is out of range"),
        ("limits: {in_flight: 1e3}", "limits.in_flight: '1e3' is not a whole number"),
        ("limits: {inflight: 1}", "limits.inflight: unknown key 'inflight'"),
        ("prediction: {}", "prediction: this does not say where the prediction stands"),
        (
            "prediction: {labels: [a]}",
            "prediction.labels: 'labels' are given, but not where one stands",
        ),
        ("prediction: {label: a}", "prediction.label: 'a' is not a JSON Pointer"),
        ("prediction: {score: /~2}", "prediction.score: '/~2' is not a JSON Pointer"),
        ("prediction: {label: /a, labels: [a, b, a]}", "prediction.labels: 'a' stands twice"),
        (
            f"prediction: {{label: /a, labels: [{'x' * 65}]}}",
            f"prediction.labels[0]: '{'x' * 57}...' is too long or empty",
        ),
        (
            f"prediction: {{label: /a, labels: {[str(i) for i in range(201)]}}}",
            "prediction.labels: this has more than 200 entries",
        ),
        ("prediction: {value: a, bounds: [1]}", "prediction.value: 'a' is not a JSON Pointer"),
        ("prediction: {value: /v}", "prediction.value: 'value' needs 'bounds' to count between"),
        ("prediction: {bounds: [1, 2]}", "prediction.bounds: 'bounds' are given, but not of what"),
        (
            "prediction: {protocol: predict, bounds: [1, 2]}",
            "prediction.bounds: 'bounds' are given, but not of what",
        ),
        ("prediction: {value: /v, bounds: []}", "prediction.bounds: this is empty"),
        (
            "prediction: {value: /v, bounds: [1, 3, 2]}",
            "prediction.bounds: 2 stands after 3",
        ),
        ("prediction: {value: /v, bounds: [1, 1.0]}", "prediction.bounds: 1 stands after 1"),
        ("prediction: {value: /v, bounds: [.inf]}", "prediction.bounds[0]: '.inf' is not a number"),
        ("prediction: {value: /v, bounds: [1e9]}", "prediction.bounds[0]: '1e9' is not a number"),
        (
            f"prediction: {{value: /v, bounds: {list(range(31))}}}",
            "prediction.bounds: this has more than 30 entries",
        ),
        ("prediction: {protocol: grpc}", "prediction.protocol: 'grpc' is unknown here"),
        ("mirror: {to: v1, percent: 1}", "mirror.to: 'v1' is the stable version"),
        ("mirror: {to: v7, percent: 1}", "mirror.to: this route has no version 'v7'"),
        ("mirror: {to: v2, percent: 200}", "mirror.percent: '200' is more than 100"),
        ("mirror: {to: v2}", "mirror: key 'percent' is missing"),
        ("log: {sample: 10}", "log: key 'path' is missing"),
        ("log: {path: p.jsonl}", "log.path: 'p.jsonl' is no absolute path"),
        ("log: {path: /var/log/}", "log.path: '/var/log/' is no absolute path"),
        ("log: {path: /p, sample: 0.001}", "log.sample: '0.001' has more than two decimals"),
        ("log: {path: /p, features: yes}", "log.features: 'yes' is neither true nor false"),
        ("log: {path: /p, feature: true}", "log.feature: unknown key 'feature'"),
        ("log: {path: /p, rotate: {size: 1kB}}", "log.rotate.size: '1kB' is out of range"),
        ("rollout: {candidate: v2, steps: []}", "rollout.steps: this is empty"),
        (
            "rollout: {candidate: v2, steps: [{weight: 5, pause: 1m}, {weight: 5%, pause: 1m}]}",
            "rollout.steps[1].weight: '5%' is not more than 5, the step before",
        ),
        (
            "rollout: {candidate: v2, steps: [{weight: 5, pause: soon}]}",
            "rollout.steps[0].pause: 'soon' is not a duration",
        ),
        (
            "rollout: {candidate: v2, steps: [{weight: 5}]}",
            "rollout.steps[0]: key 'pause' is missing",
        ),
        (
            "rollout: {candidate: v2, steps: [{weight: 1, pause: 1m}], on_failure: promote}",
            "rollout.on_failure: 'promote' is unknown here",
        ),
        (
            "rollout: {candidate: v2, paused: yes}",
            "rollout.paused: 'yes' is neither true nor false",
        ),
        ("rollout: {candidate: v2, pause: true}", "rollout.pause: unknown key 'pause'"),
        ("rollout: {}", "rollout: key 'candidate' is missing"),
        ("rollout: {candidate: v7}", "rollout.candidate: this route has no version 'v7'"),
        ("rollout: v2", "rollout: a single value stands here"),
        ("rollout: []", "rollout: this is empty"),
        ("rollout: [v2]", "rollout[0]: a single value stands here"),
        ("rollout: [[]]", "rollout[0]: a list stands here"),
        ("rollout: [{steps: [{weight: 1, pause: 1m}]}]", "rollout[0]: key 'candidate' is missing"),
        (
            "rollout: [{candidate: v1}, {candidate: v7}]",
            "rollout[1].candidate: this route has no version 'v7'",
        ),
        (
            "rollout: [{candidate: v2}, {candidate: v1}, {candidate: v2}]",
            "rollout[2].candidate: 'v2' has a rollout already, rollout[0]",
        ),
        (
            "rollout: [{candidate: v1}, {candidate: v2, steps: [{weight: ten, pause: 1m}]}]",
            "rollout[1].steps[0].weight: 'ten' is not a percentage",
        ),
        (
            "rollout: [{candidate: v2, steps: [{weight: 5, pause: 1m}, {weight: 5, pause: 1m}]}]",
            "rollout[0].steps[1].weight: '5' is not more than 5, the step before",
        ),
        ("rollout: [{candidate: v2, step: []}]", "rollout[0].step: unknown key 'step'"),
        ("analysis: {max_false_rollback: 0}", "analysis.max_false_rollback: '0' is out of range"),
        (
            "analysis: {max_false_rollback: 51%}",
            "analysis.max_false_rollback: '51%' is out of range",
        ),
        ("analysis: {errors: 1%}", "analysis.errors: a single value stands here"),
        ("analysis: {latency: {}}", "analysis.latency: key 'max_increase' is missing"),
        (
            "analysis: {predictions: {action: alert}}",
            "analysis.predictions: key 'max_shift' is missing",
        ),
        ("analysis: {min_bad: 0}", "analysis.min_bad: '0' is out of range"),
        ("limits: &x {}", "limits: remove the anchor &x"),
        ("<<: {timeout: 1s}", "iris: merge keys are not supported"),
        (
            "timeout: !!python/name:os.system 3s",
            "timeout: remove the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_a_key_of_a_route(more: str, found: str) -> None:
    (rendered,) = refused(route(more))
    place = r"routing\.yaml:6:\d+: routes\.(iris\.)?"
    assert re.fullmatch(f"{place}{re.escape(found)}; .+", rendered)


def test_a_file_of_lines_is_rotated_in_one_way() -> None:
    rotate = "rotate: {keep: 3}"
    text = route(f"log: {{path: /p, {rotate}}}")
    assert only_route(f"{text}log: {{path: /p, {rotate}}}\n").log
    assert only_route(f"{text}log: {{path: /q}}\n").log

    assert refused(f"{text}log: {{path: /p}}\n") == [
        "routing.yaml:6:21: routes.iris.log.rotate: '/p' is rotated in another way by log; "
        "write the same, or another path"
    ]


@pytest.mark.parametrize(
    ("notify", "found"),
    [
        ("{webhook: http://a}", "1:1: notify: a mapping stands here"),
        ("[http://a/SECRET]", "1:10: notify[0]: a single value stands here"),
        ("[{events: [error]}]", "1:10: notify[0]: key 'webhook' is missing"),
        ("[{webhook: ftp://SECRET}]", "1:20: notify[0].webhook: this is not the URL of a webhook"),
        (
            "[{webhook: http://169.254.169.254/}]",
            "1:20: notify[0].webhook: '169.254.169.254' is a link-local, metadata, multicast or "
            "unspecified address, which traffic must not go to",
        ),
        ("[{webhook: http://a, events: []}]", "1:30: notify[0].events: this is empty"),
        (
            "[{webhook: http://a, events: [eror]}]",
            "1:39: notify[0].events[0]: 'eror' is unknown here",
        ),
        (
            "[{webhook: http://a, events: [error, error]}]",
            "1:30: notify[0].events: 'error' stands twice",
        ),
    ],
)
def test_notify(notify: str, found: str) -> None:
    (rendered,) = refused(f"notify: {notify}\n" + route())
    assert rendered.startswith(f"routing.yaml:{found}; ")
    assert "SECRET" not in rendered


def test_weights_that_leave_stable_less_than_nothing() -> None:
    text = route(versions=", v3: {url: http://c, weight: 54}, v4: {url: http://d, weight: 50%}")
    assert refused(text) == [
        "routing.yaml:4:5: routes.iris.versions: weights add up to 104; stable takes the rest, "
        "so the sum must be at most 100"
    ]


def test_a_weight_on_stable_is_one_problem_and_not_part_of_the_sum() -> None:
    text = SMALLEST.replace('8101"', '8101", weight: 95')
    assert refused(text) == [
        "routing.yaml:5:50: routes.iris.versions.v1.weight: "
        "stable takes what the candidates leave; remove its weight"
    ]


def test_the_sum_is_judged_in_a_file_with_other_mistakes() -> None:
    text = route("timeout: x", ", v3: {url: http://c, weight: 60}, v4: {url: x, weight: 60}")
    assert [line.split(": ")[1] for line in refused(text)] == [
        "routes.iris.versions",
        "routes.iris.versions.v4.url",
        "routes.iris.timeout",
    ]


def test_stable_names_a_version() -> None:
    assert refused(route().replace("stable: v1", "stable: v3")) == [
        "routing.yaml:3:13: routes.iris.stable: this route has no version 'v3'; write one of v1, v2"
    ]


def routes(*matches: str) -> str:
    """Routes r0, r1, ... with these matches, each on a line of its own from line 2."""
    text = "routes:\n"
    for i, match in enumerate(matches):
        more = f", match: {match}" if match else ""
        text += f"  r{i}: {{stable: v1, versions: {{v1: {{url: http://a}}}}{more}}}\n"
    return text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "{path: /a}"),
        ("", ""),
        ("{}", "{host: a}"),
        ("{path: /a}", "{path: /a}"),
        ("{path: /a}", "{path: /a/b}"),
        ("{path: /a/}", "{path: /a/b}"),
        ("{path: /a}", "{path: /a/, host: a}"),
        ("{host: A}", "{host: a, path: /b}"),
        ("{header: {X-A: b}}", "{header: {x-a: b, x-c: d}}"),
    ],
)
def test_a_route_that_an_earlier_one_leaves_nothing_is_refused(first: str, second: str) -> None:
    assert refused(routes(first, second)) == [
        "routing.yaml:3:3: routes.r1: no request reaches this route, as 'r0' above takes them all; "
        "move this route up, or narrow the `match` of the other"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{path: /a}", ""),
        ("{path: /a}", "{path: /ab}"),
        ("{path: /a/}", "{path: /a}"),
        ("{path: /a/b}", "{path: /a}"),
        ("{host: a}", "{host: b}"),
        ("{host: a}", "{path: /a}"),
        ("{header: {X-A: b}}", "{header: {X-A: c}}"),
        ("{header: {X-A: b, X-C: d}}", "{header: {X-A: b}}"),
        ("{path: /a, header: {X-A: b}}", "{path: /a}"),
    ],
)
def test_a_route_that_something_is_left_for_is_taken(first: str, second: str) -> None:
    assert [each.name for each in parse(routes(first, second).encode()).routes] == ["r0", "r1"]


def test_a_foreign_file_gets_a_list_that_ends() -> None:
    found = refused("".join(f"key{i}: x\n" for i in range(250)))
    assert len(found) == MAX_PROBLEMS + 1
    # One of the 251 is that 'routes' is missing, said first.
    assert found[-1] == "routing.yaml:99:1: and 151 more problems below; correct these first"


# What is taken, but is not as it says.


def test_warnings_name_the_keys_that_do_nothing_yet() -> None:
    assert [each.render("routing.yaml") for each in warnings(FULL.encode())] == [
        "routing.yaml:19:5: routes.iris.mirror: 'mirror' is checked but not acted on yet",
    ]


RAMP = "steps: [{weight: 1, pause: 1m}, {weight: 50.5, pause: forever}]"
JUDGED = "analysis: {errors: {max_increase: 0.1%}}"
NOT_JUDGED = "nothing is judged, so no step is ever taken; add `analysis` to the route"
NEVER = "nothing is tolerated, so nothing can be proven: it never advances by itself"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (f"rollout: {{candidate: v2, {RAMP}}}", [f"6:30: rollout.steps: {NOT_JUDGED}"]),
        (
            f"rollout: [{{candidate: v2}}, {{candidate: v3, {RAMP}}}]\n",
            [f"6:48: rollout[1].steps: {NOT_JUDGED}"],
        ),
        (
            f"rollout: {{candidate: v2, {RAMP}}}\nanalysis: {{}}",
            [
                f"7:5: analysis.errors.max_increase: {NEVER}; add `errors: {{max_increase: 0.1%}}`,"
                " say"
            ],
        ),
        (
            f"rollout: {{candidate: v2, {RAMP}}}\nanalysis:\n  errors: {{limit: 5%}}",
            [
                f"8:7: analysis.errors.max_increase: {NEVER}; add `errors: {{max_increase: 0.1%}}`,"
                " say"
            ],
        ),
        (
            f"rollout: {{candidate: v2, {RAMP}}}\nanalysis:\n  errors: {{max_increase: 0}}\n"
            "  latency: {max_increase: 0.00%}\n  predictions: {max_shift: 0, action: rollback}",
            [
                f"8:16: analysis.errors.max_increase: {NEVER}; write 0.1%, say",
                f"9:17: analysis.latency.max_increase: {NEVER}; write 1%, say",
                f"10:21: analysis.predictions.max_shift: {NEVER}; write 2%, say",
            ],
        ),
        (
            f"{JUDGED}\nrollout:\n- {{candidate: v2, {RAMP}}}\n- {{candidate: v3, {RAMP}}}",
            [
                "7:5: rollout: the last steps add up to 101 (v2 50.5 + v3 50.5); weights must not "
                "be more than 100 together, so not all of these steps can be taken: lower some"
            ],
        ),
    ],
)
def test_a_rollout_that_cannot_come_to_its_end_is_warned_of(more: str, found: list[str]) -> None:
    text = route(more, ", v3: {url: http://c}").encode()

    assert [each.render("").replace("routes.iris.", "")[1:] for each in warnings(text)] == found


@pytest.mark.parametrize(
    "more",
    [
        f"rollout: {{candidate: v2, {RAMP}}}\n{JUDGED}",
        f"rollout: {{candidate: v1, {RAMP}}}",
        f"rollout: {{candidate: v1, {RAMP}}}\nanalysis: {{}}",
        "rollout: {candidate: v2, on_failure: alert}",
        "rollout: {candidate: v2}\nanalysis: {}",
        f"rollout: [{{candidate: v1, {RAMP}}}, {{candidate: v2, {RAMP}}}]\n{JUDGED}",
        f"rollout: {{candidate: v2, {RAMP}}}\n"
        "analysis: {errors: {max_increase: 0.01%}, predictions: {max_shift: 0}}",
        f"rollout: [{{candidate: v2, {RAMP}}},\n"
        f"  {{candidate: v3, steps: [{{weight: 49.5, pause: 1s}}]}}]\n{JUDGED}",
    ],
    ids=[
        *("judged", "over", "over, with an analysis", "watched", "watched and judged"),
        *("one is over", "a shift that only alerts", "100 together"),
    ],
)
def test_a_rollout_that_can_is_not_warned_of(more: str) -> None:
    assert warnings(route(more, ", v3: {url: http://c}").encode()) == ()


def test_there_is_nothing_to_warn_of_in_what_is_acted_on() -> None:
    assert warnings(SMALLEST.encode()) == ()
    judged = (
        "analysis: {max_false_rollback: 1%, min_bad: 3, errors: {max_increase: 1%, limit: 5%}, "
        "latency: {max_increase: 1%, limit: 800ms}, predictions: {max_shift: 2%}}"
    )
    assert warnings(route(judged).encode()) == ()


def test_a_refused_file_has_no_warnings() -> None:
    with pytest.raises(ConfigError):
        warnings(FULL.replace("weight: 10}", "weight: ten}").encode())


# Whatever comes.


def judged(content: bytes) -> None:
    """Parse, and check what every refusal owes its reader."""
    try:
        parse(content)
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    places = [(problem.line, problem.column) for problem in problems]
    assert places == sorted(places)
    lines = re.split("\r\n|\r|\n", content.decode(errors="replace"))
    for problem in problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        rendered = problem.render("routing.yaml")
        assert rendered.isprintable()
        jargon = "Input should|Field required|Value error|not permitted|pydantic|Traceback|<class"
        assert not re.search(jargon, rendered)


@given(
    st.binary() | st.text().map(str.encode) | st.text().map(lambda text: f"routes: {text}".encode())
)
def test_any_content_is_taken_or_refused(content: bytes) -> None:
    judged(content)


@given(st.randoms(use_true_random=False))
def test_any_slip_of_the_hand_is_taken_or_refused(source: random.Random) -> None:
    text = FULL
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(text))
        insert = source.choice([*" \n\t:,-[]{}#&*!|>'\"%0aé", "", "\x00", "<<", "\n    ", "null"])
        text = text[:at] + insert + text[at + source.choice([0, 1, 1, 5]) :]
    judged(text.encode())


trees = st.recursive(
    st.sampled_from(["", "v1", "10", "x y", "/a", "http://a", "1s", "true", "\n"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("routes", "iris", "v1", "versions", "stable", "match", "header", "path"),
                    *("url", "urls", "weight", "sticky", "prediction", "rollout", "steps"),
                    *(
                        "candidate",
                        "paused",
                        "mirror",
                        "analysis",
                        "errors",
                        "max_increase",
                        "notify",
                        "log",
                        "rotate",
                    ),
                    "[key]",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(trees)
def test_any_shape_is_taken_or_refused(tree: object) -> None:
    judged(repr(tree).encode())


@given(st.integers(0, 10_000))
def test_every_share_is_read_exactly(points: int) -> None:
    text = SMALLEST.replace("weight: 10}", f"weight: {points / 100:.2f}%}}")
    assert only_route(text).versions[1].weight == points


def test_a_file_of_5000_versions_is_read_in_a_fraction_of_a_second() -> None:
    """140 ms on two shared cores; the limit only notices another order of growth."""
    lines = ["routes:"]
    for i in range(100):
        lines += [f"  r{i}:", f"    match: {{path: /{i}}}", "    stable: v0", "    versions:"]
        lines += ['      v0: {url: "http://127.0.0.1:8000"}']
        lines += [
            f'      v{j}: {{url: "http://127.0.0.1:{8000 + j}", weight: 1}}' for j in range(1, 50)
        ]
    content = "\n".join(lines).encode()
    start = time.perf_counter()
    assert len(parse(content).routes) == 100
    assert time.perf_counter() - start < 5
