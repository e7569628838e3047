"""What another file changes about the traffic, as the log tells it."""

from __future__ import annotations

from gateway.files.changes import Shift, shifts
from gateway.model import RoutingConfig
from tests.builders import make_config, make_route


def split(stable: str = "v1", **percent: float) -> RoutingConfig:
    """A file with these candidates."""
    versions = {"v1": 0.0, "v2": 0.0, "v3": 0.0} | percent
    weighted = {
        name: ("http://127.0.0.1:1", share) for name, share in versions.items() if name != stable
    }
    return make_config({stable: "http://127.0.0.1:1", **weighted})


def test_who_gets_more_or_less_is_told_with_both_shares() -> None:
    assert list(shifts(split(v2=10), split(v2=25.5))) == [
        Shift("iris", "v1", {"v1": 90, "v2": 10}, {"v1": 74.5, "v2": 25.5})
    ]


def test_a_promotion_names_the_new_stable() -> None:
    assert list(shifts(split(v2=50), split("v2"))) == [
        Shift("iris", "v2", {"v1": 50, "v2": 50}, {"v2": 100, "v1": 0})
    ]


def test_a_route_that_is_new_or_gone_has_nothing_before_or_after() -> None:
    more = make_route({"m": "http://127.0.0.1:4"}, name="more")
    small, large = make_config({"v1": "http://127.0.0.1:1"}), make_config(None, more)
    (new,) = shifts(RoutingConfig(small.routes), RoutingConfig((*small.routes, more)))
    gone = list(shifts(large, RoutingConfig(large.routes[:1])))

    assert new == Shift("more", "m", {}, {"m": 100})
    assert gone == [Shift("more", "m", {"m": 100}, {})]


def test_a_file_that_changes_no_share_is_not_told_of() -> None:
    assert list(shifts(split(v2=10), split(v2=10))) == []
