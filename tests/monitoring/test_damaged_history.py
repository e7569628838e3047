"""A history in which a value is not what it should be: who reads it goes on without that row."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse
from gateway.edit import Promote, SetPaused
from gateway.errors import EditRefused
from monitoring import verbs
from monitoring.commands.past import history
from monitoring.console.desk import Desk
from monitoring.console.events import happenings
from monitoring.history import changes, journal
from monitoring.history.annals import events
from monitoring.history.diary import Diary
from monitoring.judgement.replay import replay
from monitoring.summary import summary
from tests.monitoring.test_ramp import TEXT
from tests.stage import Stage

Life = tuple[str, list[dict[str, Any]]]

KEYS = (
    *("row", "id", "at", "by", "action", "route", "version", "reason", "before", "after"),
    *("before_hash", "after_hash", "diff", "former", "generation", "verdict", "sentence", "alerts"),
    *("evidence", "limit", "leading", "stand", "step", "steps", "weight", "following", "numbers"),
    *("rollout", "failed", "watch", "question", "case", "outcome"),
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A rollout that was paused, resumed, and promoted: the file, and rows of all kinds."""
    path = tmp_path_factory.mktemp("life") / "routing.yaml"
    notify = 'notify: [{webhook: "http://hook", events: [promote, pause]}]\n'
    path.write_text(TEXT + notify)
    stage = Stage(path)
    stage.look()
    for paused in (True, False):
        stage.edit(SetPaused("iris", "v2", paused), "pause" if paused else "resume")
        stage.look()
    stage.edit(Promote("iris", "v2"), "promote")
    stage.look()
    return path.read_text(), list(journal.rows(path))


def test_these_are_the_keys_of_all_rows(life: Life) -> None:
    assert {one["row"] for one in life[1]} >= {"intent", "done", "verdict", "told"}
    assert {key for row in life[1] for key in row} == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [7, {"v2": ["x"]}], ids=str)
def test_nobody_who_reads_it_is_kept_from_anything(
    life: Life, key: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text(life[0])
    damaged = ({**row, key: value} if key in row else row for row in life[1])
    written = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in damaged)
    journal.history_path(path).write_text(written)

    for as_json in (False, True):
        history(path, 1000, as_json)
    happenings(events(path))
    replay(journal.rows(path))
    assert isinstance(summary(path), list)
    assert Diary(path).catch_up() == changes.read(path)
    assert Desk(path).papers().config is not None
    with suppress(EditRefused):
        verbs.rollback(parse(path.read_bytes()), "iris", None, lambda: changes.read(path))
    stage = Stage(path)
    stage.look()
    stage.edit(Promote("iris", "v1"), "promote")
    assert stage.history()[-1][1] == "promote"
