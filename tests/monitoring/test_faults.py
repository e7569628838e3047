"""What goes wrong around a rollout: the file stays valid, the history true, and no weight wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse
from gateway.edit import SetWeight
from gateway.files import atomic
from gateway.model import FULL_WEIGHT, generation_of
from monitoring.analysis.verdict import Kind
from monitoring.history import changes, journal
from monitoring.history.changes import BY_HAND, Status, history_path
from monitoring.judgement.replay import replay
from monitoring.notices.postman import Postman
from monitoring.readings import sources
from monitoring.readings.sources import GatewaySources
from monitoring.rollout.rules import Action
from tests.controllers import make_controller
from tests.monitoring.test_no_evidence import FAILING, evidence
from tests.monitoring.test_no_evidence import TEXT as WATCHED
from tests.simulation import Behaviour
from tests.sockets.peers import Worker, answering, hanging, refusing, url_of
from tests.stage import GOOD, Stage

BAD = Behaviour(bad=0.3)
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
        - {weight: 5, pause: 5s}
        - {weight: 25, pause: 5s}
        - {weight: 50, pause: 5s}
    analysis: {errors: {max_increase: 10%}}
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return on_stage(tmp_path, TEXT)


def on_stage(directory: Path, text: str, **more: Any) -> Stage:
    file = directory / "routing.yaml"
    file.write_text(text)
    return Stage(file, **more)


def check(stage: Stage, *, by_hand: int = 0) -> None:
    """The file is whole, the history leads to it, and decisions come out the same again."""
    content = stage.file.read_bytes()
    for route in parse(content).routes:
        assert sum(route.weight(version.name) for version in route.versions) == FULL_WEIGHT
    entries = changes.read(stage.file)
    assert [entry.action for entry in entries].count(BY_HAND) == by_hand
    if entries:
        assert entries[-1].left == generation_of(content)
    assert replay(journal.rows(stage.file)).disagreements == []


# --- whoever is asked or told does not answer


WEBHOOKS = {"gone": None, "hanging": hanging}


@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_a_webhook_that_does_not_answer_delays_no_rollback(webhook: str, tmp_path: Path) -> None:
    """It is in the file when the look ends, whatever becomes of the notice."""
    with ExitStack() as stack:
        if WEBHOOKS[webhook] is None:
            url = url_of(stack.enter_context(closing(refusing())))
        else:
            url = stack.enter_context(closing(Worker(hanging))).url
        postmen = []

        def postman(on_outcome: Any) -> Postman:
            postmen.append(Postman(on_outcome, timeout=3600))
            stack.callback(postmen[-1].close, 0)
            return postmen[-1]

        text = TEXT.replace("https://chat.example/hook", url)
        stage = on_stage(tmp_path, text, versions={"v2": BAD}, postman=postman)
        for _ in range(60):
            if any(one.action is Action.ROLLBACK for one in stage.judged()):
                break

        assert stage.weight == 0
        assert stage.judged() == []
        check(stage)


def test_of_two_gateways_one_hangs_and_the_other_ones_failure_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real sockets, with one deadline for the whole of an answer."""
    monkeypatch.setattr(sources, "TIMEOUT", 0.2)
    file = tmp_path / "routing.yaml"
    file.write_text(WATCHED)
    failing = FAILING.replace(b'"assigned": 0', b'"assigned": 4500', 1)
    with closing(Worker(hanging)) as dead, closing(Worker(answering(body=evidence()))) as alive:
        with GatewaySources([dead.url]) as source:
            assert make_controller(file, source).tick() == []
        with GatewaySources([dead.url, alive.url]) as source:
            controller = make_controller(file, source)
            (held,) = controller.tick()
            alive.behaviour = answering(body=failing)
            (failed,) = controller.tick()

    assert (held.verdict.kind, held.action) == (Kind.ERROR, Action.HOLD)
    assert (failed.verdict.kind, failed.action) == (Kind.FAILED, Action.ROLLBACK)
    assert file.read_text() == WATCHED.replace("weight: 10}", "weight: 0}")


# --- clocks


def test_a_monotonic_clock_that_stands_still_advances_nothing_and_rolls_back(
    stage: Stage,
) -> None:
    stage.look()
    stage.clock.monotonic = lambda: 50.0  # type: ignore[method-assign]
    stage.start()
    for _ in range(60):
        stage.look()

    assert stage.weight == 5
    stage.versions["v2"] = BAD
    assert stage.until(lambda: stage.weight == 0) < 30
    check(stage)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_monotonic_clock_that_jumps_counts_as_one_look_at_most(stage: Stage, jump: float) -> None:
    stage.look()
    stage.look()
    stage.clock.awake += jump
    found = stage.look()

    assert found is not None
    assert found.filed is not None
    assert found.filed.watch.seconds <= 6
    check(stage)


@pytest.mark.parametrize("jump", [-86_400.0 * 3, 86_400.0 * 3])
def test_a_wall_clock_that_jumps_by_days_changes_no_decision_and_no_order(
    stage: Stage, jump: float
) -> None:
    stage.until(lambda: stage.weight == 25)
    stage.clock.now += jump
    stage.source.gateways[0]._until = stage.clock.now
    stage.versions["v2"] = BAD
    for _ in range(30):
        stage.look()

    assert stage.weight == 0
    assert [action for _, action, _ in stage.history()] == ["advance", "rollback"]
    assert ("rollback", "v2") in stage.heard()
    check(stage)


def test_a_trouble_that_lasts_is_told_though_the_clock_was_set_back(stage: Stage) -> None:
    stage.look()
    stage.source.gateways[0].reachable = False
    stage.look()
    stage.clock.now -= 86_400
    for _ in range(40):
        stage.look()

    assert stage.heard() == [("error", "judging")]


# --- other hands at the worst moment


@contextmanager
def just_before_the_rename(act: Any) -> Iterator[None]:
    """After the intent is written, and as late as possible: once."""
    with pytest.MonkeyPatch.context() as patch:
        real = atomic._rename

        def rename(source: Path, target: Path, flags: int) -> bool:
            patch.undo()
            act()
            return real(source, target, flags)

        patch.setattr(atomic, "_rename", rename)
        yield


def test_a_save_just_before_a_rollback_is_kept_and_the_candidate_is_out_a_look_later(
    stage: Stage,
) -> None:
    stage.look()
    stage.versions["v2"] = BAD
    with just_before_the_rename(lambda: stage.rewrite("the new one", "the newest one")):
        stage.until(lambda: "newest" in stage.file.read_text(), 60)
    assert stage.weight == 5
    stage.look()

    assert stage.weight == 0
    assert "the newest one" in stage.file.read_text()
    assert [one.status for one in changes.read(stage.file)] == [
        Status.CONFLICT,
        Status.DONE,
        Status.DONE,
    ]
    check(stage, by_hand=1)


def test_a_save_just_before_an_advance_is_kept_and_decides(stage: Stage) -> None:
    """The weight that a person gives is watched from its own beginning."""
    with just_before_the_rename(lambda: stage.rewrite("weight: 5}   #", "weight: 7}   #")):
        stage.until(lambda: stage.weight == 7)

    assert stage.until(lambda: stage.weight == 25) >= 5
    check(stage, by_hand=1)


def test_who_raises_a_candidate_again_right_after_its_rollback_is_obeyed_until_it_fails_again(
    stage: Stage,
) -> None:
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)
    stage.edit(SetWeight("iris", "v2", 2000), "set-weight")  # no gateway has seen the 0 yet
    assert stage.weight == 20

    assert stage.until(lambda: stage.weight == 0) < 30
    actions = [(by, action) for by, action, _ in stage.history()]
    assert actions == [
        ("controller", "rollback"),
        ("cli:ana", "set-weight"),
        ("controller", "rollback"),
    ]
    for _ in range(20):
        stage.look()
    assert stage.weight == 0
    check(stage)


def test_a_save_that_breaks_the_file_is_left_alone_and_the_failure_is_told_at_once(
    stage: Stage,
) -> None:
    stage.look()
    whole = stage.file.read_text()
    broken = whole.replace("stable: v1", "stable: v9")
    stage.versions["v2"] = BAD
    with just_before_the_rename(lambda: stage.file.write_text(broken)):
        stage.until(lambda: stage.file.read_text() == broken, 60)
    stage.look()

    assert stage.file.read_text() == broken
    assert stage.heard() == [("error", "rollback of iris v2")]
    for _ in range(10):
        stage.look()
    assert stage.heard() == [("error", "rollback of iris v2")]
    stage.file.write_text(whole)
    stage.look()
    stage.look()
    assert stage.weight == 0
    assert stage.heard()[1:] == [("rollback", "v2")]
    check(stage, by_hand=0)


# --- the history under the controller


def delete(file: Path) -> None:
    file.unlink()


def cut_off(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def tear(file: Path) -> None:
    with file.open("ab") as torn:
        torn.write(b'{"row":"intent","id":"torn","at":"20')


def scribble(file: Path) -> None:
    with file.open("ab") as torn:
        torn.write(
            b'\n\x00\xff\n[]\n{"row":"verdict","id":"x"}\n{"row":"intent","id":"y","at":7}\n'
        )


@pytest.mark.parametrize("harm", [delete, cut_off, tear, scribble])
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "started again"])
def test_a_damaged_history_stops_no_rollout_and_no_rollback(
    stage: Stage, harm: Any, restarted: bool
) -> None:
    stage.until(lambda: stage.weight == 25)
    harm(history_path(stage.file))
    if restarted:
        stage.start()
    stage.until(lambda: stage.weight == 50)
    harm(history_path(stage.file))
    if restarted:
        stage.start()
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)
    stage.look()

    actions = [action for _, action, _ in stage.history()]
    assert actions[-1] == "rollback"
    assert [event for event, _ in stage.heard()] == ["rollback"]
    check(stage, by_hand=actions.count(BY_HAND))
    if harm in (tear, scribble):
        assert actions == ["advance", "advance", "rollback"]


def test_a_directory_in_place_of_the_history_holds_the_rollout_and_no_rollback(
    stage: Stage,
) -> None:
    stage.look()
    history_path(stage.file).unlink()
    history_path(stage.file).mkdir()
    for _ in range(40):
        stage.look()

    assert stage.weight == 5
    assert ("error", "recording") in stage.heard()
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)
    assert ("rollback", "v2") in stage.heard()
    shutil.rmtree(history_path(stage.file))
    stage.look()
    stage.look()
    assert [(by, action) for by, action, _ in stage.history()] == [("controller", "rollback")]
    assert [event for event, _ in stage.heard()].count("rollback") == 1


# --- several candidates


SEVERAL = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
      v3: {url: "http://127.0.0.1:8103", weight: 10}
      v4: {url: "http://127.0.0.1:8104", weight: 10}
    rollout:
      - {candidate: v2, steps: [{weight: 10, pause: 5s}, {weight: 20, pause: 1h}]}
      - {candidate: v3, steps: [{weight: 10, pause: 5s}, {weight: 20, pause: 1h}]}
      - {candidate: v4, on_failure: alert}
    analysis: {errors: {max_increase: 10%}}
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""


def test_one_fails_one_advances_one_is_only_watched_and_none_disturbs_another(
    tmp_path: Path,
) -> None:
    stage = on_stage(tmp_path, SEVERAL, versions={"v2": BAD, "v4": BAD})
    for _ in range(60):
        stage.look()

    assert [stage.weight_of(name) for name in ("v2", "v3", "v4")] == [0, 20, 10]
    assert sorted(set(stage.heard())) == [("error", "v4"), ("rollback", "v2")]
    actions = sorted((entry.version, entry.action) for entry in changes.read(stage.file))
    assert actions == [("v2", "rollback"), ("v3", "advance")]
    check(stage)


def test_two_that_fail_in_the_same_look_are_both_out_when_it_ends(tmp_path: Path) -> None:
    stage = on_stage(tmp_path, SEVERAL, versions={"v2": BAD, "v3": GOOD, "v4": BAD})
    stage.rewrite("on_failure: alert", "on_failure: rollback")
    stage.source.evidence()
    stage.look(60)

    assert [stage.weight_of(name) for name in ("v2", "v3", "v4")] == [0, 10, 0]
    assert sorted(stage.heard()) == [("rollback", "v2"), ("rollback", "v4")]
    check(stage)


def test_an_advance_for_which_there_is_no_room_is_held_and_told_and_made_when_there_is(
    tmp_path: Path,
) -> None:
    text = SEVERAL.replace("weight: 20, pause", "weight: 70, pause")
    stage = on_stage(tmp_path, text.replace("weight: 10}\n      v", "weight: 40}\n      v"))
    for _ in range(20):
        stage.look()

    assert [stage.weight_of(name) for name in ("v2", "v3", "v4")] == [40, 40, 10]
    assert sorted(about for _, about in stage.heard()) == [
        "advance of iris v2",
        "advance of iris v3",
    ]
    assert changes.read(stage.file) == []
    stage.edit(SetWeight("iris", "v3", 0), "set-weight")
    stage.until(lambda: stage.weight == 70, 10)
    stage.edit(SetWeight("iris", "v3", 1000), "start")
    for _ in range(20):
        stage.look()
    assert [stage.weight_of(name) for name in ("v2", "v3", "v4")] == [70, 10, 10]
    assert [about for _, about in stage.heard()].count("advance of iris v3") == 2
    check(stage)
