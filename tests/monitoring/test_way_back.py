"""After a promotion: who was stable before, and what follows where it is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.edit import Promote, Restore, SetWeight, apply
from gateway.errors import EditRefused
from gateway.model import Route
from monitoring import editing, verbs
from monitoring.console.offers import Act, offered
from monitoring.history import changes, journal
from monitoring.history.chain import BY_HAND, Entry, Status
from monitoring.history.promotions import former_stable
from monitoring.judgement.replay import replay
from monitoring.metrics.collector import Metrics
from monitoring.rollout.position import Phase, resting_phase
from monitoring.summary import outcomes
from tests.controllers import make_controller
from tests.monitoring.test_ramp import BAD
from tests.monitoring.test_ramp import TEXT as RAMP
from tests.stage import GOOD, Stage


def file(stable: str = "v2", v1: str = "0", v3: str = "0") -> bytes:
    """v2 was promoted, unless another version is stable."""
    weights = {"v1": v1, "v2": "0", "v3": v3}
    lines = (
        f"      {name}: {{url: http://{name}{'' if name == stable else f', weight: {weight}'}}}\n"
        for name, weight in weights.items()
    )
    return f"routes:\n  iris:\n    stable: {stable}\n    versions:\n{''.join(lines)}".encode()


def route(stable: str = "v2") -> Route:
    return parse(file(stable)).route("iris")


def entry(action: str, version: str, former: str = "", **more: object) -> Entry:
    before, after = ({version: share} for share in (0, 5))
    one = Entry("id", "2026-11-22T01:00:00.000Z", "cli:ana", action, "iris", version)
    return replace(one, former=former, **({"before": before, "after": after} | more))


def promoted(version: str, former: str, **more: object) -> Entry:
    return entry("promote", version, former, **more)


def taken_back(version: str, former: str) -> Entry:
    return entry("rollback", version, former=version, before={version: 100, former: 0})


# Who was stable before.


def test_it_is_the_one_that_the_last_promotion_left() -> None:
    history = [
        promoted("v1", "v0"),
        promoted("v2", "v1"),
        entry("set-weight", "v3"),
        entry("rollback", "v3"),
        replace(promoted("v2", "v3"), route="wine"),
        replace(promoted("v3", "v2"), status=Status.CONFLICT),
        Entry("", "", "", BY_HAND),
    ]

    assert former_stable(route(), history) == "v1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"v1": 50, "v2": 50, "v3": 0}, {"v1": 0, "v2": 100, "v3": 0}),
        ({"v1": 75, "v2": 5, "v3": 20}, {"v1": 0, "v2": 80, "v3": 20}),
    ],
)
def test_of_a_promotion_that_an_older_version_wrote_down_the_shares_tell(
    before: Mapping[str, float], after: Mapping[str, float]
) -> None:
    history = [promoted("v2", "", before=before, after=after)]

    assert former_stable(route(), history) == "v1"


NOTHING = {"v1": 0, "v2": 100, "v3": 0}


@pytest.mark.parametrize(
    ("stable", "history", "said"),
    [
        ("v2", [], "v2 is the stable version of iris, and the history knows no promotion"),
        ("v3", [promoted("v2", "v1")], "v3 is the stable version of iris, and the history knows"),
        ("v1", [promoted("v2", "v1"), taken_back("v2", "v1")], "v2 was rolled back already, v1 is"),
        (
            "v1",
            [promoted("v1", "v3"), promoted("v2", "v1"), taken_back("v2", "v1")],
            "v2 was rolled back already, v1 is",
        ),
        ("v2", [promoted("v2", "v0")], "v0, which was stable before v2 in iris, is not in the fi"),
        (
            "v2",
            [promoted("v2", "", before=NOTHING, after=NOTHING)],
            "the history does not tell who was stable before v2",
        ),
    ],
)
def test_where_the_history_does_not_tell_it_says_what_to_do(
    stable: str, history: Sequence[Entry], said: str
) -> None:
    with pytest.raises(EditRefused) as refusal:
        former_stable(route(stable), history)

    assert str(refusal.value).startswith(said)
    others = ", ".join(one for one in ("v1", "v2", "v3") if one != stable)
    assert str(refusal.value).endswith(
        f"make another version stable: canary promote iris VERSION, which is one of {others}"
    )


def test_a_former_version_that_is_gone_can_be_put_back() -> None:
    with pytest.raises(EditRefused) as refusal:
        former_stable(route(), [promoted("v2", "v0")])

    assert (
        "is not in the file any more; put it there: canary add-version iris v0 --no-rollout --url "
        "URL, or make another version stable"
    ) in str(refusal.value)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ("", "there is no other version that could be: canary add-version iris ..."),
        ("      v1: {url: http://v1}\n", "make another version stable: canary promote iris v1"),
    ],
)
def test_of_few_versions_the_one_that_can_be_meant_is_named(others: str, said: str) -> None:
    text = (
        f"routes:\n  iris:\n    stable: v2\n    versions:\n      v2: {{url: http://v2}}\n{others}"
    )
    with pytest.raises(EditRefused) as refusal:
        former_stable(parse(text.encode()).route("iris"), [])

    assert str(refusal.value).endswith(f"; {said}")


# What the word means.


def test_a_rollback_with_nobody_to_take_out_takes_the_promotion_back() -> None:
    def past() -> list[Entry]:
        return [promoted("v2", "v1")]

    config = parse(file())

    assert verbs.rollback(config, "iris", None, past) == Restore("iris", "v2", "v1")
    assert verbs.rollback(config, "iris", "v2", past) == Restore("iris", "v2", "v1")
    assert verbs.rollback(config, "iris", "v1", past) == SetWeight("iris", "v1", 0)


def test_a_candidate_with_a_weight_is_meant_first_and_the_promoted_one_by_its_name() -> None:
    config = parse(file(v3="5"))

    assert verbs.rollback(config, "iris", None) == SetWeight("iris", "v3", 0)
    found = verbs.rollback(config, "iris", "v2", lambda: [promoted("v2", "v1")])
    assert found == Restore("iris", "v2", "v1")


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (entry("rollback", "v3", before={"v3": 5}, after={"v3": 0}), "rollback of v3"),
        (entry("set-weight", "v3", before={"v3": 5}, after={"v3": 0}), "set-weight of v3"),
        (Entry("", "", "", BY_HAND, before_hash="a", after_hash="b"), "edited by hand"),
    ],
)
def test_who_repeats_a_rollback_does_not_go_back_twice(since: Entry, said: str) -> None:
    """The controller was faster, or a colleague, who may have had an editor: the promotion of last
    month is not meant.
    """
    pause = entry("pause", "v3", before={}, after={})
    config, history = parse(file()), [promoted("v2", "v1"), since, pause]

    with pytest.raises(EditRefused) as refusal:
        verbs.rollback(config, "iris", None, lambda: history)

    assert str(refusal.value) == (
        "no candidate of iris has a weight that could be taken, and the promotion of v2 was not "
        f"the last change, but: {said}; if that promotion is meant: canary rollback iris v2"
    )
    assert verbs.rollback(config, "iris", "v2", lambda: history) == Restore("iris", "v2", "v1")


def test_a_version_that_was_added_since_does_not_stand_in_the_way() -> None:
    added = entry("add-version", "v3", before={"v2": 100}, after={"v2": 100, "v3": 0})
    history = [promoted("v2", "v1"), added, entry("pause", "v3", before={}, after={})]

    found = verbs.rollback(parse(file()), "iris", None, lambda: history)

    assert found == Restore("iris", "v2", "v1")


def test_a_promotion_of_who_had_all_requests_already_is_taken_back_as_well() -> None:
    whole = {"v1": 0, "v2": 100}
    grown = entry("advance", "v2", before={"v1": 50, "v2": 50}, after=whole)
    history = [grown, promoted("v2", "v1", before=whole, after=whole)]

    found = verbs.rollback(parse(file()), "iris", None, lambda: history)

    assert found == Restore("iris", "v2", "v1")


# What follows.


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    path = tmp_path / "routing.yaml"
    path.write_text(RAMP + 'notify: [{webhook: "http://hook", events: [rollback, promote]}]\n')
    return Stage(path)


def roll_back(stage: Stage, reason: str = "", version: str | None = None) -> editing.Changed:
    """As the command does."""
    config = parse(stage.file.read_bytes())
    change = verbs.rollback(config, "iris", version, lambda: changes.read(stage.file))
    return editing.carry_out(
        stage.file, change, by="cli:ana", reason=reason, action="rollback", clock=stage.clock.time
    )


SENTENCE = "v1 is stable again, v2 gets no request"


def test_a_whole_life_promoted_rolled_back_and_started_again(stage: Stage) -> None:
    stage.until(lambda: stage.stable == "v2")
    for _ in range(20):
        assert stage.look() is None
    promoted_text = stage.file.read_bytes()

    changed = roll_back(stage, "wrong on Mondays")

    assert changed.after == {"v1": 100, "v2": 0}
    assert stage.file.read_bytes() == apply(promoted_text, Promote("iris", "v1"))
    stage.look()
    text, asked = stage.file.read_bytes(), stage.source.gateways[0].asked["iris", "v2"]
    for _ in range(500):
        assert stage.look() is None
    assert stage.file.read_bytes() == text
    assert stage.source.gateways[0].asked["iris", "v2"] == asked
    assert stage.route.rollout("v2") is not None
    assert stage.history()[-1][:2] == ("cli:ana", "rollback")
    assert stage.mail[-1].text == (
        f"iris v2: rolled back from 100 % to 0 % by cli:ana: {SENTENCE}: wrong on Mondays"
    )
    (told,) = outcomes(stage.file)
    assert told.startswith("iris v2: rolled back at ")
    assert told.endswith(f" by cli:ana: {SENTENCE}: wrong on Mondays")
    assert resting_phase(stage.route, "v2", "rollback") is Phase.ROLLED_BACK

    change = verbs.start(parse(stage.file.read_bytes()), "iris")
    assert change == SetWeight("iris", "v2", 500)
    stage.edit(change, "start")
    steps = [stage.until(lambda at=at: stage.weight == at) for at in (25, 50)]
    steps.append(stage.until(lambda: stage.stable == "v2"))
    assert steps[0] >= 30  # nothing that was seen before its promotion counts
    assert min(steps[1:]) >= 60
    assert replay(journal.rows(stage.file)).disagreements == []
    roll_back(stage)
    assert stage.stable == "v1"


def test_another_controller_learns_of_it_and_leaves_it_alone(stage: Stage) -> None:
    stage.edit(Promote("iris", "v2"), "promote")
    roll_back(stage)
    text = stage.file.read_bytes()
    stage.start()
    for _ in range(100):
        assert stage.look() is None

    assert stage.file.read_bytes() == text
    stage.versions["v2"] = BAD
    stage.edit(SetWeight("iris", "v2", 500), "start")
    assert stage.until(lambda: stage.weight == 0) < 60
    assert stage.history()[-1][:2] == ("controller", "rollback")
    stage.versions["v2"] = GOOD
    with pytest.raises(EditRefused, match="v2 was rolled back already, v1 is the stable version"):
        roll_back(stage)
    assert stage.stable == "v1"


def test_it_is_counted_as_a_rollback_by_a_person(stage: Stage) -> None:
    metrics = Metrics("test", stage.clock.time)
    stage.controller = make_controller(
        stage.file,
        stage.source,
        clock=stage.clock.time,
        monotonic=stage.clock.monotonic,
        metrics=metrics,
    )
    stage.edit(Promote("iris", "v2"), "promote")
    stage.look()
    roll_back(stage)
    stage.look()
    stage.look()

    samples = {
        (one.name, *sorted(one.labels.items())): one.value
        for family in metrics.collect()
        for one in family.samples
    }
    pair = (("route", "iris"), ("version", "v2"))
    rollback = ("canary_rollbacks_total", ("reason", "operator"), *pair)
    assert samples[rollback] == 1
    assert samples["canary_rollout_phase", ("phase", "rolled_back"), *pair] == 1


def test_a_promotion_by_a_person_is_taken_back_as_well_and_a_dry_run_writes_nothing(
    stage: Stage,
) -> None:
    stage.edit(Promote("iris", "v2"), "promote")
    text, rows = stage.file.read_bytes(), journal.history_path(stage.file).read_bytes()
    config = parse(text)
    change = verbs.rollback(config, "iris", None, lambda: changes.read(stage.file))

    shown = editing.carry_out(
        stage.file, change, by="cli:ana", reason="", action="rollback", dry_run=True
    )

    assert (stage.file.read_bytes(), journal.history_path(stage.file).read_bytes()) == (text, rows)
    lines = [one for one in shown.diff.splitlines() if one[0] in "+-"]
    assert lines[2:] == ["-    stable: v2", "+    stable: v1"]
    assert roll_back(stage).diff == shown.diff
    newest = changes.read(stage.file)[-1]
    assert (newest.action, newest.version, newest.former) == ("rollback", "v2", "v2")
    assert newest.reason == SENTENCE


def test_the_console_offers_it_for_the_stable_version_that_was_promoted() -> None:
    config = parse(file())

    rows = dict(offered(config, "iris", lambda: [promoted("v2", "v1")]))

    assert list(rows) == ["v1", "v3", "v2"]
    assert [(one.act, one.possible) for one in rows["v2"]] == [(Act.ROLLBACK, True)]
    assert list(dict(offered(config, "iris"))) == ["v1", "v3"]
