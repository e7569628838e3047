"""What `canary status` says of endpoints that get no requests, or should not."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from gateway.admin.status import status_json
from monitoring.commands.status import render
from tests.builders import make_config, make_report, with_readiness

FIRST, SECOND = "http://127.0.0.1:8101", "http://127.0.0.1:8102"


def said(*endpoints: tuple[bool, bool | None]) -> list[str]:
    """The lines about the endpoints of a version that stand like this: ejected, ready."""
    urls = (FIRST, SECOND)[: len(endpoints)]
    document = status_json(make_report(with_readiness(make_config({"v1": urls}))))
    told = document["routes"]["iris"]["versions"]["v1"]["endpoints"]
    for one, (ejected, ready) in zip(told, endpoints, strict=True):
        one.update(ejected=ejected, ready=ready)
    return lines_of(document)


def lines_of(document: Any) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render(document))
    return [line.rstrip() for line in captured.get().splitlines() if "http" in line]


@pytest.mark.parametrize("ready", [True, None])
def test_of_endpoints_that_are_well_nothing_is_said(ready: bool | None) -> None:
    assert said((False, ready), (False, ready)) == []


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ((True, None), (False, None), "left out: failed again and again; one request tries it"),
        ((True, True), (False, True), "left out: failed again and again; one request tries it"),
        ((True, False), (False, True), "left out: failed again and again, and is not ready"),
        ((False, False), (False, True), "left out: not ready"),
    ],
)
def test_who_is_left_out_is_named_and_why(
    first: tuple[bool, bool | None], second: tuple[bool, bool | None], line: str
) -> None:
    (only,) = said(first, second)

    assert only.startswith(f"iris v1 {FIRST}: {line}")


def test_who_is_not_ready_where_nobody_is_is_asked_all_the_same() -> None:
    lines = said((False, False), (False, False))

    assert lines == [
        f"iris v1 {url}: not ready, but asked all the same: no other endpoint is"
        for url in (FIRST, SECOND)
    ]


def test_who_is_not_ready_is_asked_where_the_one_that_is_fails() -> None:
    lines = said((False, False), (True, True))

    assert "asked all the same" in lines[0]
    assert "left out: failed again and again; one request tries it" in lines[1]


def test_a_gateway_that_does_not_tell_who_is_ready_is_understood() -> None:
    document = status_json(make_report(make_config({"v1": (FIRST, SECOND)})))
    for one in document["routes"]["iris"]["versions"]["v1"]["endpoints"]:
        del one["ready"]

    assert lines_of(document) == []
