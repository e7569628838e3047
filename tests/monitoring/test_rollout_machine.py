"""Whatever happens around a rollout, in whatever order: what holds after each step of it.

The candidate turns bad and good, people edit by command and by hand, controllers and gateways die,
clocks jump. A person may do anything; what is held here is what the controller does of itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest import mock

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config import parse
from gateway.edit import Change, Promote, SetPaused, SetWeight
from gateway.errors import ConfigError, GatewayError
from gateway.files import atomic
from gateway.model import FULL_WEIGHT, generation_of
from monitoring.history import changes, journal
from monitoring.history.changes import BY_HAND, Status
from monitoring.judgement.record import VERDICT, WATCH, Record
from monitoring.judgement.replay import replay
from monitoring.readings.sources import SourceError
from tests.simulation import Behaviour
from tests.stage import GOOD, Stage

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}   # edits: 0
    rollout:
      candidate: v2
      steps:
        - {weight: 5, pause: 3s}
        - {weight: 25, pause: 3s}
        - {weight: 50, pause: 3s}
      on_failure: rollback
    analysis: {errors: {max_increase: 10%}}
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""
BROKEN = [b"", b"routes: [", b"\xff", TEXT.replace("v1:", "v8:").encode()]
BAD = Behaviour(bad=0.5)
DAY = 86_400.0


class Crash(BaseException):
    """The controller ends here."""


class Rollout(RuleBasedStateMachine):
    """One route with a candidate, and everybody who may touch it."""

    @initialize(on_failure=st.sampled_from(["rollback", "pause", "alert"]))
    def begin(self, on_failure: str) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.durable = mock.patch.object(os, "fsync", return_value=None)  # nobody cuts the power
        self.durable.start()
        file = Path(self.directory.name, "routing.yaml")
        file.write_text(TEXT.replace("on_failure: rollback", f"on_failure: {on_failure}"))
        self.stage = Stage(file)
        self.hands = 0  # edits by hand
        self.broken: bytes | None = None  # what a person has written, if it is no routing file
        self.whole = file.read_bytes()  # the last good text
        self.read = 0  # of the history, in bytes
        self.records: list[Record] = []
        self.jumped = False

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self.mend()
            self.reach()
            for _ in range(3):
                self.stage.look()
            self.what_is_true()
            assert replay(journal.rows(self.stage.file)).disagreements == []
            self.everybody_was_told()
        finally:
            self.durable.stop()
            self.directory.cleanup()

    def everybody_was_told(self) -> None:
        """Unless the clock says that it is no news any more."""
        told = [notice.id for notice in self.stage.mail]
        due = {
            entry.id
            for entry in changes.read(self.stage.file)
            if entry.action in ("rollback", "promote", "pause") and entry.status is Status.DONE
        }
        assert self.jumped or due <= set(told)

    # Time, gateways and the model.

    @rule(seconds=st.sampled_from([1, 1, 4, 12]))
    def look(self, seconds: int) -> None:
        for _ in range(seconds):
            self.watched(self.stage.look)

    def watched(self, look: Callable[[], object]) -> None:
        """A look raises no candidate from 0, and does not touch what it cannot read."""
        before = self.stage.file.read_bytes()
        out = self.broken is None and not self.stage.weight
        try:
            look()
        finally:
            if self.broken is not None:
                assert self.stage.file.read_bytes() == before
            elif out:
                assert self.stage.weight == 0

    @rule(bad=st.booleans())
    def turn(self, bad: bool) -> None:
        self.stage.versions["v2"] = BAD if bad else GOOD

    @rule(when=st.sampled_from(["before", "after", "between"]))
    def crash(self, when: str) -> None:
        """While it edits, if it does within some looks; else between two of them."""
        real = atomic._rename

        def rename(source: Path, target: Path, flags: int) -> bool:
            if when == "before":
                raise Crash
            real(source, target, flags)
            raise Crash

        with mock.patch.object(atomic, "_rename", rename if when != "between" else real):
            for _ in range(4):
                try:
                    self.watched(self.stage.look)
                except Crash:
                    break
        self.stage.start()

    @precondition(lambda self: self.broken is None)
    @rule()
    def restart_gateway(self) -> None:
        """It begins with the file as it is; with one that is broken it would not."""
        (gateway,) = self.stage.source.gateways
        gateway.restart()
        with suppress(SourceError):
            gateway.evidence()

    @rule()
    def lose(self) -> None:
        self.stage.source.gateways[0].reachable = False

    @rule()
    def reach(self) -> None:
        self.stage.source.gateways[0].reachable = True

    @rule(seconds=st.sampled_from([-3 * DAY, -60.0, 60.0, 3 * DAY]), both=st.booleans())
    def jump(self, seconds: float, both: bool) -> None:
        self.jumped = True
        self.stage.clock.now += seconds
        self.stage.source.gateways[0]._until = self.stage.clock.now
        if both:
            self.stage.clock.awake += seconds

    # People.

    def edit(self, change: Change, action: str) -> None:
        """By command; it may be refused."""
        try:
            self.stage.edit(change, action)
        except GatewayError:
            return

    @rule(weight=st.sampled_from([0, 100, 500, 1000, 2500, 5000, 10000]))
    def set_weight(self, weight: int) -> None:
        self.edit(SetWeight("iris", "v2", weight), "set-weight")

    @rule()
    def start(self) -> None:
        self.edit(SetWeight("iris", "v2", 500), "start")

    @rule()
    def roll_back(self) -> None:
        self.edit(SetWeight("iris", "v2", 0), "rollback")

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.edit(SetPaused("iris", "v2", paused), "pause" if paused else "resume")

    @rule(version=st.sampled_from(["v1", "v2"]))
    def promote(self, version: str) -> None:
        self.edit(Promote("iris", version), "promote")

    def write(self, content: bytes) -> None:
        if content != self.stage.file.read_bytes():
            self.stage.file.write_bytes(content)
            self.hands += 1

    @precondition(lambda self: self.broken is None)
    @rule()
    def comment(self) -> None:
        self.write(self.stage.file.read_bytes() + b"# by hand\n")

    @precondition(lambda self: self.broken is None)
    @rule(port=st.integers(8200, 8203))
    def move(self, port: int) -> None:
        """Another model at another address."""
        text = self.stage.file.read_text()
        address = next(one.url for one in self.stage.route.version("v2").endpoints)
        self.write(text.replace(address, f"http://127.0.0.1:{port}").encode())

    @precondition(lambda self: self.broken is None)
    @rule()
    def write_as_at_first(self) -> None:
        """An old copy, with everything that it says."""
        self.write(TEXT.encode())

    @precondition(lambda self: self.broken is None)
    @rule(
        content=st.sampled_from([b"", b"routes: [", b"\xff", TEXT.replace("v1:", "v8:").encode()])
    )
    def break_it(self, content: bytes) -> None:
        self.whole = self.stage.file.read_bytes()
        self.write(content)
        self.broken = content

    @precondition(lambda self: self.broken is not None)
    @rule()
    def mend(self) -> None:
        if self.broken is not None:
            self.broken = None
            self.write(self.whole)

    # What holds.

    @invariant()
    def what_is_true(self) -> None:
        self.file_is_valid()
        self.history_explains_it()
        self.every_edit_of_the_controller_has_its_reason()

    def file_is_valid(self) -> None:
        content = self.stage.file.read_bytes()
        if self.broken is not None:
            assert content == self.broken
            return
        try:
            (route,) = parse(content).routes
        except ConfigError as error:
            raise AssertionError(content.decode()) from error
        assert sum(route.weight(version.name) for version in route.versions) == FULL_WEIGHT

    def history_explains_it(self) -> None:
        """And blames no hand for what a machine did."""
        entries = changes.read(self.stage.file)
        if entries:
            assert entries[-1].left == generation_of(self.stage.file.read_bytes())
        assert [entry.action for entry in entries].count(BY_HAND) <= self.hands

    def every_edit_of_the_controller_has_its_reason(self) -> None:
        """A verdict on this very file stands before it, which comes out the same again; for a raise
        it allows the weight.
        """
        rows, self.read = journal.tail(self.stage.file, self.read)
        for row in rows:
            if row["row"] in (VERDICT, WATCH) and row["case"]:
                record = Record.of(row)
                assert record is not None
                assert record.disagreement() == ""
                self.records.append(record)
            elif row["row"] == "intent" and row["by"] == "controller":
                last = self.records[-1]
                assert (str(last.action), last.generation) == (row["action"], row["before_hash"])
                if row["action"] in ("advance", "promote"):
                    assert last.kind == "Successful"
                    assert row["before"]["v2"] > 0
                else:
                    assert last.kind == "Failed"


TestRollout = Rollout.TestCase
# A failure is shown as it was found: making it smaller would take minutes.
TestRollout.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, phases=[Phase.generate]
)
