"""Six candidates before one `canary serve`, as a person would try it: what becomes of each, and
where that can be read afterwards.

Effects are large beside noise and no verdict needs one that is not scripted: no worker fails, or
answers otherwise, than its script says. How long anything takes is not asserted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.sockets.peers import Worker, answering
from tests.system.company import Answer, Company, Role, Script, Seat, request
from tests.system.conftest import System, eventually, get_text, run_canary

MOST = 1_000_000  # requests; a few 10,000 are enough
ROUTE = """\
  {name}:
    match: {{path: /{name}}}
    stable: v1
    timeout: 40s
    prediction: {{label: /label, labels: [a, b]}}
    versions:
      v1: {{url: "{v1}"}}
      v2: {{url: "{v2}", weight: {weight}}}   # {name}: the new one
    analysis: {{max_false_rollback: 0.1%, {analysis}}}
"""
STEPS = """\
    rollout:
      candidate: v2
      steps: [{weight: 20, pause: 1s}, {weight: 50, pause: forever}]
"""
NOTIFY = """\
notify:
  - {{webhook: "{url}/hook", events: [rollback, promote, pause, error]}}
"""


def saying(label: str, after: float = 0.006, status: int = 200) -> Answer:
    return Answer(json.dumps({"label": label}).encode(), status, after)


def usual(after: float = 0.006) -> Script:
    """Half a, half b."""
    return lambda number, _: saying("ab"[number % 2], after)


def failing(of_200: int) -> Script:
    """So many of 200 answers are 500, evenly spread."""
    return lambda n, _: saying("ab"[n % 2], status=500 if n * of_200 % 200 < of_200 else 200)


def inventing(number: int, _: str) -> Answer:
    """Every fifth label is one that the file does not know."""
    return saying("zebra" if number % 5 == 0 else "ab"[number % 2])


def shifted(number: int, _: str) -> Answer:
    """Right more often, say: 65 % a where stable has 50 %."""
    return saying("ab"[number % 20 >= 13])


@dataclass(frozen=True)
class Trial:
    """A candidate beside stable, and what is expected of it."""

    stable: Script
    candidate: Script
    analysis: str = "errors: {max_increase: 0%}"
    weight: int = 50
    steps: str = ""
    reason: str = ""  # of the rollback, as the metric names it; empty: it stays
    sentence: str = ""  # as a regular expression


RATE = r"[\d,]+ bad of [\d,]+ \([\d.]+ %\)"
BETWEEN = r"(, a difference .* points)?"
FAILS = rf"it fails more often than stable: {RATE} against {RATE} of stable{BETWEEN}"
TRIALS = {
    "slower": Trial(
        usual(0.050),
        usual(0.100),
        "latency: {max_increase: 1%, above: 1ms}",
        reason="latency",
        sentence=r"it is slower than stable: [\d.]+ % of its answers take more than [\d.]+ ms "
        r"against [\d.]+ % of stable's",
    ),
    "failing": Trial(failing(1), failing(7), reason="errors", sentence=FAILS),
    "constant": Trial(
        usual(),
        lambda *_: saying("a"),
        reason="collapse",
        sentence=r"it gives one answer only: its last [\d,]+ are all 'a', which is [\d.]+ % of "
        r"stable's",
    ),
    "inventing": Trial(usual(), inventing, reason="errors", sentence=FAILS),
    "different": Trial(
        usual(), shifted, "predictions: {max_shift: 2%, action: alert}, errors: {max_increase: 5%}"
    ),
    "healthy": Trial(usual(), usual(), "errors: {max_increase: 10%}", weight=20, steps=STEPS),
}
BAD = [name for name, trial in TRIALS.items() if trial.reason]
ALERT = r"it answers differently: '[ab]' in [\d.]+ % of its answers against [\d.]+ % of stable's"


@dataclass
class Stage:
    """Everything that runs, and the file as it was at the beginning."""

    company: Company
    served: Any
    log: Path
    before: str
    receiver: Worker
    roles: dict[tuple[str, str], Role] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)  # the candidate, when it was out

    def weight(self, name: str) -> int:
        found = re.search(rf"weight: (\d+)}}   # {name}:", self.served.file.read_text())
        assert found is not None
        return int(found[1])

    def unsettled(self) -> set[str]:
        """Of whom it has not come to pass yet what is expected. A candidate that is out has had
        its last request when the status says so: by then the gateway serves the file.
        """
        routes = self.served.status()["routes"]
        for name in set(BAD) - set(self.reached):
            if routes[name]["versions"]["v2"]["weight"] == 0:
                self.reached[name] = self.company.asked(self.roles[name, "v2"])
        advanced = set() if self.weight("healthy") == 50 else {"healthy"}
        told = set() if self.said("alert") else {"different"}
        return set(BAD) - set(self.reached) | advanced | told

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event, the controller's and the gateway's."""
        whole = self.log.read_text().rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["event"] == event]

    def told(self, event: str) -> dict[str, Any]:
        """The notices of an event that were received, by route. There may be no more than one."""
        notices = [one.json() for one in list(self.receiver.requests)]
        found = {one["route"]: one for one in notices if one["event"] == event}
        assert len(found) == sum(one["event"] == event for one in notices)
        return found

    def canary(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        done = run_canary(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        return list(self.canary("history", "-n", "1000", "--file", str(self.served.file)))

    def changes(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.history if row["row"] == "change" and row["route"] == name]

    def metrics(self) -> dict[str, float]:
        """The controller's."""
        (line,) = self.said("metrics served")
        lines = get_text(f"http://{line['at']}/metrics").splitlines()
        pairs = (one.rpartition(" ") for one in lines if one and not one.startswith("#"))
        return {sample: float(value) for sample, _, value in pairs}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The whole story once: until each candidate is where it belongs, and then some requests more.
    The load is over when tests look.
    """
    system = System(tmp_path_factory.mktemp("verdicts"))
    receiver = Worker(answering(204, b""))
    with Company() as company:
        try:
            yield play(system, company, receiver)
        finally:
            system.stop()
            receiver.close()


def play(system: System, company: Company, receiver: Worker) -> Stage:
    roles, text = {}, "routes:\n"
    for name, trial in TRIALS.items():
        for version, script in (("v1", trial.stable), ("v2", trial.candidate)):
            roles[name, version] = company.hire(script)
        urls = {version: roles[name, version].url for version in ("v1", "v2")}
        text += ROUTE.format(name=name, weight=trial.weight, analysis=trial.analysis, **urls)
        text += trial.steps
    text += NOTIFY.format(url=receiver.url)
    served = system.gateway(text, "--controller-metrics", "127.0.0.1:0", controller=True)
    stage = Stage(company, served, system.folder / "0.log", text, receiver, roles)
    for name in TRIALS:
        message = request(f"/{name}")
        stage.seats[name] = Seat(lambda message=message: message)
        company.load(served.data_port, stage.seats[name], 4)
    settle(stage)
    after = sum(role.asked for role in roles.values())
    eventually(lambda: sum(role.asked for role in roles.values()) > after + 2000, "more requests")
    company.rest()
    eventually(lambda: len(receiver.requests) > len(BAD), "people are told")
    return stage


def settle(stage: Stage) -> None:
    """Wait as long as requests are answered: how many are needed is the verdicts' own matter, and
    how long these take the machine's.
    """
    answered = 0

    def more() -> bool:
        return sum(role.asked for role in stage.roles.values()) > answered

    while waiting := stage.unsettled():
        eventually(more, f"more requests, for {waiting}")
        answered = sum(role.asked for role in stage.roles.values())
        assert answered < MOST, f"not settled after {answered} requests: {waiting}"
        time.sleep(0.1)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_candidate_is_taken_out_for_its_own_reason(played: Stage, name: str) -> None:
    (change,) = played.changes(name)

    assert (change["by"], change["action"], change["version"]) == ("controller", "rollback", "v2")
    assert change["after"] == {"v1": 100.0, "v2": 0.0}
    assert re.fullmatch(TRIALS[name].sentence, change["reason"])


@pytest.mark.parametrize("name", BAD)
def test_not_one_more_request_reaches_what_was_taken_out(played: Stage, name: str) -> None:
    assert played.company.asked(played.roles[name, "v2"]) == played.reached[name]
    assert played.reached[name] > 0


def test_the_healthy_one_is_advanced_and_stays(played: Stage) -> None:
    changes = played.changes("healthy")

    assert [(one["action"], one["after"]["v2"]) for one in changes] == [("advance", 50.0)]
    assert re.match(r"watched \d+s at 20 %[,;] proven ", changes[0]["reason"])


def test_one_that_answers_differently_stays_and_people_can_see_it(played: Stage) -> None:
    assert played.changes("different") == []
    (logged,) = played.said("alert")
    recorded = [row for row in played.history if row["route"] == "different" and row.get("alerts")]
    file, admin = str(played.served.file), played.served.admin
    notice = played.told("error")["different"]
    (verdict,) = played.canary("verdict", "different", "--file", file, "--admin", admin)
    check = '{check="labels",route="different",version="v2"}'
    metrics = played.metrics()

    assert (logged["route"], logged["version"], logged["level"]) == ("different", "v2", "warning")
    assert re.fullmatch(ALERT, logged["why"])
    assert recorded[0]["alerts"] == [logged["why"]]
    assert (notice["version"], notice["sentence"]) == ("v2", logged["why"])
    assert [bool(re.fullmatch(ALERT, alert)) for alert in verdict["alerts"]] == [True]
    assert metrics[f"canary_check_value{check}"] >= metrics[f"canary_check_threshold{check}"]
    drift = '{route="different",statistic="psi",version="v2"}'
    assert metrics[f"canary_prediction_drift{drift}"] > 0


def test_each_rollback_is_one_changed_number_in_the_file(played: Stage) -> None:
    expected = played.before.replace("weight: 20}   # healthy", "weight: 50}   # healthy")
    for name in BAD:
        expected = expected.replace(f"weight: 50}}   # {name}", f"weight: 0}}   # {name}")

    assert played.served.file.read_text() == expected


def test_the_metric_counts_each_rollback_under_its_reason(played: Stage) -> None:
    counted = {
        sample: value
        for sample, value in played.metrics().items()
        if sample.startswith("canary_rollbacks_total") and value
    }

    assert counted == {
        f'canary_rollbacks_total{{reason="{TRIALS[name].reason}",route="{name}",version="v2"}}': 1
        for name in BAD
    }


def test_a_receiver_is_told_of_each_rollback_once(played: Stage) -> None:
    told = played.told("rollback")

    assert set(told) == set(BAD)
    for name in BAD:
        (change,) = played.changes(name)
        assert (told[name]["event"], told[name]["version"]) == ("rollback", "v2")
        assert told[name]["sentence"] == change["reason"]
        assert told[name]["id"] == change["id"]


@pytest.mark.parametrize("name", TRIALS)
def test_clients_saw_no_failure_but_stables_own(played: Stage, name: str) -> None:
    """What stable itself says is nobody's to hide."""
    seat = played.seats[name]
    bad = sum(n for (_, status), n in seat.saw.items() if status != 200)
    versions = {version for version, status in seat.saw if status != 200}

    assert seat.lost == 0
    assert seat.saw["v1", 200] > 0
    assert versions <= {"v1"}
    assert bad <= played.roles[name, "v1"].said[500]


def test_all_of_it_can_be_made_again_from_the_history(played: Stage) -> None:
    assert played.canary("replay", "--file", str(played.served.file))["ok"]


# --- what somebody sees who has just been woken


@pytest.fixture(scope="module")
def told(played: Stage) -> dict[str, str]:
    """What each command prints, without the ends of lines: a terminal is as wide as it is."""
    gateway = ("--admin", played.served.admin)
    file = ("--file", str(played.served.file))
    commands = {
        "status": run_canary("status", *file, *gateway),
        "history": run_canary("history", "-n", "1000", *file),
        "verdict": run_canary("verdict", *file, *gateway),
    }
    return {name: " ".join(done.stdout.split()) for name, done in commands.items()}


@pytest.mark.parametrize("command", ["status", "verdict", "history"])
@pytest.mark.parametrize("name", BAD)
def test_one_line_says_what_was_taken_out_when_by_whom_and_why(
    played: Stage, told: dict[str, str], name: str, command: str
) -> None:
    (change,) = played.changes(name)
    when, why = change["at"], change["reason"]
    line = f"{name} v2: rolled back at {when} by controller: {why}"
    if command == "history":
        line = f"{when} controller rollback {name} v1 50 -> 100 %, v2 50 -> 0 % {why}"

    assert line in told[command]


@pytest.mark.parametrize("command", ["status", "verdict"])
def test_those_under_way_say_what_they_wait_for(told: dict[str, str], command: str) -> None:
    waits = "step 2 of 2 (50 %): waits for a person (canary resume, promote or rollback)"

    assert waits in told[command]
    assert "at 50 %, without steps" in told[command]
