"""What a view looks like at several sizes, and that nobody but us paints the terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, Group

from monitoring.terminal.figures import ASCII, UNICODE, Glyphs
from monitoring.terminal.screen import Screen
from monitoring.terminal.view import (
    CandidateRow,
    ChangeRow,
    Percentile,
    RouteRow,
    SignalRow,
    VersionRow,
    View,
)
from monitoring.terminal.watch import pause

STABLE = VersionRow(
    "v1",
    "stable",
    75.0,
    74.61,
    45.3,
    0.0,
    Percentile(0.00185),
    Percentile(0.00778),
    2,
    (0.008, 0.006, None, 0.004),
    (("benign", 61.8), ("malignant", 38.2)),
    2,
)
CANDIDATE = VersionRow(
    "v2", "candidate", 25.0, 25.39, 15.1, 2.5, Percentile(0.00156), Percentile(10.0, beyond=True), 1
)
IDLE = VersionRow("v3", "candidate", 0.0, 0.0, 0.0)
UNDER_WAY = CandidateRow(
    version="v2",
    verdict="Successful for 50 %",
    sentence="not proven worse: 0 bad of 160 (0.00 %) against 0 bad of 932 (0.00 %) of stable",
    alerts=("it answers differently: 'benign' in 56.7 % of its answers",),
    factor=0.7,
    limit=100.0,
    evidence=(SignalRow("errors", 10.0), SignalRow("latency", 0.1)),
    proof=(SignalRow("errors up to 50 %", 1e7), SignalRow("latency up to 50 %", 10.0)),
    stand="watching",
    steps=("10", "25", "50"),
    step=2,
    watched=8.2,
    pause=600.0,
    outlook="step 2 of 3 (25 %): watched 8s of 10m00s",
    next="25 % -> 50 % in 9m52s",
    shares=(("benign", 56.7, 61.8), ("malignant", 43.3, 38.2)),
)
ROUTE = RouteRow("breast-cancer", "v1", 60.4, (STABLE, CANDIDATE, IDLE), (UNDER_WAY,))
CHANGE = ChangeRow(
    *(72.0, "controller", "advance breast-cancer v2 10 -> 25 %", "watched 10s at 10 %, proven"),
    *("2026-11-21T22:40:04.000Z", "advance", "breast-cancer", (("v1", 75.0), ("v2", 25.0))),
)


def make_view(*routes: RouteRow, **more: Any) -> View:
    usual: dict[str, Any] = {
        "at": 1_800_000_000.0,
        "file": "routing.yaml",
        "generation": "14bbbf43ae09",
        "since": 1_799_999_928.0,
        "up": 1_799_990_000.0,
        "gateways": 1,
        "processes": 2,
        "controller": "controller looked 1s ago",
        "seconds": 60.0,
        "rate": 60.4,
        "errors": 0.6,
        "moving": 1,
        "routes": routes or (ROUTE,),
        "changes": (CHANGE,),
    }
    return View(**usual | more)


def drawn(
    view: View, width: int = 120, height: int | None = None, glyphs: Glyphs = UNICODE
) -> list[str]:
    """The lines as a terminal without colours shows them."""
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    lines = Screen(console, glyphs, width, height).draw(view)
    assert all(cell_len(line.plain) <= width for line in lines)
    assert height is None or len(lines) <= height
    with console.capture() as captured:
        console.print(Group(*lines))
    return [line.rstrip() for line in captured.get().splitlines()]


def line_with(text: str, lines: list[str]) -> str:
    return next(one for one in lines if text in one)


def test_at_120_columns_everything_is_told() -> None:
    lines = drawn(make_view())

    told = " ".join(line_with("v1 stable", lines).split())
    assert told == (
        "■ v1 stable ███████████████····· 75 % 74.61 % 45.3/s 0.00 % 1.85 ms 7.78 ms 2 █▆ ▅"
    )
    assert line_with("v2 candidate", lines).split()[:4] == [
        "◆",
        "v2",
        "candidate",
        "▓" * 5 + "·" * 15,
    ]
    assert "> 10 s" in line_with("v2 candidate", lines)
    assert "Successful for 50 %: not proven worse: 0 bad of 160" in line_with("verdict", lines)
    assert "step 2 of 3: 10 % [25 %] 50 %  watched 8s of 10m00s" in line_with("next", lines)
    assert "errors ▓▓▓▓···· 10 of 100" in line_with("evidence", lines)
    proof = line_with("proof ", lines)
    assert "errors up to 50 % ████████ proven   latency up to 50 % ████···· 10 of 100" in proof
    assert "benign 56.7 % against 61.8 %" in line_with("answers  ", lines)
    assert "1m12s ago   controller advance breast-cancer" in line_with("m12s ago ", lines)
    assert "generation 14bbbf43ae09 in force 1m12s" in lines[0]


def test_the_columns_stand_under_their_headings() -> None:
    lines = drawn(make_view())
    heading, row = line_with("observed", lines), line_with("v1 stable", lines)

    for word, number in (("weight", "75 %"), ("errors", "0.00 %"), ("p95", "7.78 ms")):
        assert heading.index(word) + len(word) == row.index(number) + len(number)


@pytest.mark.parametrize("width", [120, 100, 80, 64, 63, 40, 20])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_at_each_width_who_gets_what_and_the_verdict_are_there(width: int, glyphs: Glyphs) -> None:
    text = " ".join(" ".join(drawn(make_view(), width, None, glyphs)).split())

    for wanted in ("v1 stable", "v2 candidate", "Successful for 50 %", "75 %", "45.3/s", "5 % ->"):
        assert wanted in text or width < 40
    assert glyphs is UNICODE or text.isascii()


def test_who_has_no_traffic_is_left_out_where_there_is_little_room() -> None:
    assert any("v3" in line for line in drawn(make_view(), 80))
    assert not any("v3" in line for line in drawn(make_view(), 80, 14))


def test_many_routes_are_cut_and_those_under_way_come_first() -> None:
    idle = [RouteRow(f"r{n}", "v1", 1.0, (replace(STABLE, weight=100.0),)) for n in range(30)]

    lines = drawn(make_view(*idle, ROUTE), 80, 24)

    assert line_with("breast-cancer  60.4/s", lines)
    assert line_with("verdict", lines)
    assert lines.index(line_with("breast-cancer  60.4/s", lines)) < lines.index("r0  1.0/s")
    assert any(line.startswith("and 2") and line.endswith("more routes") for line in lines)


def test_of_many_under_way_each_shows_its_versions_and_the_first_ones_more() -> None:
    routes = [replace(ROUTE, name=f"r{n}") for n in range(4)]

    lines = drawn(make_view(*routes), 100, 24)

    assert all(line_with(f"r{n}  60.4/s", lines) for n in range(4))
    assert line_with("verdict", lines)


@pytest.mark.parametrize("height", [1, 2, 5, 8])
def test_a_terminal_without_room_shows_what_fits(height: int) -> None:
    assert "routing.yaml" in drawn(make_view(), 80, height)[0]


def test_a_gateway_that_is_down_is_said_and_since_when() -> None:
    silent = ("http://127.0.0.1:8081: it refuses connections",)
    lines = drawn(make_view(stale=1_799_999_970.0, silent=silent))

    assert line_with("no gateway has answered for 30s: what follows is as it was then", lines)
    assert line_with("silent: http://127.0.0.1:8081: it refuses connections", lines)
    never = drawn(View(1.0, gateways=1, silent=silent, stale=0.0))
    assert line_with("no gateway answers yet; still trying", never)


def test_a_refused_file_and_nobody_who_watches_are_said() -> None:
    problem = "routing.yaml:8:51: routes.iris.versions.v2.weight: 'ten' is not a percentage"
    told = {"controller": "no controller: nobody watches", "is_led": False}

    other = "here.yaml is generation 1, the gateway serves 2; name its file"
    lines = drawn(make_view(refused=True, problems=(problem,), disagreement=other, **told))

    assert line_with("the file as it stands is refused; an older one serves:", lines)
    assert line_with(problem, lines)
    assert line_with(other, lines)
    assert line_with("no controller: nobody watches", lines)


def test_a_gateway_that_takes_long_to_answer_is_asked_less_often() -> None:
    silent = make_view(silent=("http://127.0.0.1:8081: nothing within 2 s",))

    assert pause(1.0, 0.05, make_view()) == 1.0
    assert pause(1.0, 0.8, make_view()) == 8.0
    assert pause(1.0, 2.0, silent) == 1.0


HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n[red]x[/red]\u202e\x9b31m"


@pytest.mark.parametrize("width", [120, 40])
def test_nothing_from_elsewhere_paints_the_terminal(width: int) -> None:
    """Names, labels, reasons, sentences, problems, addresses: all with escape sequences."""
    version = replace(STABLE, name=HOSTILE, mix=((HOSTILE, 50.0),))
    candidate = replace(
        UNDER_WAY,
        version=HOSTILE,
        sentence=HOSTILE,
        alerts=(HOSTILE,),
        written=HOSTILE,
        evidence=(SignalRow(HOSTILE, 1.0),),
        proof=(SignalRow(HOSTILE, 1.0),),
        steps=(HOSTILE,),
        step=1,
        next=HOSTILE,
        shares=((HOSTILE, 1.0, 2.0),),
    )
    route = RouteRow(HOSTILE, HOSTILE, 1.0, (version,), (candidate,), (HOSTILE,), (HOSTILE,))
    change = replace(CHANGE, by=HOSTILE, what=HOSTILE, reason=HOSTILE)
    told = dict.fromkeys(("file", "generation", "controller"), HOSTILE)
    lists = dict.fromkeys(("silent", "problems", "warnings"), (HOSTILE,))
    view = make_view(route, changes=(change,), refused=True, **told, **lists)

    console = Console(
        width=width, file=io.StringIO(), force_terminal=True, color_system=None, highlight=False
    )
    with console.capture() as captured:
        console.print(Group(*Screen(console, UNICODE, width).draw(view)))
    text = captured.get().replace("\x1b[1m", "").replace("\x1b[0m", "")

    assert all(one.isprintable() or one == "\n" for one in text)
    assert "\\x1b]0;owned\\x07" in text.replace("\n", "") or width == 40
    assert "[red]x[/red]" in text or width == 40
