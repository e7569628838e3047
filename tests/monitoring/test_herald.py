"""Each change is told of once, whoever made it, and counted; troubles only if they last."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.edit import SetWeight
from gateway.model import Event
from monitoring.history import journal
from monitoring.metrics.collector import Metrics
from monitoring.notices.notice import Notice
from monitoring.notices.postman import OnOutcome
from tests.controllers import Pigeon, make_controller
from tests.monitoring.test_ramp import BAD, TEXT, Stage, rewrite
from tests.simulation import Behaviour

NOTIFY = 'notify: [{webhook: "https://chat.example/hook"}]\n'


class Post(Stage):
    """A stage whose controllers write to one pigeon after another."""

    def start(self) -> None:
        self.pigeons: list[Pigeon] = [*getattr(self, "pigeons", [])]
        self.metrics = Metrics("test", self.clock.time)
        self.controller = make_controller(
            self.file,
            self.source,
            clock=self.clock.time,
            monotonic=self.clock.monotonic,
            metrics=self.metrics,
            postman=self._pigeon,
        )

    def _pigeon(self, on_outcome: OnOutcome) -> Pigeon:
        self.pigeons.append(Pigeon(on_outcome))
        return self.pigeons[-1]

    @property
    def told(self) -> list[Notice]:
        return [notice for pigeon in self.pigeons for notice in pigeon.told]

    def value(self, name: str) -> float:
        """The sum of all series of a metric."""
        _, text = self.metrics.render("")
        lines = [line for line in text.decode().splitlines() if line.startswith(name + "{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT + NOTIFY)
    return Post(file)


def test_a_rollback_is_told_once_with_what_and_why(post: Post) -> None:
    post.versions["v2"] = BAD
    post.until(lambda: post.weight == 0)
    for _ in range(5):
        post.look()
    (notice,) = post.told

    assert (notice.event, notice.route, notice.version) == (Event.ROLLBACK, "iris", "v2")
    assert notice.sentence.startswith("it fails more often than stable: ")
    assert (notice.before["v2"], notice.after["v2"], notice.by) == (5, 0, "controller")
    assert post.value("canary_rollbacks_total") == 1
    (row,) = journal.rows(post.file, {"told"})
    assert (row["id"], row["outcome"]) == (notice.id, "delivered")


def test_the_next_controller_does_not_tell_it_again(post: Post) -> None:
    post.versions["v2"] = BAD
    post.until(lambda: post.weight == 0)
    post.look()
    post.start()
    post.look()

    assert len(post.told) == 1
    assert post.value("canary_rollbacks_total") == 0


def test_the_next_controller_tells_what_the_last_one_could_not(post: Post) -> None:
    """It was killed between the edit and the notice."""
    post.versions["v2"] = BAD
    post.until(lambda: post.weight == 0)
    rows = [row for row in journal.rows(post.file) if row["row"] != "told"]
    history = journal.history_path(post.file)
    history.unlink()
    for row in rows:
        journal.append(post.file, row)
    before = post.told
    post.start()
    post.look()

    assert [notice.id for notice in post.told] == [before[0].id] * 2


def test_what_is_an_hour_old_is_no_news(post: Post) -> None:
    post.edit(SetWeight("iris", "v2", 0), "rollback")
    post.clock.pass_(3601)
    post.look()

    assert post.told == []


def test_what_people_do_is_told_and_counted_as_theirs(post: Post) -> None:
    post.look()
    post.edit(SetWeight("iris", "v2", 0), "rollback")
    post.look()

    (notice,) = post.told
    assert notice.by == "cli:ana"
    _, text = post.metrics.render("")
    assert b'canary_rollbacks_total{reason="operator",route="iris",version="v2"} 1.0' in text
    assert b'canary_weight_changes_total{actor="operator",kind="rollback"} 1.0' in text


def test_only_events_that_are_asked_for_are_told(post: Post) -> None:
    rewrite(post, 'hook"}', 'hook", events: [promote]}')
    post.edit(SetWeight("iris", "v2", 0), "rollback")
    for _ in range(3):
        post.look()

    assert post.told == []
    assert list(journal.rows(post.file, {"told"})) == []


def test_a_trouble_is_told_if_it_lasts_and_once(post: Post) -> None:
    post.look()
    post.source.gateways[0].reachable = False
    for _ in range(29):
        post.look()
    soon = post.told
    for _ in range(60):
        post.look()

    assert soon == []
    (notice,) = post.told
    assert notice.event is Event.ERROR
    assert notice.sentence == "judging: nobody answers"
    post.source.gateways[0].reachable = True
    post.look()
    post.source.gateways[0].reachable = False
    for _ in range(40):
        post.look()
    assert len(post.told) == 2


def test_a_rollback_that_cannot_be_made_is_told_at_once(post: Post) -> None:
    """The file is refused: a machine cannot edit it, and the gateways still serve the last one."""
    post.look()
    post.file.write_text(post.file.read_text() + "oops: 1\n")
    post.versions["v2"] = BAD
    post.until(lambda: bool(post.told), 60)
    (notice,) = post.told

    assert notice.event is Event.ERROR
    assert notice.sentence.startswith("rollback of iris v2: ")
    assert "as it stands is refused; write `weight: 0` when you mend it" in notice.sentence
    assert "it fails more often than stable" in notice.sentence


def test_a_candidate_that_is_only_watched_is_told_of_once_when_it_fails(post: Post) -> None:
    rewrite(post, "on_success: promote", "on_failure: alert")
    post.versions["v2"] = BAD
    for _ in range(60):
        post.look()
    (notice,) = post.told

    assert (notice.event, notice.route, notice.version) == (Event.ERROR, "iris", "v2")
    assert notice.sentence.startswith("it fails more often than stable: ")


def shift(post: Post) -> None:
    """Until people have heard that the candidate answers differently."""
    rewrite(
        post,
        "analysis: {",
        "prediction: {label: /label}\n    analysis: {predictions: {max_shift: 1%}, ",
    )
    rewrite(post, "pause: 30s", "pause: forever")
    post.versions["v1"] = Behaviour(label={"a": 0.5, "b": 0.5})
    post.versions["v2"] = Behaviour(label={"a": 0.7, "b": 0.3})
    post.until(lambda: bool(post.told), 600)


def test_an_alert_is_not_told_again_after_looks_that_found_nothing(post: Post) -> None:
    shift(post)
    post.source.gateways[0].reachable = False
    assert post.look() is None
    post.source.gateways[0].reachable = True
    for _ in range(5):
        post.look()
    rewrite(post, "# the new one", "# the newest one")
    for _ in range(5):
        post.look()

    assert len(post.told) == 1


def test_a_pause_for_a_failure_is_told_of_once(post: Post) -> None:
    rewrite(post, "on_success: promote", "on_failure: pause")
    post.versions["v2"] = BAD
    for _ in range(60):
        post.look()

    assert [notice.event for notice in post.told] == [Event.PAUSE]


def test_answers_that_have_shifted_are_told_of_and_nothing_is_done(post: Post) -> None:
    shift(post)
    (notice,) = post.told

    assert notice.event is Event.ERROR
    assert notice.sentence.startswith("it answers differently: ")
    assert post.weight == 5
    *_, row = journal.rows(post.file, {"verdict"})
    assert row["alerts"] == [notice.sentence]
    assert row["action"] == "hold"


def test_who_stands_by_tells_nothing(post: Post) -> None:
    leader, post.leads = post.controller, False
    standby = make_controller(
        post.file,
        post.source,
        clock=post.clock.time,
        monotonic=post.clock.monotonic,
        postman=post._pigeon,
        leads=lambda: post.leads,
    )
    post.versions["v2"] = BAD
    while post.weight:
        post.clock.pass_(1)
        assert standby.tick() == []
        leader.tick()
    leader.tick()
    standby.tick()

    assert [len(pigeon.told) for pigeon in post.pigeons] == [1, 0]
    post.leads = True
    standby.tick()
    assert [len(pigeon.told) for pigeon in post.pigeons] == [1, 0]


def test_a_rollback_of_the_first_look_is_counted_after_steps_of_an_earlier_controller(
    post: Post,
) -> None:
    post.until(lambda: post.weight == 25)
    post.look()
    post.versions["v2"] = BAD
    post.start()
    post.look(60)

    assert post.weight == 0
    assert post.value("canary_rollbacks_total") == 1
    assert post.value("canary_weight_changes_total") == 1
