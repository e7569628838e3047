"""What `canary status` says: of endpoints that get no requests, or should not, and of a gateway
that serves another file.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.admin.status import status_json
from gateway.config import parse
from monitoring.commands import status as command
from monitoring.commands.status import render, status
from tests.builders import make_config, make_report, with_readiness
from tests.sockets.peers import Talk, Worker

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


TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
    analysis: {errors: {max_increase: 1%}}
"""


def served(text: str, *, refused: bool = False) -> bytes:
    """What a gateway says that serves this."""
    document = status_json(make_report(parse(text.encode())))
    document["file"]["in_force"] = not refused
    return json.dumps(document).encode()


def asked(file: Path, capsys: Any, *bodies: bytes, as_json: bool = False) -> str:
    """What the command says beside a gateway that says this, one after the other."""
    left = list(bodies)

    def behave(talk: Talk) -> bool:
        return talk.reply(200, left.pop(0) if len(left) > 1 else left[0])

    with closing(Worker(behave)) as gateway:
        status(file=file, admin=gateway.url, json=as_json)
    return str(capsys.readouterr().out)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "400")
    found = tmp_path / "routing.yaml"
    found.write_text(TEXT)
    return found


def test_that_the_gateway_serves_another_file_is_said_before_what_is_known_of_this_one(
    file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "AT_MOST", 0.0)
    other = TEXT.replace("10}", "25}")
    said = asked(file, capsys, served(other))

    sentence = (
        f"{file} is generation {parse(TEXT.encode()).generation}, "
        f"the gateway serves {parse(other.encode()).generation}; name its file with --file"
    )
    before, found, after = said.partition(f"{sentence}; of {file} is what follows:")
    assert found, said
    assert "25 %" in before
    assert "iris v2: no verdict on this weight was written down yet" in after
    told = json.loads(asked(file, capsys, served(other), as_json=True))
    assert told["disagreement"] == sentence
    assert told["rollouts"][0].startswith("iris v2: ")


def test_a_gateway_that_takes_the_file_a_moment_later_is_waited_for(
    file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "AT_MOST", 60.0)
    old = served(TEXT.replace("10}", "25}"))
    told = json.loads(asked(file, capsys, old, old, served(TEXT), as_json=True))

    assert told["generation"] == parse(TEXT.encode()).generation
    assert told["disagreement"] == ""


@pytest.mark.parametrize("case", ["refused", "not here"])
def test_where_the_gateway_refused_the_file_or_there_is_none_here_nobody_is_accused(
    file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(command, "AT_MOST", 0.0)
    if case == "not here":
        file.unlink()
    else:
        file.write_text(TEXT.replace("10}", "ten}"))
    told = json.loads(asked(file, capsys, served(TEXT, refused=case != "not here"), as_json=True))
    assert told["disagreement"] == ""


def test_that_no_rollout_is_told_of_as_the_file_is_not_here_is_said(
    file: Path, capsys: Any
) -> None:
    sentence = f"{file} is not here, so no rollout is told of; name it with --file"
    assert sentence not in asked(file, capsys, served(TEXT))
    file.unlink()
    assert asked(file, capsys, served(TEXT)).endswith(f"{sentence}\n")
