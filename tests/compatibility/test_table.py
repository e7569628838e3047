"""What the table of ``make compatibility`` says, and that nothing in it is left to chance."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.compatibility import rows, table
from tests.compatibility.environments import HERE, requirements, version_of
from tests.compatibility.processes import Seen
from tests.compatibility.servers import FOREIGN, SERVERS, Server, Visit

SERVER = SERVERS["fastapi"]
(VISIT, *_) = SERVER.visits
TOLD = {"asked": ["JSON"], "beyond": [], "broken": [], "hopeless": "", "due": 200}
BOTH = TOLD | {"versions": {"v1": 140, "v2": 60}}


def seen(stable: int = 140, candidate: int = 60, **more: object) -> Seen:
    counted = {
        "assigned": Counter(v1=stable, v2=candidate),
        "failed": Counter[str](),
        "left": 0,
        "labels": Counter({"0": stable + candidate}),
        "missing": Counter[str](),
        "values": 0,
    }
    return Seen(**counted | more)  # type: ignore[arg-type]


def judged(told: dict[str, object] = BOTH, counted: Seen | None = None) -> rows.Row:
    return rows._judged(SERVER, VISIT, told, counted or seen())


def test_a_pair_works_if_all_that_was_asked_went_well() -> None:
    row = judged()

    assert row.works
    assert (row.result, row.share, row.read) == ("works", "30% of 200", "200 (0: 200)")


@pytest.mark.parametrize(
    ("told", "counted", "said"),
    [
        (BOTH | {"broken": ["HEAD: it hung"]}, seen(), "HEAD: it hung"),
        (BOTH, seen(190, 10), "5.0% of 200 for the candidate"),
        (BOTH, seen(failed=Counter({"v2 reset": 1})), "v2 reset"),
        (BOTH, seen(labels=Counter({"0": 199})), "only 199 of 200 predictions read"),
        (BOTH | {"versions": {"v1": 200}}, seen(), "the client saw"),
    ],
    ids=["a question", "share", "failure", "prediction", "one version only"],
)
def test_a_pair_is_broken_if_one_thing_went_wrong(
    told: dict[str, object], counted: Seen, said: str
) -> None:
    row = judged(told, counted)

    assert not row.works
    assert row.result.startswith("BROKEN: ")
    assert said in row.result


def test_what_the_server_itself_cannot_is_said_and_breaks_nothing() -> None:
    row = judged(BOTH | {"beyond": ["gzip"]})

    assert row.works
    assert row.result == "works (the server itself cannot: gzip)"


def test_a_client_that_the_server_itself_refuses_is_no_client_that_works_with_it() -> None:
    row = judged(TOLD | {"versions": {}, "hopeless": "422 no such type"}, seen(0, 0))

    assert row.works  # the gateway
    assert "the server itself refuses this client's predictions (422 no such type)" in row.result
    assert "requests 2.34.2 (refused by the server itself)" in table.summary([row])


def test_the_page_has_a_row_for_each_pair_and_what_was_not_run() -> None:
    page = table.document([judged(), judged(BOTH | {"broken": ["a|b"]})])

    assert "1 servers, 1 clients, 2 pairs: 1 broken, 0 refused by the server itself." in page
    assert page.count("| FastAPI on uvicorn |") == 3  # one in the summary
    assert "requests 2.34.2, BROKEN: requests |" in page
    assert "BROKEN: a/b" in page  # no cell ends another
    assert "| TensorFlow Serving |" in page


@pytest.mark.parametrize("name", SERVERS)
def test_every_version_is_pinned_and_every_script_is_there(name: str) -> None:
    server: Server = SERVERS[name]
    pairs: list[tuple[str | None, str | None]] = [(server.environment, server.package)]
    for visit in server.visits:
        assert isinstance(visit, Visit)
        assert (HERE / "callers" / visit.script).exists()
        pairs.append((visit.environment, visit.package))
    for environment, package in pairs:
        if environment is not None and package is not None:
            assert version_of(environment, package)
    if server.trained is not None:
        assert (FOREIGN / server.trained[0]).exists()


@pytest.mark.parametrize("file", sorted(requirements("any").parent.glob("*.txt")), ids=str)
def test_every_requirement_has_its_exact_version(file) -> None:  # type: ignore[no-untyped-def]
    lines = [line for line in file.read_text().splitlines() if line]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.+!]+", line)] == []
