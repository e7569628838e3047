"""Versions that a protocol lets a client name: by path, or by SageMaker's header."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import parse
from gateway.errors import Refusal
from gateway.model import Assignment, Match
from gateway.protocols import Protocol
from gateway.routing.run import NOTHING_SPENT
from gateway.routing.split import SLOTS
from gateway.routing.table import RoutingTable, compile_table
from monitoring.explanation import explain
from tests.builders import make_config, make_cookie, make_prediction, make_route, make_sticky

NOBODY = {b"host": b"models.example"}
NAMED = b"/v2/models/iris/versions/v2/infer"
VARIANT = b"x-amzn-sagemaker-target-variant"
VERSIONS = {"v1": "http://a:1", "v2": ("http://b:1", 50), "v3": "http://c:1"}


def never() -> float:
    raise AssertionError("nothing is drawn here")


def table_of(protocol: Protocol | None, **rules: Any) -> RoutingTable:
    prediction = make_prediction(protocol=protocol)
    return compile_table(make_config(VERSIONS, prediction=prediction, **rules))


def asked(table: RoutingTable, path: bytes, draw: Any = never, **fields: bytes):
    """The decision for a request, as an exchange comes to it."""
    headers = NOBODY | {name.replace("_", "-").encode(): value for name, value in fields.items()}
    route = table.match(path, headers)
    return route.assign(headers, route.key(headers) if route.sticky else None, draw)


def refused(table: RoutingTable, path: bytes, **fields: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        asked(table, path, **fields)
    return caught.value


# --- Open Inference Protocol: the path


@pytest.mark.parametrize("tail", [b"", b"/", b"/infer", b"/ready", b"/generate_stream"])
def test_the_versioned_path_forces_its_version_without_fallback_or_evidence(tail: bytes) -> None:
    decision = asked(table_of(Protocol.V2), b"/v2/models/iris/versions/v3" + tail)

    assert (decision.version, decision.assignment) == ("v3", Assignment.FORCED)
    assert decision.fallback is None
    assert not decision.counts_as_evidence


def test_it_goes_before_the_sticky_key_and_shows_nobody() -> None:
    table = table_of(Protocol.V2, sticky=make_sticky())
    marks = bytearray(SLOTS)
    table.routes[0].mark(marks, NOTHING_SPENT)

    assert asked(table, NAMED, x_user_id=b"alice").version == "v2"
    assert not any(marks)


def test_who_names_a_version_by_path_is_given_no_cookie() -> None:
    table = table_of(Protocol.V2, sticky=make_cookie())

    assert table.match(NAMED, NOBODY).sticky is False
    assert table.match(b"/v2/models/iris/infer", NOBODY).sticky_cookie == b"canary_id"


@pytest.mark.parametrize("version", [b"9", b"V1", b"v1%2Finfer", b"v1;x", b"%ff"])
def test_a_version_that_is_not_there_is_a_404_in_tritons_words(version: bytes) -> None:
    refusal = refused(table_of(Protocol.V2), b"/v2/models/iris/versions/%b/infer" % version)

    assert (refusal.status, refusal.reason) == (404, "unknown_version")
    assert refusal.sentence.startswith("Request for unknown model: 'iris' version '")
    assert refusal.sentence.endswith("is not found; route 'iris' has v1, v2, v3")


def test_path_and_header_may_agree_and_must_not_contradict() -> None:
    table = table_of(Protocol.V2, override="x-model-version")

    assert asked(table, NAMED, x_model_version=b"v2").version == "v2"
    assert asked(table, NAMED, x_model_version=b"").version == "v2"
    refusal = refused(table, NAMED, x_model_version=b"v1")
    assert (refusal.status, refusal.reason) == (400, "bad_request")
    assert "the path names version 'v2', and the header x-model-version 'v1'" in refusal.sentence
    assert refused(table, NAMED, x_model_version=b"v9").status == 400


@pytest.mark.parametrize("protocol", [None, *(p for p in Protocol if p is not Protocol.V2)])
def test_in_no_other_protocol_the_path_names_a_version(protocol: Protocol | None) -> None:
    table = table_of(protocol)

    assert asked(table, NAMED, lambda: 0.999).assignment is Assignment.WEIGHTED
    assert asked(table, b"/v2/models/iris/versions/v9/infer", lambda: 0.999).version == "v1"


def test_conditions_of_the_route_hold_for_the_versioned_path_too() -> None:
    picky = make_route(
        VERSIONS,
        name="picky",
        match=Match("/v2/models/iris", headers=(("x-team", "red"),)),
        prediction=make_prediction(protocol=Protocol.V2),
    )
    table = compile_table(make_config({"w1": "http://d:1"}, picky, name="w", match=Match("/w")))

    assert asked(table, NAMED, x_team=b"red").version == "v2"
    assert refused(table, NAMED, x_team=b"blue").reason == "no_route"


def test_routes_that_share_a_path_are_told_apart_on_the_versioned_one() -> None:
    other = make_route(
        {"w1": "http://d:1"}, name="other", prediction=make_prediction(protocol=Protocol.V2)
    )
    prediction = make_prediction(protocol=Protocol.V2)
    match = Match(host="a.example")
    table = compile_table(make_config(VERSIONS, other, match=match, prediction=prediction))
    path = b"/v2/models/iris/versions/w1/infer"

    assert asked(table, path).route.name == "other"
    assert refused(table, path, host=b"a.example").status == 404


def test_versioned_paths_are_remembered_in_bounded_room() -> None:
    table = table_of(Protocol.V2)
    for number in range(3000):
        refused(table, b"/v2/models/iris/versions/%d" % number)

    assert len(table._paths) <= 1024
    assert asked(table, NAMED).version == "v2"


# --- what is no prediction


@pytest.mark.parametrize(
    ("protocol", "path", "evidence"),
    [
        (Protocol.V2, b"/v2/health/ready", False),
        (Protocol.V2, b"/v2/models/iris", False),
        (Protocol.V2, b"/v2/models/iris/infer", True),
        (Protocol.V2, b"/predict", True),
        (Protocol.SAGEMAKER, b"/ping", False),
        (Protocol.SAGEMAKER, b"/invocations", True),
        (Protocol.OPENAI, b"/v1/models", False),
        (Protocol.OPENAI, b"/v1/chat/completions", True),
        (Protocol.PREDICT, b"/explain", False),
        (Protocol.PREDICT, b"/predict", True),
        (None, b"/v2/health/ready", True),
        (None, b"/ping", True),
    ],
)
def test_health_and_metadata_are_split_as_all_requests_and_are_no_evidence(
    protocol: Protocol | None, path: bytes, evidence: bool
) -> None:
    table = table_of(protocol, sticky=make_sticky())
    plain = table_of(None, sticky=make_sticky())
    marks = bytearray(SLOTS)
    table.routes[0].mark(marks, NOTHING_SPENT)
    users = [b"user-%d" % number for number in range(40)]

    found = [asked(table, path, x_user_id=user) for user in users]

    assert [one.version for one in found] == [
        asked(plain, b"/predict", x_user_id=user).version for user in users
    ]
    assert {one.assignment for one in found} == {Assignment.STICKY}
    assert any(one.fallback is not None for one in found)
    assert any(marks) is any(one.counts_as_evidence for one in found) is evidence


def test_without_a_key_they_are_drawn_like_all_others() -> None:
    table = table_of(Protocol.V2)
    for at in (0.0, 0.3, 0.7, 0.999):
        beside = asked(table, b"/v2/health/live", lambda at=at: at)

        assert beside.version == asked(table, b"/predict", lambda at=at: at).version
        assert beside.assignment is Assignment.WEIGHTED
        assert not beside.counts_as_evidence


def test_an_override_holds_for_them_too() -> None:
    table = table_of(Protocol.V2, override="x-model-version")

    assert asked(table, b"/v2/health/ready", x_model_version=b"v3").version == "v3"
    assert refused(table, b"/v2/health/ready", x_model_version=b"v9").status == 400


# --- SageMaker: the header


def variant(table: RoutingTable, path: bytes = b"/invocations", **fields: bytes):
    return asked(table, path, x_amzn_sagemaker_target_variant=b"v3", **fields)


@pytest.mark.parametrize("path", [b"/invocations", b"/endpoints/iris/invocations", b"/ping"])
def test_the_target_variant_forces_its_version(path: bytes) -> None:
    decision = variant(table_of(Protocol.SAGEMAKER), path)

    assert (decision.version, decision.assignment) == ("v3", Assignment.FORCED)
    assert decision.fallback is None
    assert not decision.counts_as_evidence


def test_it_stands_beside_the_override_of_the_route() -> None:
    table = table_of(Protocol.SAGEMAKER, override="x-model-version")

    assert variant(table).version == "v3"
    assert asked(table, b"/invocations", x_model_version=b"v2").version == "v2"
    assert variant(table, x_model_version=b"v3").version == "v3"


def test_two_headers_that_contradict_one_another_are_refused() -> None:
    table = table_of(Protocol.SAGEMAKER, override="x-model-version")
    refusal = refused(
        table, b"/invocations", x_amzn_sagemaker_target_variant=b"v3", x_model_version=b"v1"
    )

    assert (refusal.status, refusal.reason) == (400, "bad_request")
    assert refusal.sentence == (
        "the header x-amzn-sagemaker-target-variant names version 'v3', "
        "and the header x-model-version 'v1'; name one of them"
    )


def test_an_unknown_variant_is_a_400_and_an_empty_one_is_none() -> None:
    table = table_of(Protocol.SAGEMAKER)
    refusal = refused(table, b"/invocations", x_amzn_sagemaker_target_variant=b"AllTraffic")

    assert (refusal.status, refusal.reason) == (400, "unknown_version")
    drawn = asked(table, b"/invocations", lambda: 0.9, x_amzn_sagemaker_target_variant=b"")
    assert drawn.assignment is Assignment.WEIGHTED


@pytest.mark.parametrize("protocol", [None, *(p for p in Protocol if p is not Protocol.SAGEMAKER)])
def test_in_no_other_protocol_that_header_means_anything(protocol: Protocol | None) -> None:
    headers = NOBODY | {VARIANT: b"v3"}
    route = table_of(protocol).match(b"/invocations", headers)

    assert route.assign(headers, None, lambda: 0.999).version == "v1"


def test_every_decision_of_such_a_route_tells_the_variant() -> None:
    plain, table = table_of(None), table_of(Protocol.SAGEMAKER)
    line = b"x-Amzn-Invoked-Production-Variant: v2\r\n"
    for assignment in (Assignment.WEIGHTED, Assignment.FORCED):
        assert line in table.routes[0].decision("v2", assignment).headers
        assert line not in plain.routes[0].decision("v2", assignment).headers
    fallback = table.routes[0].decision("v2", Assignment.WEIGHTED).fallback
    assert fallback is not None
    assert b"x-Amzn-Invoked-Production-Variant: v1\r\n" in fallback.headers


# --- the file, and `canary explain`

FILE = """
routes:
  iris:
    match: {path: /v2/models/iris}
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:1"}
      v2: {url: "http://127.0.0.1:2", weight: 50}
    sticky: {header: X-User-Id}
    override: {header: X-Model-Version}
    prediction: {protocol: v2}
  boto:
    stable: v1
    versions: {v1: {url: "http://127.0.0.1:1"}, v2: {url: "http://127.0.0.1:2"}}
    prediction: {protocol: sagemaker}
"""


@pytest.mark.parametrize(
    ("path", "fields", "sentence"),
    [
        (NAMED, {}, "route iris: v2 (forced): the path names it"),
        (NAMED, {b"x-user-id": b"a"}, "route iris: v2 (forced): the path names it"),
        (NAMED, {b"x-model-version": b"v1"}, "none: refused with 400, the path names version"),
        (
            b"/v2/models/iris/versions/9",
            {},
            "none: refused with 404, Request for unknown model: 'iris' version '9'",
        ),
        (
            b"/v2/models/iris/infer",
            {b"x-model-version": b"v2"},
            "route iris: v2 (forced): the header x-model-version names it",
        ),
        (b"/v2/models/iris/ready", {b"x-user-id": b"a"}, "(sticky): header x-user-id = 'a'"),
        (b"/v2/models/iris/ready", {}, "each request is drawn on its own"),
        (
            b"/endpoints/x/invocations",
            {VARIANT: b"v2"},
            "route boto: v2 (forced): the header x-amzn-sagemaker-target-variant names it",
        ),
    ],
)
def test_what_names_the_version_is_explained(
    path: bytes, fields: dict[bytes, bytes], sentence: str
) -> None:
    assert sentence in explain(parse(FILE.encode()), path, NOBODY | fields).sentence
