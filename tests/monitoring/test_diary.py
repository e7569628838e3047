"""The history read row by row as it grows, against the history read at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.edit import SetPaused
from monitoring.controller.leader import Leadership, last_look, lock_path
from monitoring.history import changes
from monitoring.history.chronicle import Chronicle
from monitoring.history.diary import Diary
from monitoring.judgement.docket import Filed, Key
from tests.monitoring.test_ramp import BAD, GOOD, TEXT, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    return Stage(file)


def dumped(filed: dict[Key, Filed]) -> dict[Key, tuple[object, ...]]:
    """As values that can be compared."""
    return {
        key: (one.question.dumped(), one.case.dumped(), one.watch, one.failed)
        for key, one in filed.items()
    }


def compare(diary: Diary, stage: Stage) -> None:
    assert diary.catch_up() == changes.read(stage.file)
    recalled = Chronicle(stage.file, stage.clock.time).recall()
    assert dumped(diary.filed) == dumped(recalled)
    assert diary.content == stage.file.read_bytes()


def test_at_each_moment_of_a_rollout_it_knows_what_a_new_controller_would(stage: Stage) -> None:
    diary = Diary(stage.file)
    assert diary.catch_up() == []
    for look in range(60):
        if look == 10:
            stage.edit(SetPaused("iris", "v2", True), "pause")
        if look == 14:
            stage.edit(SetPaused("iris", "v2", False), "resume")
        if look == 45:
            stage.versions["v2"] = BAD
        if look == 20:
            stage.rewrite("# the new one", "# edited by hand")
        stage.look()
        compare(diary, stage)

    assert stage.weight == 0
    assert changes.BY_HAND in {one.action for one in diary.catch_up()}
    assert diary.filed == {}
    stage.versions["v2"] = GOOD


def test_a_history_that_was_cut_off_is_read_anew(stage: Stage) -> None:
    diary = Diary(stage.file)
    stage.until(lambda: stage.weight == 25)
    compare(diary, stage)
    path = changes.history_path(stage.file)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))

    diary.catch_up()

    assert {one.id for one in diary.catch_up() if one.id} >= {
        one.id for one in changes.read(stage.file) if one.id
    }


def test_a_file_that_is_gone_is_an_error_and_comes_back(stage: Stage) -> None:
    diary = Diary(stage.file)
    text = stage.file.read_bytes()
    stage.file.unlink()
    with pytest.raises(OSError, match="routing"):
        diary.catch_up()
    stage.file.write_bytes(text)

    compare(diary, stage)


def test_when_the_controller_looked_last_is_known_while_it_is_there(stage: Stage) -> None:
    assert last_look(stage.file) is None
    with Leadership(stage.file) as leadership:
        assert leadership.holds()
        first = last_look(stage.file)
        assert first is not None
        os.utime(lock_path(stage.file), (1.0, 1.0))
        assert last_look(stage.file) == 1.0
        assert leadership.holds()
        assert (last_look(stage.file) or 0.0) >= first
    assert last_look(stage.file) is None
