"""Each change in files of any layout: no comment is lost, and no line differs that need not."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import parse
from gateway.edit import (
    AddVersion,
    Change,
    Promote,
    RemoveVersion,
    Restore,
    SetPaused,
    SetWeight,
    apply,
)
from tests.gateway.layouts import comments, routing_file
from tests.gateway.test_edit import replaced

texts = st.integers(0, 2**32).map(routing_file)
candidates = st.sampled_from(["v2", "v3"])
new_versions = st.builds(
    AddVersion,
    st.just("a"),
    st.sampled_from(["v9", "2026-11-22", "on"]),
    st.sampled_from([("http://z:80",), ("http://[::1]:9", "unix:/run/z.sock")]),
    st.sampled_from(["", "/up"]),
    st.sampled_from(["", "v2", "v3"]),
)
changes = st.one_of(
    st.builds(SetWeight, st.just("a"), candidates, st.integers(0, 5000)),
    st.builds(SetPaused, st.just("a"), candidates, st.booleans()),
    st.builds(Promote, st.just("a"), candidates),
    new_versions,
)


def lines_changed(before: str, after: str) -> tuple[int, int]:
    """How many went, and how many came."""
    old, new = before.splitlines(), after.splitlines()
    matches = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    apart = [one[1:] for one in matches if one[0] != "equal"]
    return sum(b - a for a, b, _, _ in apart), sum(d - c for _, _, c, d in apart)


def most_lines(change: Change) -> tuple[int, int]:
    """So many may go and come: a value may stand in a line below its key."""
    match change:
        case SetWeight():
            return 2, 2
        case SetPaused():
            return 4, 2
        case Promote():
            return 8, 6
        case _:
            return 4, 8


@given(texts, changes)
def test_a_change_is_made_beside_every_comment_and_in_few_lines(text: str, change: Change) -> None:
    before = text.encode()
    route = parse(before).route("a")
    of = change.takes_over if isinstance(change, AddVersion) else change.version
    if isinstance(change, AddVersion | SetPaused) and of and route.rollout(of) is None:
        return  # refused, whatever the layout
    after = apply(before, change).decode()

    assert comments(after) == comments(text)
    assert ("\r\n" in text) == ("\r\n" in after)
    assert after.count("\r") == after.count("\n") or "\r" not in after
    gone, come = lines_changed(text, after)
    most_gone, most_come = most_lines(change)
    assert gone <= most_gone
    assert come <= most_come
    assert apply(after.encode(), change).decode() == after


@given(texts, new_versions)
def test_a_version_that_is_taken_out_again_leaves_no_trace(text: str, change: AddVersion) -> None:
    alone = AddVersion("a", change.version, change.urls, change.readiness)

    there = apply(text.encode(), alone)

    assert apply(there, RemoveVersion("a", change.version)) == text.encode()


@given(texts, candidates)
def test_of_what_was_there_only_a_versions_own_lines_go_with_it(text: str, name: str) -> None:
    route = parse(text.encode()).route("a")
    if route.weight(name) or route.rollout(name):
        return  # refused, whatever the layout
    after = apply(text.encode(), RemoveVersion("a", name)).decode()

    left = comments(after)
    assert left == [one for one in comments(text) if one in left]
    gone, come = replaced(text, after)
    assert not re.sub("#.*|,", "", come).strip()
    assert not any(f"h{number}" in gone for number in "123" if number != name[1:])


@given(texts, candidates)
def test_the_way_back_after_a_promotion_is_one_name(text: str, name: str) -> None:
    promoted = apply(text.encode(), Promote("a", name)).decode()

    back = apply(promoted.encode(), Restore("a", name, "v1")).decode()

    assert replaced(promoted, back) == (name[1:], "1")
