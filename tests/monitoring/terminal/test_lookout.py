"""From gateways, file and history to what is shown: simulated gateways, a real controller."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.admin.status import status_json
from gateway.config import parse
from gateway.edit import SetPaused
from gateway.errors import ConfigError
from gateway.metrics.collector import GatewayMetrics
from gateway.model import generation_of
from monitoring.controller.leader import Leadership, lock_path
from monitoring.readings.live import Traffic
from monitoring.readings.sources import GatewaySource, GatewaySources, SourceError
from monitoring.summary import summary
from monitoring.terminal.lookout import Lookout
from monitoring.terminal.plain import changes
from monitoring.terminal.rows import view_of
from monitoring.terminal.sight import Sight
from monitoring.terminal.view import CandidateRow, View
from monitoring.terminal.watch import document
from tests.builders import make_report
from tests.monitoring.test_ramp import BAD, TEXT, Stage

AT = "http://127.0.0.1:8081"


@dataclass
class Gateway:
    """Serves the file of a stage, as long as it is good."""

    stage: Stage
    url: str = AT
    why: str = ""
    problems: list[str] = field(default_factory=list)
    status_as: Any = None
    takes: bool = True

    def __post_init__(self) -> None:
        self._served = self.stage.file.read_bytes()

    def status(self) -> Mapping[str, Any]:
        if self.why:
            raise SourceError(self.why)
        self.problems = []
        try:
            content = self.stage.file.read_bytes() if self.takes else self._served
            parse(content)
            self._served = content
        except ConfigError as error:
            self.problems = [one.render("routing.yaml") for one in error.problems]
        document = status_json(make_report(parse(self._served)))
        document["file"] |= {"in_force": not self.problems, "problems": self.problems}
        return self.status_as or document

    def metrics(self) -> str:
        registry = CollectorRegistry()
        report = make_report(parse(self._served))
        registry.register(GatewayMetrics(lambda: report, "0"))
        return generate_latest(registry).decode()

    def evidence(self) -> Mapping[str, Any]:
        return self.stage.source.gateways[0].evidence()


@dataclass
class Sources:
    """As :class:`GatewaySources`, without sockets."""

    gateways: list[Gateway]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(one.url for one in self.gateways)

    def each(self, ask: Callable[[GatewaySource], Any]) -> list[Any]:
        found = []
        for one in self.gateways:
            try:
                found.append(ask(cast(GatewaySource, one)))
            except SourceError as error:
                found.append(error)
        return found


class Desk:
    """Somebody who looks at a stage once a second; ``told`` are the lines of a pipe so far."""

    def __init__(self, stage: Stage, *gateways: Gateway) -> None:
        self.stage = stage
        self.gateways = list(gateways) or [Gateway(stage)]
        sources = cast(GatewaySources, Sources(self.gateways))
        self.lookout = Lookout(
            stage.file, sources, clock=stage.clock.time, monotonic=stage.clock.monotonic
        )
        self.view: View | None = None
        self.told: list[str] = []

    def look(self) -> View:
        """After another look of the controller."""
        self.stage.look()
        if (lock := lock_path(self.stage.file)).exists():
            os.utime(lock, (self.stage.clock.now, self.stage.clock.now))
        view = view_of(self.lookout.look())
        self.told += changes(self.view, view)
        self.view = view
        return view

    def news(self) -> list[str]:
        """What this look told."""
        before = len(self.told)
        self.look()
        return self.told[before:]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    return Stage(file)


@pytest.fixture
def desk(stage: Stage) -> Desk:
    return Desk(stage)


@pytest.fixture
def led(stage: Stage) -> Any:
    with Leadership(stage.file) as leadership:
        assert leadership.holds()
        yield leadership


def candidate(view: View) -> CandidateRow:
    (route,) = view.routes
    (only,) = route.candidates
    return only


def test_the_words_are_those_of_canary_status(desk: Desk, led: Leadership) -> None:
    for _ in range(3):
        view = desk.look()
    one = candidate(view)
    # The row at the beginning is the one that status tells of; later looks tell of later counts.
    (line,) = summary(desk.stage.file)

    assert line.startswith("iris v2: step 1 of 3 (5 %): watched 0s of 30s; not proven for 25 % yet")
    assert one.outlook.startswith("step 1 of 3 (5 %): watched ")
    assert one.verdict == "Inconclusive"
    assert one.sentence.startswith("not proven worse: ")
    assert [row.name for row in one.proof] == ["errors up to 25 %"]
    assert {row.name for row in one.evidence} >= {"errors", "split"}
    assert one.next.startswith("5 % -> 25 % in 28s; waits for proof: errors")
    assert one.steps == ("5", "25", "50")


def test_a_rollout_is_told_line_by_line_with_who_and_why(desk: Desk, led: Leadership) -> None:
    while desk.stage.weight != 25:
        desk.look()
    desk.look()
    desk.stage.versions["v2"] = BAD
    while desk.stage.weight:
        desk.look()
    desk.look()

    def told(start: str) -> list[str]:
        return [line for line in desk.told if line.startswith(start)]

    advance, rollback = told("iris weights: v1 stable ")[1:]
    assert advance.startswith(
        "iris weights: v1 stable 95 -> 75 %, v2 candidate 5 -> 25 % (by controller, advance: "
        "watched 30s at 5 %, proven good enough for 25 %; "
    )
    assert "v2 candidate 25 -> 0 % (by controller, rollback: it fails more often" in rollback
    verdicts = [line.split(": ")[1] for line in told("iris v2 verdict")]
    assert verdicts[:2] == ["Inconclusive", "Inconclusive -> Successful for 25 %"]
    assert told("iris v2: rolled back at ")
    assert any("rollout: step 2 of 3 (25 %)" in line for line in told("iris v2 rollout"))
    assert len(desk.told) < 30


def test_without_a_change_nothing_is_told(desk: Desk, led: Leadership) -> None:
    desk.look()
    desk.stage.edit(SetPaused("iris", "v2", True), "pause")
    desk.look()
    assert any("rollout: step 1 of 3 (5 %): paused" in line for line in desk.told)
    desk.look()

    assert desk.news() == []


def test_a_refused_file_is_told_and_what_serves_goes_on_being_shown(
    desk: Desk, led: Leadership
) -> None:
    desk.look()
    desk.stage.rewrite("weight: 5}   #", "weight: ten}   #")

    (line,) = desk.news()

    assert line.startswith("file refused, an older one serves: routing.yaml:6:")
    assert "'ten' is not a percentage" in line
    assert desk.view
    assert desk.view.refused
    assert candidate(desk.view).verdict
    assert desk.news() == []
    desk.stage.rewrite("weight: ten}   #", "weight: 5}   #")
    assert "file taken: it is no longer refused" in desk.news()


def test_a_gateway_that_is_down_is_told_once_and_what_was_known_stays(
    desk: Desk, led: Leadership
) -> None:
    before = desk.look()
    desk.gateways[0].why = "it refuses connections"
    assert desk.news() == [f"gateway silent: {AT}: it refuses connections"]
    assert desk.news() == []

    view = desk.look()
    assert view.stale == before.at
    assert [one.weight for one in view.routes[0].versions] == [95.0, 5.0]
    desk.gateways[0].why = ""
    assert "gateways answer again: 1 of 1" in desk.news()


def test_of_two_gateways_one_may_say_nothing(stage: Stage, led: Leadership) -> None:
    other = Gateway(stage, "http://127.0.0.1:9", why="nobody there")
    view = Desk(stage, Gateway(stage), other).look()

    assert view.stale is None
    assert view.silent == ("http://127.0.0.1:9: nobody there",)
    assert (view.gateways, view.processes) == (2, 1)


def test_a_port_of_something_else_is_no_gateway(stage: Stage) -> None:
    view = Desk(stage, Gateway(stage, status_as={"hello": "world"})).look()

    assert view.stale == 0.0
    assert "is the admin port of something else" in view.silent[0]


def test_that_nobody_watches_is_said(desk: Desk) -> None:
    view = desk.look()

    assert not view.is_led
    assert "no controller: nobody watches" in desk.told
    assert candidate(view).next.startswith("nobody watches")


def test_without_the_file_here_what_the_gateway_says_is_shown(stage: Stage) -> None:
    desk = Desk(stage)
    desk.lookout = Lookout(
        stage.file.with_name("elsewhere.yaml"),
        cast(GatewaySources, Sources(desk.gateways)),
        clock=stage.clock.time,
        monotonic=stage.clock.monotonic,
    )

    view = desk.look()

    assert [one.weight for one in view.routes[0].versions] == [95.0, 5.0]
    assert view.routes[0].candidates == ()
    assert view.is_led  # nobody can tell


def test_that_another_file_is_served_is_told_if_it_lasts_and_when_it_is_over(
    stage: Stage, led: Leadership
) -> None:
    """A gateway takes a file a moment after it was saved: that is not worth a word."""
    gateway = Gateway(stage)
    desk = Desk(stage, gateway)
    desk.look()
    gateway.takes = False
    stage.rewrite("weight: 5}   #", "weight: 7}   #")
    assert not [line for line in desk.news() if "is generation" in line]
    desk.look()
    (line,) = [line for line in desk.news() if "is generation" in line]
    assert line.startswith(f"{stage.file} is generation {generation_of(stage.file.read_bytes())}, ")
    assert line.endswith("; name its file with --file")
    sight = desk.lookout.look()
    assert view_of(sight).disagreement == document(sight, view_of(sight))["disagreement"] == line
    assert not [line for line in desk.news() if "is generation" in line]
    gateway.takes = True
    assert "the gateway serves this file again" in desk.news()


def test_a_rate_is_of_the_last_seconds_so_that_who_gets_no_more_is_seen_to() -> None:
    key = ("iris", "v2")
    slices = [{key: Traffic(5.0, asked=number, answered=number)} for number in (500, 100, 0)]
    sight = Sight(0.0, (), slices=[*slices, {key: Traffic(1.0)}])

    assert sight.lately == 6.0
    assert sight.traffic_lately(key).rate == 0.0
    assert replace(sight, slices=slices).traffic_lately(key).rate == 10.0
    assert Sight(0.0, ()).traffic_lately(key).rate is None


def test_only_the_routes_that_were_named_are_shown(desk: Desk) -> None:
    sight = desk.lookout.look()

    assert view_of(sight, ["wine"]).routes == ()
    assert [one.name for one in view_of(sight, ["iris"]).routes] == ["iris"]
