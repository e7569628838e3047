"""What somebody reads who has just been woken: each rollout in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.edit import SetPaused, SetWeight
from monitoring.controller.leader import Leadership
from monitoring.summary import outcomes, summary
from tests.monitoring.test_ramp import BAD, Stage
from tests.monitoring.test_ramp import TEXT as RAMP


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    file = tmp_path / "routing.yaml"
    file.write_text(RAMP)
    return Stage(file)


def line(stage: Stage) -> str:
    with Leadership(stage.file) as leadership:
        assert leadership.holds()
        (only,) = summary(stage.file)
    return only


def test_a_candidate_on_its_way_where_it_is_and_what_it_waits_for(stage: Stage) -> None:
    stage.look()

    assert line(stage).startswith("iris v2: step 1 of 3 (5 %): watched 0s of 30s; not proven for 2")
    assert ". Inconclusive: not proven worse: " in line(stage)
    assert outcomes(stage.file) == []
    for _ in range(15):
        stage.look()
    assert line(stage).startswith("iris v2: step 1 of 3 (5 %): watched 1")
    assert " of 30s. Successful for 25 %: " in line(stage)


def test_a_candidate_that_was_taken_out_when_by_whom_and_why(stage: Stage) -> None:
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)

    assert line(stage).startswith("iris v2: rolled back at 1970-01-12T13:")
    assert " by controller: it fails more often than stable: " in line(stage)
    assert outcomes(stage.file) == outcomes(stage.file, "iris") == [line(stage)]
    assert outcomes(stage.file, "wine") == []


def test_who_was_promoted(stage: Stage) -> None:
    stage.until(lambda: stage.stable == "v2")

    assert " by controller: watched 1m00s at 50 %; proven no worse" in line(stage)
    assert line(stage).startswith("iris v2: promoted at ")


def test_who_is_paused_and_who_has_another_weight_than_was_judged(stage: Stage) -> None:
    stage.look()
    stage.edit(SetPaused("iris", "v2", True), "pause")
    stage.look()
    stage.look()

    assert line(stage).startswith("iris v2: step 1 of 3 (5 %): paused. ")
    stage.edit(SetWeight("iris", "v2", 1500), "set-weight")
    assert line(stage) == "iris v2: no verdict on this weight was written down yet"


def test_that_nobody_watches_is_said(stage: Stage) -> None:
    stage.look()

    assert summary(stage.file)[-1].startswith("no controller watches this file")


@pytest.mark.parametrize("content", [None, "routes: ["])
def test_without_a_good_file_nothing_is_said(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "routing.yaml"
    if content:
        file.write_text(content)

    assert summary(file) == []
