"""What people are told of, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.model import Event
from monitoring.history.changes import BY_HAND, Entry, Status
from monitoring.notices.notice import Notice, notices_of


def make_notice(**more: Any) -> Notice:
    usual: dict[str, Any] = {
        "event": Event.ROLLBACK,
        "route": "iris",
        "version": "v2",
        "sentence": "it fails more often than stable",
        "at": "2026-11-21T10:00:00.000Z",
        "by": "controller",
        "id": "0a1b2c3d4e5f",
        "before": {"v1": 90.0, "v2": 10.0},
        "after": {"v1": 100.0, "v2": 0.0},
        "generation": "0123456789ab",
    }
    return Notice(**usual | more)


def entry(action: str, **more: Any) -> Entry:
    usual: dict[str, Any] = {
        "id": "0a1b2c3d4e5f",
        "at": "2026-11-21T10:00:00.000Z",
        "by": "controller",
        "route": "iris",
        "version": "v2",
        "reason": "it fails more often than stable",
        "before": {"v1": 90.0, "v2": 10.0},
        "after": {"v1": 100.0, "v2": 0.0},
        "before_hash": "ba9876543210",
        "after_hash": "0123456789ab",
    }
    return Entry(action=action, **usual | more)


def test_a_body_has_every_field_and_a_sentence_for_people() -> None:
    assert json.loads(make_notice().body()) == {
        "event": "rollback",
        "route": "iris",
        "version": "v2",
        "sentence": "it fails more often than stable",
        "at": "2026-11-21T10:00:00.000Z",
        "by": "controller",
        "id": "0a1b2c3d4e5f",
        "before": {"v1": 90.0, "v2": 10.0},
        "after": {"v1": 100.0, "v2": 0.0},
        "generation": "0123456789ab",
        "text": "iris v2: rolled back from 10 % to 0 % by controller: "
        "it fails more often than stable",
    }


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"event": Event.PROMOTE, "by": "cli:alice", "after": {"v1": 0.0, "v2": 100.0}},
            "iris v2: promoted from 10 % to 100 % by cli:alice: it fails more often than stable",
        ),
        (
            {"event": Event.PAUSE, "after": {"v1": 90.0, "v2": 10.0}},
            "iris v2: paused at 10 % by controller: it fails more often than stable",
        ),
        ({"sentence": ""}, "iris v2: rolled back from 10 % to 0 % by controller"),
        (
            {"event": Event.ERROR, "before": {}, "after": {}, "sentence": "no gateway answers"},
            "iris v2: trouble: no gateway answers",
        ),
        (
            {
                "event": Event.ERROR,
                "route": "",
                "version": "",
                "before": {},
                "after": {},
                "sentence": "the file is refused",
            },
            "controller: trouble: the file is refused",
        ),
        (
            {"before": {"v2": 0.01}, "after": {"v2": 0.0}, "sentence": "two\n\tlines\r\n"},
            "iris v2: rolled back from 0.01 % to 0 % by controller: two lines",
        ),
    ],
)
def test_the_sentence_says_what_happened_to_whom_by_whom_and_why(
    more: dict[str, Any], text: str
) -> None:
    assert make_notice(**more).text == text


def test_a_reason_calls_no_channel_and_the_field_of_its_own_has_it_as_it_was_given() -> None:
    notice = make_notice(sentence="<!channel> look & <https://evil.example|click>")

    assert "<" not in notice.text
    assert "&lt;!channel&gt; look &amp; " in notice.text
    assert json.loads(notice.body())["sentence"] == notice.sentence


def test_a_reason_of_a_strange_terminal_has_a_form() -> None:
    notice = make_notice(sentence="caf\udce9 \u2028 \x00 \U0001f600")

    assert notice.body().isascii()
    assert json.loads(notice.body())["sentence"] == notice.sentence


@pytest.mark.parametrize(
    ("action", "event"),
    [("rollback", Event.ROLLBACK), ("promote", Event.PROMOTE), ("pause", Event.PAUSE)],
)
@pytest.mark.parametrize("by", ["controller", "cli:alice", "console"])
def test_a_rollback_a_promotion_and_a_pause_are_told_whoever_made_them(
    action: str, event: Event, by: str
) -> None:
    assert notices_of([entry(action, by=by)], set()) == [make_notice(event=event, by=by)]


@pytest.mark.parametrize("action", ["set-weight", "start", "resume", "advance", BY_HAND, ""])
def test_other_changes_are_not_told(action: str) -> None:
    assert notices_of([entry(action)], set()) == []


@pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.CONFLICT])
def test_what_never_came_to_be_is_not_told(status: Status) -> None:
    assert notices_of([entry("rollback", status=status)], set()) == []


def test_nothing_is_told_twice_and_the_order_is_that_of_the_history() -> None:
    history = [entry("rollback", id=one) for one in "abc"]

    assert [notice.id for notice in notices_of(history, {"b"})] == ["a", "c"]
