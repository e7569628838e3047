"""What ``GET /api/evidence`` serves of one gateway, file after file."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from gateway.admin.status import evidence_json, status_json
from gateway.counting.archive import KEPT_GENERATIONS, KEPT_ROUNDS
from gateway.counting.grid import DRAWN_SCORE_BOUNDS, LATENCY_BOUNDS
from gateway.counting.report import ReloadStatus, State, gather
from gateway.errors import Reason
from gateway.model import Assignment, Match, RoutingConfig, Sticky
from gateway.processes.plane import Solo
from gateway.routing.split import SLOTS
from gateway.routing.table import compile_table
from tests.builders import (
    make_config,
    make_outcome,
    make_prediction,
    make_route,
    make_sticky,
    make_value,
)

NOBODY: dict[bytes, bytes] = {}


def config(percent: float, sticky: Sticky | None = None, **rules: Any) -> RoutingConfig:
    versions = {"v1": "http://a:1", "v2": ("http://b:1", percent)}
    prediction = make_prediction("/p", "/s", ["a", "b"])
    return make_config(
        versions, sticky=sticky, prediction=prediction, generation=f"at-{percent}", **rules
    )


def fail(plane: Solo, user: int, version: str, **stable: Any) -> str:
    """A user's request gives way at this version, and ends at stable like this."""
    serving = plane.live.serving
    decision = serving.table.routes[0].assign(NOBODY, b"user-%d" % user, lambda: 0.5)
    fallback = decision.fallback
    assert decision.version == version
    assert fallback is not None
    serving.counts[decision.index].record(make_outcome(decision, status=0, reason=Reason.RESET))
    serving.counts[fallback.index].record(make_outcome(fallback, **stable))
    return fallback.way


def ask(plane: Solo, users: range | None = None, **facts: Any) -> list[str]:
    """A request of each user (or one without a key) is assigned and ends like this."""
    serving = plane.live.serving
    versions = []
    for user in users or [None]:
        key = None if user is None else b"user-%d" % user
        decision = serving.table.routes[0].assign(NOBODY, key, lambda: 0.5)
        serving.counts[decision.index].record(make_outcome(decision, **facts))
        versions.append(decision.version)
    return versions


def put(plane: Solo, percent: float, sticky: Sticky | None = None, **rules: Any) -> None:
    plane.put(compile_table(config(percent, sticky, **rules)))


def told(plane: Solo) -> Any:
    """As it is read from the wire."""
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), 0)
    return json.loads(json.dumps(evidence_json(gather(plane.archive, state))))


def split(generation: Any) -> Any:
    """Where the route stands, without since when."""
    return {key: value for key, value in generation["splits"]["iris"].items() if key != "since"}


def status(plane: Solo) -> Any:
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), 0)
    return status_json(gather(plane.archive, state))["routes"]["iris"]["versions"]


def test_everything_a_verdict_may_use_is_told_as_whole_numbers() -> None:
    plane = Solo(config(10))
    ask(plane, body=b'{"p": "a", "s": 0.5}', upstream_seconds=0.001)
    ask(plane, body=b'{"p": "c", "s": 0.5}', upstream_seconds=0.001)
    ask(plane, body=b"{}", upstream_seconds=0.0001)
    ask(plane, reason=Reason.UPSTREAM_5XX, status=500, upstream_seconds=0.0001)
    ask(plane, gone=True, status=0, upstream_seconds=0.0001)
    document = told(plane)
    (generation,) = document["generations"]

    assert document["latency_bounds"] == list(LATENCY_BOUNDS)
    assert document["score_bounds"] == list(DRAWN_SCORE_BOUNDS)
    assert generation["splits"].keys() == {"iris"}
    assert split(generation) == {"run": 1, "sticky": None, "repeat": 0}
    assert generation["routes"]["iris"]["v1"] == {
        "role": "stable",
        "weight": 9000,
        "buckets": 9000,
        "addresses": [sha256(b"http://a:1").hexdigest()[:12]],
        "assigned": 5,
        "bad": 1,
        "gone": 1,
        "asked": 5,
        "saved": 0,
        "in_flight": 0,
        "reasons": {"upstream_5xx": 1},
        "latency": [3, 0, 0, 0, 0, 0, 0, 0, 2],
        "labels": {"a": 1, "__other__": 1},
        "scores": [0] * DRAWN_SCORE_BOUNDS.index(0.5) + [2],
        "values": {},
        "missing": {"absent": 1},
    }
    nothing = generation["routes"]["iris"]["v2"]
    assert (nothing["latency"], nothing["scores"], nothing["labels"]) == ([], [], {})


def test_values_are_told_with_the_bounds_they_were_counted_by() -> None:
    plane = Solo(config(10))
    for bounds in ((-1.0, 0.5, 20.0), (0.5, 30.0)):
        prediction = make_value(*bounds)
        plane.put(compile_table(make_config(prediction=prediction, generation=str(bounds))))
        for value in (-2, -1, 0.25, 25, 25, 25):
            ask(plane, body=b'{"v": %r}' % value)
    before, first, second = (one["routes"]["iris"]["v1"] for one in told(plane)["generations"])

    assert before["values"] == {}
    assert first["values"] == {"-inf:-1.0": 2, "-1.0:0.5": 1, "20.0:inf": 3}
    assert second["values"] == {"-inf:0.5": 3, "0.5:30.0": 3}


def test_a_user_counts_once_in_a_split_whichever_file_it_came_under() -> None:
    plane = Solo(config(10, make_sticky()))
    first = ask(plane, range(100))
    ask(plane, range(100))
    put(plane, 10, make_sticky(), timeout=9.0)
    ask(plane, range(150))
    generations = told(plane)["generations"]
    counted = [one["routes"]["iris"] for one in generations]

    assert [sum(row["assigned"] for row in one.values()) for one in counted] == [100, 50]
    assert counted[0]["v2"]["assigned"] == first.count("v2")
    assert [split(one) for one in generations] == [
        {"run": 1, "sticky": {"seen": 150, "slots": SLOTS}, "repeat": 0}
    ] * 2


def test_who_was_a_candidates_is_no_draw_at_the_next_step_and_who_was_stables_is() -> None:
    plane = Solo(config(10, make_sticky()))
    before = ask(plane, range(400))
    put(plane, 50, make_sticky())
    after = ask(plane, range(400))
    old, new = told(plane)["generations"]
    counted = {name: row["assigned"] for name, row in new["routes"]["iris"].items()}

    stayed = [now for was, now in zip(before, after, strict=True) if was == "v1"]
    assert counted == {"v1": stayed.count("v1"), "v2": stayed.count("v2")}
    assert {name: row["buckets"] for name, row in new["routes"]["iris"].items()} == {
        "v1": 5000,
        "v2": 4000,
    }
    sticky = {"seen": len(stayed), "slots": SLOTS}
    assert split(new) == {"run": 1, "sticky": sticky, "repeat": 0}
    assert old["splits"]["iris"]["sticky"]["seen"] == 400  # as it was when the split ended


def test_a_candidate_that_is_started_again_begins_a_run_in_which_all_count_anew() -> None:
    plane = Solo(config(10, make_sticky()))
    for percent in (10, 0, 10):
        put(plane, percent, make_sticky())
        ask(plane, range(100))
    generations = told(plane)["generations"]

    assert [one["splits"]["iris"]["run"] for one in generations] == [1, 1, 1, 4]
    last = generations[-1]["routes"]["iris"]
    assert sum(row["assigned"] for row in last.values()) == 100
    assert last["v2"]["buckets"] == 1000


def test_users_count_again_for_a_candidate_at_another_address() -> None:
    plane = Solo(config(10, make_sticky()))
    ask(plane, range(100))
    versions = {"v1": "http://a:1", "v2": (("http://b:1", "http://b:2"), 10)}
    plane.put(compile_table(make_config(versions, sticky=make_sticky(), generation="moved")))
    ask(plane, range(100))
    before, after = told(plane)["generations"]

    assert (before["splits"]["iris"]["run"], after["splits"]["iris"]["run"]) == (1, 2)
    assert sum(row["assigned"] for row in after["routes"]["iris"].values()) == 100
    addresses = [one["routes"]["iris"]["v2"]["addresses"] for one in (before, after)]
    assert len(addresses[1]) == 2
    assert set(addresses[0]) < set(addresses[1])
    assert "http" not in json.dumps(told(plane))


def test_requests_without_a_key_are_draws_of_their_own_where_users_stick() -> None:
    plane = Solo(config(10, make_sticky()))
    for _ in range(3):
        ask(plane)
    ask(plane, reason=Reason.RESET, status=502)
    document = told(plane)["generations"][0]

    row = document["routes"]["iris"]["v1"]
    assert (row["assigned"], row["bad"]) == (4, 1)
    assert document["splits"]["iris"]["sticky"]["seen"] == 0
    assert (status(plane)["v1"]["assigned"], status(plane)["v1"]["bad"]) == (4, 1)


def test_the_status_tells_of_all_a_user_asked_and_the_share_of_that() -> None:
    plane = Solo(config(30, make_sticky()))
    for _ in range(5):
        versions = ask(plane, range(100))
    ask(plane, range(1), reason=Reason.TIMEOUT, status=504)
    shown = status(plane)

    assert {name: row["assigned"] for name, row in shown.items()} == {
        name: 5 * versions.count(name) + (name == versions[0]) for name in ("v1", "v2")
    }
    assert sum(row["observed"] for row in shown.values()) == pytest.approx(100)
    assert shown[versions[0]]["reasons"] == {"timeout": 1}


def three(sticky: Sticky | None = None, **rules: Any) -> RoutingConfig:
    versions = {"v1": "http://a:1", "v2": ("http://b:1", 30), "v3": ("http://c:1", 30)}
    return make_config(versions, sticky=sticky, **rules)


def asked_and_saved(plane: Solo) -> dict[str, tuple[int, int]]:
    rows = told(plane)["generations"][-1]["routes"]["iris"]
    return {name: (row["asked"], row["saved"]) for name, row in rows.items()}


def test_what_stable_saved_is_told_of_each_candidate_and_counts_at_every_repetition() -> None:
    plane = Solo(three(make_sticky()))
    versions = ask(plane, range(100))
    users = {name: versions.index(name) for name in ("v1", "v2", "v3")}
    usual = {name: versions.count(name) for name in users}
    for _ in range(5):
        assert fail(plane, users["v2"], "v2") == "fallback/v2"
    fail(plane, users["v3"], "v3", status=404)  # an answer like another
    fail(plane, users["v3"], "v3", status=503, reason=Reason.UPSTREAM_5XX)
    fail(plane, users["v3"], "v3", status=0, gone=True)

    assert asked_and_saved(plane) == {
        "v1": (usual["v1"], 0),
        "v2": (usual["v2"] + 5, 5),
        "v3": (usual["v3"] + 3, 1),
    }


def test_who_leaves_was_asked_and_who_names_a_version_was_not() -> None:
    plane = Solo(three(override="x-model-version"))
    route = plane.live.serving.table.routes[0]
    forced = route.decision("v2", Assignment.FORCED)
    plane.live.serving.counts[forced.index].record(make_outcome(forced))
    left = route.decision("v3", Assignment.WEIGHTED)
    plane.live.serving.counts[left.index].record(make_outcome(left, status=0, gone=True))

    assert [asked_and_saved(plane)[name] for name in ("v2", "v3")] == [(0, 0), (1, 0)]


def test_a_request_is_told_of_when_stable_has_answered_it_too() -> None:
    """Until then nobody knows whether it was saved, and what was told once is never taken back."""
    plane = Solo(config(100))
    serving = plane.live.serving
    decision = serving.table.routes[0].assign(NOBODY, None, lambda: 0.5)
    serving.counts[decision.index].record(make_outcome(decision, status=0, reason=Reason.RESET))
    waiting = asked_and_saved(plane)
    assert decision.fallback is not None
    serving.counts[decision.fallback.index].record(make_outcome(decision.fallback))

    assert (waiting["v2"], asked_and_saved(plane)["v2"]) == ((0, 0), (1, 1))


def test_without_fallback_nothing_is_saved() -> None:
    plane = Solo(three(make_sticky(), fallback=False))
    user = ask(plane, range(100)).index("v2")
    before = asked_and_saved(plane)["v2"]
    ask(plane, range(user, user + 1), status=502, reason=Reason.RESET)

    assert asked_and_saved(plane)["v2"] == (before[0] + 1, 0)


# --- rounds


def renew(plane: Solo, *routes: str) -> None:
    """Their users count again."""
    runs = plane.archive.epochs[-1].runs
    due = {name: replace(runs[name], repeat=runs[name].repeat + 1) for name in routes}
    asyncio.run(plane.renew(due))


def two(percent: float = 30) -> RoutingConfig:
    """In `iris` users stick, in `other` they do not."""
    versions = {"v1": "http://a:1", "v2": ("http://b:1", percent)}
    other = make_route(versions, name="other", match=Match("/other"))
    return make_config(versions, other, sticky=make_sticky(), generation="two")


def assigned(generation: Any, route: str = "iris") -> int:
    return sum(row["assigned"] for row in generation["routes"][route].values())


def test_in_another_round_users_count_again_and_where_they_were_it_stays() -> None:
    plane = Solo(config(30, make_sticky()))
    for _ in range(2):
        ask(plane, range(100))
    renew(plane, "iris")
    for _ in range(2):
        again = ask(plane, range(80))
    before, after = told(plane)["generations"]

    assert (assigned(before), assigned(after)) == (100, 80)
    assert after["routes"]["iris"]["v2"]["assigned"] == again.count("v2")
    assert (before["round"], after["round"]) == (False, True)
    assert before["generation"] == after["generation"]
    assert split(before) == {"run": 1, "sticky": {"seen": 100, "slots": SLOTS}, "repeat": 0}
    assert split(after) == {"run": 1, "sticky": {"seen": 80, "slots": SLOTS}, "repeat": 1}
    assert before["splits"]["iris"]["since"] < after["splits"]["iris"]["since"] == after["since"]


def test_a_step_ends_the_rounds_and_spends_what_it_would_have_spent() -> None:
    plane = Solo(config(10, make_sticky()))
    renew(plane, "iris")
    renew(plane, "iris")
    put(plane, 50, make_sticky())
    last = told(plane)["generations"][-1]

    assert split(last) == {"run": 1, "sticky": {"seen": 0, "slots": SLOTS}, "repeat": 0}
    assert last["routes"]["iris"]["v2"]["buckets"] == 4000


def test_another_file_with_the_same_split_goes_on_with_the_round() -> None:
    plane = Solo(config(10, make_sticky()))
    renew(plane, "iris")
    ask(plane, range(50))
    put(plane, 10, make_sticky(), timeout=9.0)
    ask(plane, range(60))
    generations = told(plane)["generations"]

    assert [split(one)["repeat"] for one in generations] == [0, 1, 1]
    assert [assigned(one) for one in generations] == [0, 50, 10]
    assert generations[1]["splits"]["iris"]["since"] == generations[2]["splits"]["iris"]["since"]


def test_what_is_due_for_a_split_that_is_over_is_not_done() -> None:
    plane = Solo(config(10, make_sticky()))
    due = replace(plane.archive.epochs[-1].runs["iris"], repeat=1)
    put(plane, 50, make_sticky())
    for late in (due, replace(due, repeat=0)):
        asyncio.run(plane.renew({"iris": late, "gone": late}))

    assert [one["round"] for one in told(plane)["generations"]] == [False, False]


def test_routes_whose_users_do_not_stick_notice_nothing_of_rounds() -> None:
    """Of them there is one row, which grows on, however many rounds there are and are let go."""
    plane = Solo(two())
    since = told(plane)["generations"][0]["since"]
    for number in range(1, 30):
        serving = plane.live.serving
        decision = serving.table.routes[1].assign(NOBODY, None, lambda: 0.5)
        serving.counts[decision.index].record(make_outcome(decision))
        ask(plane, range(20))
        del serving
        generations = told(plane)["generations"]

        assert [one["routes"].keys() for one in generations[1:]] == [{"iris"}] * (
            min(number - 1, KEPT_ROUNDS)
        )
        assert (assigned(generations[0], "other"), assigned(generations[0])) == (number, 20)
        assert generations[0]["since"] == since
        renew(plane, "iris")


def test_what_ends_late_counts_in_the_round_it_began_in() -> None:
    plane = Solo(config(30, make_sticky()))
    renew(plane, "iris")
    old = plane.live.serving
    decision = old.table.routes[0].assign(NOBODY, b"user-1", lambda: 0.5)
    for _ in range(KEPT_ROUNDS + 3):  # its round is not let go of before it has ended
        renew(plane, "iris")
    old.counts[decision.index].record(make_outcome(decision))

    assert [assigned(one) for one in told(plane)["generations"]] == [0, 1, *[0] * KEPT_ROUNDS]
    del old
    renew(plane, "iris")
    assert [assigned(one) for one in told(plane)["generations"]] == [0, *[0] * KEPT_ROUNDS]
    assert status(plane)[decision.version]["assigned"] == 1


def test_rounds_of_several_routes_are_told_apart() -> None:
    versions = {"v1": "http://a:1", "v2": ("http://b:1", 30)}
    more = make_route(versions, name="more", match=Match("/more"), sticky=make_sticky(salt="more"))
    plane = Solo(make_config(versions, more, sticky=make_sticky()))
    ask(plane, range(30))
    renew(plane, "more")
    ask(plane, range(40))
    for _ in range(9):
        renew(plane, "iris")
        ask(plane, range(50))
    generations = told(plane)["generations"]
    by_route = {
        name: [assigned(one, name) for one in generations if name in one["routes"]]
        for name in ("iris", "more")
    }

    assert by_route["iris"] == [40, *[50] * KEPT_ROUNDS]
    assert by_route["more"] == [0, 0]  # its round is told of for as long as it lasts


def test_the_status_and_the_metrics_know_no_rounds() -> None:
    plane = Solo(config(30, make_sticky()))
    state = State("routing.yaml", ReloadStatus(), False, plane.processes(), 0)
    ask(plane, range(100))
    before = status_json(gather(plane.archive, state))
    pools = plane.live.serving.pools
    for _ in range(3 * KEPT_ROUNDS):
        renew(plane, "iris")
    after = status_json(gather(plane.archive, state))

    assert after == before
    assert plane.live.serving.pools == pools
    ask(plane, range(100))
    shown = status(plane)
    assert sum(row["assigned"] for row in shown.values()) == 200
    assert sum(row["observed"] for row in shown.values()) == pytest.approx(100)


def test_rounds_hold_no_memory_for_users_of_earlier_ones() -> None:
    plane = Solo(config(30, make_sticky()))
    for _ in range(20):
        renew(plane, "iris")
    epochs = plane.archive.epochs

    assert len(epochs) == 1 + KEPT_ROUNDS
    for epoch in epochs[:-1]:
        with pytest.raises(ValueError, match="another split"):
            _ = epoch.marked["iris"].cells  # type: ignore[attr-defined]


# --- generations


def test_a_route_that_went_and_came_back_is_in_another_run() -> None:
    plane = Solo(config(10, make_sticky()))
    plane.put(compile_table(RoutingConfig((), generation="empty")))
    put(plane, 10, make_sticky())

    assert told(plane)["generations"][-1]["splits"]["iris"]["run"] == 3


def test_files_of_long_ago_hold_no_memory_for_users() -> None:
    plane = Solo(config(10, make_sticky()))
    for number in range(2 * KEPT_GENERATIONS):
        put(plane, 10 + number / 100, make_sticky())
        ask(plane, range(number))
    marked = [epoch.marked["iris"] for epoch in plane.archive.epochs]

    def holds(slots: Any) -> bool:
        try:
            return bool(slots.cells)
        except ValueError:
            return False

    assert [holds(slots) for slots in marked] == [False] * KEPT_GENERATIONS + [True]
