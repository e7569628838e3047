"""From what is known of a request to a decision: which route, which version, and why."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.http.headers import cookie
from gateway.http.target import path_matches
from gateway.model import Assignment, Match, Role, Route, RoutingConfig
from gateway.routing.compiled import CompiledRoute
from gateway.routing.run import NOTHING_SPENT
from gateway.routing.split import BUCKETS, SLOTS, bucket_of, lanes_of, place_of
from gateway.routing.table import compile_table
from tests.builders import make_config, make_cookie, make_route, make_sticky

NOBODY = {b"host": b"models.example"}


def never() -> float:
    raise AssertionError("nothing is drawn here")


def route_of(config: RoutingConfig | Route) -> CompiledRoute:
    if isinstance(config, Route):
        config = RoutingConfig((config,))
    return compile_table(config).routes[0]


def matched(routes: list[Route], path: bytes = b"/", **fields: bytes) -> str:
    table = compile_table(RoutingConfig(tuple(routes)))
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return table.match(path, NOBODY | headers).rules.name


# --- match


@pytest.mark.parametrize(
    ("prefix", "path", "takes"),
    [
        (b"/", b"/", True),
        (b"/", b"/anything/at/all", True),
        (b"/predict", b"/predict", True),
        (b"/predict", b"/predict/", True),
        (b"/predict", b"/predict/x", True),
        (b"/predict", b"/predictor", False),
        (b"/predict", b"/predic", False),
        (b"/predict", b"/Predict", False),
        (b"/predict", b"/v1/predict", False),
        (b"/v2/", b"/v2/models", True),
        (b"/v2/", b"/v2", False),
        (b"/v2/", b"/v2x", False),
    ],
)
def test_a_path_is_a_prefix_that_ends_at_a_segment(prefix: bytes, path: bytes, takes: bool) -> None:
    assert path_matches(prefix, path) is takes


def test_the_first_matching_route_of_the_file_wins() -> None:
    wide = make_route(name="wide", match=Match("/"))
    narrow = make_route(name="narrow", match=Match("/predict"))

    assert matched([wide, narrow], b"/predict") == "wide"
    assert matched([narrow, wide], b"/predict") == "narrow"
    assert matched([narrow, wide], b"/other") == "wide"


def test_all_conditions_must_agree() -> None:
    rules = Match("/predict", "models.example", (("x-team", "red"), ("x-stage", "live")))
    picky = make_route(name="picky", match=rules)
    rest = make_route(name="rest")

    assert matched([picky, rest], b"/predict", x_team=b"red", x_stage=b"live") == "picky"
    assert matched([picky, rest], b"/predict", x_team=b"red") == "rest"
    assert matched([picky, rest], b"/predict", x_team=b"Red", x_stage=b"live") == "rest"
    assert matched([picky, rest], b"/x", x_team=b"red", x_stage=b"live") == "rest"
    assert (
        matched([picky, rest], b"/predict", x_team=b"red", x_stage=b"live", host=b"b.c") == "rest"
    )


@pytest.mark.parametrize(
    "host",
    [b"models.example", b"models.example:8080", b"MODELS.Example", b"Models.Example:443"],
)
def test_a_host_is_compared_without_case_and_port(host: bytes) -> None:
    named = make_route(name="named", match=Match(host="models.example"))

    assert matched([named, make_route(name="rest")], host=host) == "named"


@pytest.mark.parametrize("host", [b"models.example.evil.org", b"x.models.example", b"", b":80"])
def test_no_other_host_is_taken_for_it(host: bytes) -> None:
    named = make_route(name="named", match=Match(host="models.example"))

    assert matched([named, make_route(name="rest")], host=host) == "rest"


def test_an_ipv6_host_is_compared_without_its_port() -> None:
    named = make_route(name="named", match=Match(host="[::1]"))

    assert matched([named], host=b"[::1]:8080") == "named"
    assert matched([named], host=b"[::1]") == "named"


def test_a_request_no_route_takes_is_a_404() -> None:
    table = compile_table(make_config(match=Match("/predict")))

    with pytest.raises(Refusal) as caught:
        table.match(b"/nothing", NOBODY)

    assert (caught.value.status, caught.value.reason) == (404, "no_route")


def test_without_routes_everything_is_a_404() -> None:
    with pytest.raises(Refusal, match="no route"):
        compile_table(RoutingConfig(())).match(b"/", NOBODY)


def test_paths_from_clients_are_remembered_in_bounded_room() -> None:
    table = compile_table(make_config(match=Match("/predict")))
    for number in range(10_000):
        table.match(b"/predict/%d" % number, NOBODY)

    assert len(table._paths) <= 1024
    assert table.match(b"/predict/1", NOBODY) is table.routes[0]
    with pytest.raises(Refusal):
        table.match(b"/else", NOBODY)


# --- assign: override, sticky key, draw


def test_a_draw_falls_into_the_lanes() -> None:
    route = route_of(make_config({"v1": "http://a:1", "v2": ("http://b:1", 10)}))
    lanes = lanes_of([1000])
    for bucket in (0, 999, 1000, 5000, 9999):
        decision = route.assign(NOBODY, None, lambda bucket=bucket: (bucket + 0.5) / 10_000)

        assert decision.version == ("v2" if lanes[bucket] else "v1")
        assert decision.assignment is Assignment.WEIGHTED


def test_the_largest_possible_draw_has_a_bucket() -> None:
    route = route_of(make_config())

    assert route.assign(NOBODY, None, lambda: 1 - 2**-53).version == "v1"


@given(st.binary(max_size=64), st.integers(0, 10_000))
def test_a_sticky_key_decides_without_a_draw(key: bytes, weight: int) -> None:
    route = route_of(
        make_config({"v1": "http://a:1", "v2": ("http://b:1", weight / 100)}, sticky=make_sticky())
    )
    decision = route.assign(NOBODY, key, never)

    assert decision.version == ("v2" if lanes_of([weight])[bucket_of(b"iris", key)] else "v1")
    assert decision.assignment is Assignment.STICKY


def test_the_sticky_header_is_the_key() -> None:
    route = route_of(make_config(sticky=make_sticky("x-user-id")))

    assert route.key(NOBODY | {b"x-user-id": b"alice"}) == b"alice"
    assert route.key(NOBODY) is None
    assert route.key(NOBODY | {b"x-user-id": b""}) is None
    assert route.sticky_cookie is None


def test_the_sticky_cookie_is_the_key() -> None:
    route = route_of(make_config(sticky=make_cookie("canary_id")))

    assert route.key(NOBODY | {b"cookie": b"a=b; canary_id=alice; c=d"}) == b"alice"
    assert route.key(NOBODY | {b"cookie": b"xcanary_id=alice"}) is None
    assert route.key(NOBODY | {b"cookie": b"canary_id="}) is None
    assert route.key(NOBODY) is None
    assert route.sticky_cookie == b"canary_id"


def test_a_route_without_sticky_has_no_keys() -> None:
    assert route_of(make_config()).key(NOBODY | {b"x-user-id": b"alice", b"cookie": b"a=b"}) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"id=1", b"1"),
        (b" id=1 ", b"1"),
        (b"a=b;id=1", b"1"),
        (b'id="1"', b"1"),
        (b"id=a=b", b"a=b"),
        (b"id=1; id=2", b"1"),
        (b"ID=1", None),
        (b"id", None),
        (b"", None),
        (b";;;", None),
    ],
)
def test_cookies_are_read_as_browsers_send_them(header: bytes, value: bytes | None) -> None:
    assert cookie(header, b"id") == value


@given(st.binary(max_size=200), st.binary(max_size=8))
def test_no_cookie_header_can_harm(header: bytes, name: bytes) -> None:
    value = cookie(header, name)

    assert value is None or value in header


def test_an_override_goes_before_key_and_draw() -> None:
    config = make_config(override="x-model-version", sticky=make_sticky())
    decision = route_of(config).assign(NOBODY | {b"x-model-version": b"v2"}, b"alice", never)

    assert decision.version == "v2"
    assert decision.assignment is Assignment.FORCED


def test_an_override_reaches_a_version_without_weight() -> None:
    config = make_config({"v1": "http://a:1", "v3": "http://b:1"}, override="x-model-version")

    assert route_of(config).assign({b"x-model-version": b"v3"}, None, never).version == "v3"


def test_an_empty_override_is_none() -> None:
    route = route_of(make_config(override="x-model-version"))

    assert route.assign({b"x-model-version": b""}, None, lambda: 0.99).version == "v1"


def test_without_an_override_in_the_file_no_header_names_a_version() -> None:
    decision = route_of(make_config()).assign({b"x-model-version": b"v2"}, None, lambda: 0.99)

    assert (decision.version, decision.assignment) == ("v1", Assignment.WEIGHTED)


@pytest.mark.parametrize("wanted", [b"v9", b"V1", b" v1", b"http://evil/", b"\xff\xfe", b"v1,v2"])
def test_an_unknown_version_is_a_400_that_names_the_known_ones(wanted: bytes) -> None:
    route = route_of(make_config(override="x-model-version"))

    with pytest.raises(Refusal, match=r"v1, v2") as caught:
        route.assign({b"x-model-version": wanted}, None, never)

    assert (caught.value.status, caught.value.reason) == (400, "unknown_version")


def test_a_version_of_another_route_is_unknown() -> None:
    other = make_route({"w1": "http://c:1"}, name="other", match=Match("/other"))
    table = compile_table(make_config(None, other, override="x-model-version"))

    with pytest.raises(Refusal, match="has no version 'w1'"):
        table.routes[0].assign({b"x-model-version": b"w1"}, None, never)


# --- decisions


def test_only_draws_and_keys_are_evidence() -> None:
    route = route_of(make_config(sticky=make_sticky(), override="x-model-version"))
    counted = {
        way: route.decision("v2", way).counts_as_evidence
        for way in (Assignment.WEIGHTED, Assignment.STICKY, Assignment.FORCED)
    }
    fallback = route.decision("v2", Assignment.WEIGHTED).fallback

    assert counted == {
        Assignment.WEIGHTED: True,
        Assignment.STICKY: True,
        Assignment.FORCED: False,
    }
    assert fallback is not None
    assert not fallback.counts_as_evidence


def test_a_users_first_request_is_evidence_and_all_are_served_alike() -> None:
    route = route_of(make_config(sticky=make_sticky()))
    route.mark(bytearray(SLOTS), NOTHING_SPENT)
    first = [route.assign(NOBODY, b"user-%d" % i, never) for i in range(300)]
    again = [route.assign(NOBODY, b"user-%d" % i, never) for i in range(300)]

    assert all(decision.counts_as_evidence for decision in first)
    assert not any(decision.counts_as_evidence for decision in again)
    assert [(one.version, one.assignment, one.headers, one.fallback) for one in first] == [
        (one.version, one.assignment, one.headers, one.fallback) for one in again
    ]


def test_users_of_one_slot_are_taken_for_one() -> None:
    route = route_of(make_config(sticky=make_sticky()))
    marks = bytearray(SLOTS)
    route.mark(marks, NOTHING_SPENT)
    _, slot = place_of(b"iris", b"alice")
    marks[slot] = 1

    assert not route.assign(NOBODY, b"alice", never).counts_as_evidence
    assert route.assign(NOBODY, b"bob", never).counts_as_evidence


def test_a_user_in_a_spent_bucket_is_no_evidence_and_takes_no_slot() -> None:
    route = route_of(make_config(sticky=make_sticky()))
    marks = bytearray(SLOTS)
    bucket, _ = place_of(b"iris", b"alice")
    spent = bytearray(BUCKETS)
    spent[bucket] = 1
    route.mark(marks, bytes(spent))

    assert not route.assign(NOBODY, b"alice", never).counts_as_evidence
    assert not any(marks)
    nobody = [
        route.assign(NOBODY, None, lambda at=at: (at + 0.5) / BUCKETS)
        for at in (bucket, bucket + 1)
    ]
    assert [decision.counts_as_evidence for decision in nobody] == [False, True]
    assert {decision.assignment for decision in nobody} == {Assignment.WEIGHTED}


def test_who_names_a_version_is_not_marked_as_seen() -> None:
    route = route_of(make_config(sticky=make_sticky(), override="x-model-version"))
    marks = bytearray(SLOTS)
    route.mark(marks, NOTHING_SPENT)
    route.assign(NOBODY | {b"x-model-version": b"v2"}, b"alice", never)

    assert not any(marks)


def test_stable_answers_in_a_candidates_place_and_nobody_in_stables() -> None:
    route = route_of(make_config(sticky=make_sticky()))
    for way in (Assignment.WEIGHTED, Assignment.STICKY):
        fallback = route.decision("v2", way).fallback

        assert fallback is not None
        assert (fallback.version, fallback.assignment) == ("v1", Assignment.FALLBACK)
        assert fallback.fallback is None
        assert route.decision("v1", way).fallback is None


def test_fallback_none_means_none() -> None:
    assert (
        route_of(make_config(fallback=False)).decision("v2", Assignment.WEIGHTED).fallback is None
    )


def test_who_forces_a_version_gets_that_version() -> None:
    route = route_of(make_config(override="x-model-version"))

    assert route.decision("v2", Assignment.FORCED).fallback is None


def test_a_decision_carries_the_headers_that_say_who_answered() -> None:
    decision = route_of(make_config(name="iris")).decision("v2", Assignment.WEIGHTED)

    assert decision.headers == (
        b"X-Model-Version: v2\r\nX-Model-Route: iris\r\nX-Assignment: weighted\r\n"
    )
    assert decision.role is Role.CANDIDATE


def test_versions_are_numbered_through_the_whole_table() -> None:
    other = make_route({"w1": "http://c:1", "w2": "http://d:1"}, name="other")
    table = compile_table(make_config(None, other))
    places = [(place.route.name, place.version, place.role, place.index) for place in table.places]

    assert places == [
        ("iris", "v1", Role.STABLE, 0),
        ("iris", "v2", Role.CANDIDATE, 1),
        ("other", "w1", Role.STABLE, 2),
        ("other", "w2", Role.CANDIDATE, 3),
    ]
    assert table.routes[1].decision("w2", Assignment.WEIGHTED).index == 3


def test_stable_may_stand_anywhere_in_the_file() -> None:
    route = make_route(
        {"v1": ("http://a:1", 25), "v2": "http://b:1", "v3": ("http://c:1", 25)}, stable="v2"
    )
    draw = Random(5).random
    compiled = route_of(route)
    drawn = [compiled.assign(NOBODY, None, draw).version for _ in range(4000)]

    shares = [drawn.count(name) / len(drawn) for name in ("v1", "v2", "v3")]

    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_a_version_at_weight_0_is_never_drawn_nor_reached_by_a_key() -> None:
    route = route_of(make_config({"v1": "http://a:1", "v2": "http://b:1"}, sticky=make_sticky()))
    drawn = {route.assign(NOBODY, None, lambda i=i: i / 10_000).version for i in range(10_000)}
    kept = {route.assign(NOBODY, b"user-%d" % i, never).version for i in range(10_000)}

    assert drawn == kept == {"v1"}


def test_a_version_nobody_has_is_a_key_error() -> None:
    route = route_of(make_config())

    with pytest.raises(KeyError):
        route.decision("v9", Assignment.WEIGHTED)
