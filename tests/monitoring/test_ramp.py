"""Rollouts from the first weight to the last, on simulated gateways: real controller, real file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.edit import AddVersion, SetPaused, SetWeight
from monitoring.analysis.verdict import Kind
from monitoring.history import changes, journal
from monitoring.judgement.replay import replay
from monitoring.rollout.position import Stand
from monitoring.rollout.rules import Action
from tests.simulation import Behaviour
from tests.stage import GOOD, Stage

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}   # the new one
    rollout:
      candidate: v2
      steps:
        - {weight: 5, pause: 30s}
        - {weight: 25, pause: 1m}
        - {weight: 50, pause: 1m}
      on_success: promote
    analysis: {errors: {max_increase: 2%}}
"""
BAD = Behaviour(bad=0.3)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    return Stage(file)


def rewrite(stage: Stage, old: str, new: str) -> None:
    stage.rewrite(old, new)


def test_a_good_candidate_goes_all_the_way_and_each_step_is_watched(stage: Stage) -> None:
    times = [stage.until(lambda at=at: stage.weight == at) for at in (25, 50)]
    times.append(stage.until(lambda: stage.stable == "v2"))

    assert times[0] >= 30
    assert min(times[1:]) >= 60
    assert [(by, action) for by, action, _ in stage.history()] == [
        *[("controller", "advance")] * 2,
        ("controller", "promote"),
    ]
    assert stage.history()[-1][2] == {"v1": 0, "v2": 100}
    first = changes.read(stage.file)[0].reason
    assert first.startswith("watched 30s at 5 %, proven good enough for 25 %; ")
    assert stage.look() is None


def test_a_step_waits_for_the_proof_however_long_it_was_watched(stage: Stage) -> None:
    rewrite(stage, "max_increase: 2%", "max_increase: 0.2%")
    for _ in range(35):
        found = stage.look()

    assert found is not None
    assert found.position.stand is Stand.READY
    assert (found.action, found.kind) == (Action.HOLD, Kind.INCONCLUSIVE)
    assert stage.weight == 5
    assert stage.until(lambda: stage.weight == 25) > 30


def test_a_candidate_that_turns_bad_on_its_way_is_taken_out_for_good(stage: Stage) -> None:
    stage.until(lambda: stage.weight == 25)
    stage.versions["v2"] = BAD

    assert stage.until(lambda: stage.weight == 0) < 10
    stage.versions["v2"] = GOOD
    for _ in range(300):
        assert stage.look() is None
    assert stage.weight == 0
    assert stage.history()[-1][:2] == ("controller", "rollback")


def test_a_person_starts_it_again_and_its_past_is_not_held_against_it(stage: Stage) -> None:
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)
    stage.look()
    stage.versions["v2"] = GOOD
    stage.edit(SetWeight("iris", "v2", 500), "start")

    stage.until(lambda: stage.stable == "v2")
    assert stage.history()[-1][1] == "promote"


def test_after_the_last_step_it_holds_where_the_file_says_so(stage: Stage) -> None:
    rewrite(stage, "on_success: promote", "on_success: hold")
    stage.until(lambda: stage.weight == 50)
    for _ in range(200):
        found = stage.look()

    assert found is not None
    assert (found.kind, found.action) == (Kind.SUCCESSFUL, Action.HOLD)
    assert (stage.weight, stage.stable) == (50, "v1")


def test_a_pause_forever_waits_for_a_person(stage: Stage) -> None:
    rewrite(stage, "{weight: 25, pause: 1m}", "{weight: 25, pause: forever}")
    stage.until(lambda: stage.weight == 25)
    for _ in range(300):
        found = stage.look()

    assert found is not None
    assert (found.position.stand, found.action) == (Stand.WAITING, Action.HOLD)
    stage.edit(SetWeight("iris", "v2", 5000), "resume")
    assert stage.until(lambda: stage.stable == "v2") >= 60


def test_paused_it_stays_and_is_still_taken_out_when_it_fails(stage: Stage) -> None:
    stage.edit(SetPaused("iris", "v2", True), "pause")
    for _ in range(200):
        found = stage.look()

    assert found is not None
    assert found.position.stand is Stand.PAUSED
    assert stage.weight == 5
    stage.versions["v2"] = BAD
    assert stage.until(lambda: stage.weight == 0) < 60


def test_on_failure_pause_keeps_its_weight_and_who_resumes_is_not_overruled(stage: Stage) -> None:
    rewrite(stage, "on_success: promote", "on_failure: pause")
    stage.versions["v2"] = BAD
    stage.until(lambda: "paused: true" in stage.file.read_text(), 60)
    for _ in range(20):
        stage.look()

    assert stage.weight == 5
    assert [action for _, action, _ in stage.history()] == ["pause"]
    stage.versions["v2"] = GOOD
    stage.edit(SetPaused("iris", "v2", False), "resume")
    stage.until(lambda: stage.weight == 50)
    assert "pause" not in [action for _, action, _ in stage.history()[2:]]


def test_on_failure_alert_only_tells(stage: Stage) -> None:
    rewrite(stage, "on_success: promote", "on_failure: alert")
    stage.versions["v2"] = BAD
    for _ in range(60):
        found = stage.look()

    assert found is not None
    assert (found.kind, found.action) == (Kind.FAILED, Action.ALERT)
    assert stage.weight == 5
    rows = list(journal.rows(stage.file, {"verdict"}))
    assert [(row["verdict"], row["action"]) for row in rows][-1] == ("Failed", "alert")


# --- what is remembered


def test_a_controller_that_was_killed_goes_on_where_it_was(stage: Stage) -> None:
    """It loses a tenth of what was watched at most, and no evidence."""
    rewrite(stage, "pause: 30s", "pause: 10m")
    for _ in range(300):
        before = stage.look()
    stage.start()
    after = stage.look()

    assert before is not None
    assert after is not None
    assert before.filed is not None
    assert after.filed is not None
    assert 270 <= after.filed.watch.seconds <= 300
    assert after.verdict.candidate.assigned > before.verdict.candidate.assigned
    assert after.verdict.allowances[0].weight == before.verdict.allowances[0].weight


def test_downtime_is_not_watched(stage: Stage) -> None:
    rewrite(stage, "pause: 30s", "pause: 10m")
    for _ in range(60):
        stage.look()
    stage.clock.pass_(3600)
    stage.start()
    found = stage.look()

    assert found is not None
    assert found.position.stand is Stand.WATCHING
    assert found.filed is not None
    assert found.filed.watch.seconds <= 60


def test_time_without_an_answer_of_the_gateways_is_not_watched(stage: Stage) -> None:
    stage.look()
    stage.source.gateways[0].reachable = False
    for _ in range(600):
        assert stage.look() is None
    stage.source.gateways[0].reachable = True
    found = stage.look()

    assert found is not None
    assert found.filed is not None
    assert found.filed.watch.seconds <= 2


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_takes_nobody_anywhere(stage: Stage, jump: float) -> None:
    for _ in range(10):
        stage.look()
    stage.clock.now += jump
    stage.source.gateways[0]._until = stage.clock.now
    for _ in range(10):
        found = stage.look()

    assert found is not None
    assert found.filed is not None
    assert found.filed.watch.seconds == pytest.approx(19, abs=1)
    assert stage.weight == 5


def test_a_gateway_that_restarts_takes_nothing_with_it(stage: Stage) -> None:
    for second in range(60):
        if second % 7 == 0:
            stage.source.gateways[0].restart()
        stage.look()

    assert stage.weight == 25
    found = stage.look()
    assert found is not None
    assert found.verdict.candidate.assigned > 500


# --- other hands


def test_another_version_that_comes_disturbs_no_evidence(stage: Stage) -> None:
    for _ in range(20):
        before = stage.look()
    stage.edit(AddVersion("iris", "v3", ("http://127.0.0.1:8103",)), "add-version")
    stage.look()
    after = stage.look()

    assert before is not None
    assert after is not None
    assert after.filed is not None
    assert after.filed.watch.seconds >= 20
    assert after.verdict.candidate.assigned > before.verdict.candidate.assigned


def test_an_edit_of_something_else_costs_no_time(stage: Stage) -> None:
    for _ in range(20):
        stage.look()
    rewrite(stage, "# the new one", "# the newest one")
    found = stage.look()

    assert found is not None
    assert found.filed is not None
    assert found.filed.watch.seconds >= 19


def test_another_weight_is_watched_from_the_beginning_but_the_evidence_stays(stage: Stage) -> None:
    for _ in range(20):
        before = stage.look()
    stage.edit(SetWeight("iris", "v2", 1000), "set-weight")
    stage.look()
    after = stage.look()

    assert before is not None
    assert after is not None
    assert after.filed is not None
    assert after.filed.watch.seconds <= 2
    assert after.verdict.candidate.assigned > before.verdict.candidate.assigned


def test_a_new_address_is_a_new_rollout(stage: Stage) -> None:
    for _ in range(20):
        before = stage.look()
    rewrite(stage, "http://127.0.0.1:8102", "http://127.0.0.1:8109")
    stage.look()
    after = stage.look()

    assert before is not None
    assert after is not None
    assert after.filed is not None
    assert after.filed.watch.seconds <= 2


# --- several gateways


def test_one_that_says_nothing_holds_the_rollout_and_no_failure(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    stage = Stage(file, gateways=2)
    stage.look()
    stage.source.gateways[1].reachable = False
    for _ in range(120):
        found = stage.look()

    assert found is not None
    assert found.verdict.kind is Kind.ERROR
    assert "of 2 gateways number 2 says nothing" in found.verdict.sentence
    assert stage.weight == 5
    stage.versions["v2"] = BAD
    assert stage.until(lambda: stage.weight == 0) < 60


# --- the history


def test_every_decision_comes_out_the_same_again(stage: Stage) -> None:
    stage.until(lambda: stage.weight == 50)
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)
    found = replay(journal.rows(stage.file))

    assert found.disagreements == []
    assert found.edits == 3
    assert found.verdicts >= 6


def test_a_row_that_was_tampered_with_does_not(stage: Stage) -> None:
    stage.until(lambda: stage.weight == 25)
    rows = [json.loads(json.dumps(row)) for row in journal.rows(stage.file)]
    advance = next(row for row in rows if row.get("action") == "advance")
    advance["case"]["strands"][""]["tracks"]["errors"]["logs"][0] += 5.0
    advance["action"] = "hold"
    found = replay(rows)

    assert any(
        "advance where the verdict before it called for hold" in one or "evidence" in one
        for one in found.disagreements
    )
    assert len(found.disagreements) >= 2
