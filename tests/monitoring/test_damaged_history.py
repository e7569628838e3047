"""A history in which a value is not what it should be: who reads it goes on without that row."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from gateway.config import parse
from gateway.edit import Promote, SetPaused
from gateway.errors import EditRefused
from monitoring import verbs
from monitoring.analysis.verdict import judge
from monitoring.commands.past import history
from monitoring.console.desk import Desk
from monitoring.console.events import happenings
from monitoring.history import changes, journal
from monitoring.history.annals import events
from monitoring.history.diary import Diary
from monitoring.judgement.record import Record
from monitoring.judgement.replay import replay
from monitoring.readings.evidence import Counts, Window
from monitoring.summary import summary
from tests.monitoring.test_ramp import TEXT
from tests.stage import Stage

Life = tuple[str, list[dict[str, Any]]]
Way = tuple[str | int, ...]

KEYS = (
    *("row", "id", "at", "by", "action", "route", "version", "reason", "before", "after"),
    *("before_hash", "after_hash", "diff", "former", "generation", "verdict", "sentence", "alerts"),
    *("evidence", "limit", "leading", "stand", "step", "steps", "weight", "following", "numbers"),
    *("rollout", "failed", "watch", "question", "case", "outcome"),
)


ODD: Final = (
    *(math.nan, math.inf, -math.inf, 10**400, 1e300, -1, 0.5, True, None, "x", "7"),
    *([], [1], [[1]], [None], {}, {"a": 1}),
)
"""In the place of a value."""


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
    told = [{**row, key: value} if key in row else row for row in life[1]]
    everybody_reads(tmp_path, life[0], told)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("case", "candidate", "assigned"), math.inf),
        (("case", "candidate", "latency", 0), "7"),
        (("case", "strands", "", "tracks", "errors", "stable"), [1.0]),
        (("case", "strands", "", "tracks", "errors", "logs", 0), math.nan),
        (("case", "strands", "", "tracks", "split", "since"), 10**400),
        (("case", "strands", "", "tracks"), None),
        (("question", "steps", 0, "signal"), 7),
        (("watch", "seconds"), -math.inf),
        (("rollout", "steps", 0, 0), math.inf),
    ],
    ids=lambda one: ".".join(map(str, one)) if isinstance(one, tuple) else f"{one!r:.9}",
)
def test_nor_is_one_by_a_value_deep_in_a_verdict(
    life: Life, way: Way, value: object, tmp_path: Path
) -> None:
    told = [with_value(row, way, value) if row.get("case") else row for row in life[1]]
    everybody_reads(tmp_path, life[0], told)
    found = replay(told).disagreements

    assert any("this version cannot read it" in one for one in found)


def test_a_verdict_with_any_odd_value_is_left_out_or_can_be_gone_on_from(life: Life) -> None:
    """At every place there is; at each one of the values, by chance."""
    row = next(row for row in reversed(life[1]) if row.get("case"))
    draw = random.Random(1)
    counts = Counts(30, 2, 1, (3, 4), (), (("a", 5),), asked=30)
    new = Window("0/elsewhere@1.0", 0.2, counts, counts)
    left_out = 0
    ways = [way for key in ("case", "question", "watch", "rollout") for way in ways_in(row, key)]
    for way in ways:
        record = Record.of(with_value(row, way, draw.choice(ODD)))
        if record is None:
            left_out += 1
            continue
        with np.errstate(all="ignore"):
            record.disagreement()
            grown = record.filed.case.grown(record.filed.question, [new])
            judge(record.filed.question, grown)

    assert len(ways) > 200
    assert left_out > 0.8 * len(ways)


def ways_in(row: Any, *way: str | int) -> Iterator[Way]:
    """To this value, and to all in it; of a list to the first and the last."""
    yield way
    found = row
    for step in way:
        found = found[step]
    steps: Any = found if isinstance(found, dict) else ()
    if isinstance(found, list):
        steps = sorted({0, len(found) - 1}) if found else ()
    for step in steps:
        yield from ways_in(row, *way, step)


def with_value(row: dict[str, Any], way: Way, value: object) -> dict[str, Any]:
    """The same but for one value."""
    changed = deepcopy(row)
    place: Any = changed
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    return changed


def everybody_reads(directory: Path, text: str, rows: list[dict[str, Any]]) -> None:
    """A history of these rows: commands, console and controller."""
    path = directory / "routing.yaml"
    path.write_text(text)
    written = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
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
