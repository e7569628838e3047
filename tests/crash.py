"""``python -m tests.crash``: a rollout whose controller is killed, wherever it can be killed.

A whole rollout on simulated gateways is watched once without a fault. Then each of its looks that
write anything is run again in a forked process that is killed (SIGKILL) between two bytecodes of
the modules that touch the disk, and another controller goes on from what lies there, to the end of
the story. Boundaries between which nothing on the disk changes are one case, and only the disk
survives a kill: without ``--all`` the first boundary of each case is tried; with it every one, and
what lies on the disk after each kill is compared with what its case says.

Exit code 1 if a file was not valid, if a weight was none of those that the undisturbed rollout went
through, one after the other, if the history does not explain the file, if a decision does not come
out the same again, if somebody was not told, told wrongly, or if litter was left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final

from gateway import atomic, neighbour, reserve, routing_file
from gateway.config import parse
from gateway.edit import SetWeight
from gateway.model import FULL_WEIGHT, generation_of
from monitoring import chronicle, controller, editing, herald, history, journal, witness
from monitoring.history import Entry, Status
from monitoring.notices import Notice
from monitoring.postman import OnOutcome, Outcome
from monitoring.replay import replay
from tests.controllers import make_controller
from tests.simulation import Behaviour, Clock, SimulatedGateway, SimulatedGateways

TEXT = """\
routes:
  iris:
    match: {path: /iris}
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}   # the new one
    rollout:
      candidate: v2
      steps:
        - {weight: 5, pause: 3s}
        - {weight: 25, pause: 3s}
        - {weight: 50, pause: 3s}
      on_failure: rollback
      on_success: promote
    analysis: {errors: {max_increase: 10%}}
  spare:
    match: {path: /spare}
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8103"}
      v2: {url: "http://127.0.0.1:8104"}
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""
GOOD: Final = Behaviour()
BAD: Final = Behaviour(bad=0.5)
TRACED: Final = {
    module.__file__
    for module in (
        *(atomic, neighbour, reserve, routing_file),
        *(chronicle, controller, editing, herald, history, journal, witness),
    )
}
QUIET: Final = 3  # looks after the last edit
MOST_LOOKS: Final = 200
STAYS: Final = {
    *("routing.yaml", "routing.history.jsonl"),
    *(".routing.yaml.lock", ".routing.yaml.reserve"),
}


@dataclass(frozen=True)
class Story:
    """A rollout: its file, and from which weight in percent on the candidate is bad."""

    text: str = TEXT
    bad_from: float = 101.0

    def behaves(self, version: str, weight: float) -> Behaviour:
        return BAD if version == "v2" and weight >= self.bad_from else GOOD


STORIES: Final = {
    "promoted": Story(),
    "rolled back": Story(bad_from=25),
    "paused": Story(TEXT.replace("on_failure: rollback", "on_failure: pause"), bad_from=25),
}


class Diary:
    """In place of the postman: delivers at once, into a file that outlives whoever told."""

    def __init__(self, on_outcome: OnOutcome, place: Path) -> None:
        self._on_outcome = on_outcome
        self._place = place

    def tell(self, webhooks: Any, notice: Notice) -> None:
        line = json.dumps({"id": notice.id, "event": notice.event, "text": notice.text}) + "\n"
        with self._place.open("ab", buffering=0) as file:
            file.write(line.encode())
        for one in webhooks:
            self._on_outcome(notice, one.url, Outcome.DELIVERED)

    def close(self, patience: float) -> None:
        """Nothing is under way."""


class Stage:
    """A file in a directory of its own, a gateway that outlives every controller, and the
    controller of the present.
    """

    def __init__(self, story: Story, place: Path) -> None:
        self.directory = place
        self.file = place / "routing.yaml"
        self.told = place.with_name("told.jsonl")
        self.clock = Clock()
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        self.file.write_text(story.text)
        self.told.write_bytes(b"")

        def behaves(version: str, _: float) -> Behaviour:
            return story.behaves(version, self.weight)

        gateway = SimulatedGateway(self.file, self.clock, behaves, per_second=200)
        self.source = SimulatedGateways([gateway])
        self.source.evidence()
        self.start()

    def start(self) -> None:
        """A controller that knows nothing but what lies on the disk."""
        self.controller = make_controller(
            self.file,
            self.source,
            clock=self.clock.time,
            monotonic=self.clock.monotonic,
            postman=lambda on_outcome: Diary(on_outcome, self.told),
        )

    def serve(self) -> None:
        """A second passes. The gateway takes the file as it is, and what it has counted by the end
        of that second stays counted, whoever is killed.
        """
        self.source.evidence()
        self.clock.pass_(1.0)
        self.source.evidence()

    def look(self) -> None:
        self.controller.tick()

    @property
    def weight(self) -> float:
        return parse(self.file.read_bytes()).route("iris").version("v2").weight / 100

    def saved(self) -> dict[Path, tuple[bytes, int]]:
        """Everything on the disk."""
        files = [*self.directory.iterdir(), self.told]
        return {file: (file.read_bytes(), file.stat().st_mode) for file in files}

    def restore(self, saved: dict[Path, tuple[bytes, int]]) -> None:
        for file in [*self.directory.iterdir(), self.told]:
            file.unlink()
        for file, (content, mode) in saved.items():
            file.write_bytes(content)
            file.chmod(mode)

    def print(self) -> str:
        """A name for all that lies on the disk. What is in a reserve means nothing."""
        found = blake2b(digest_size=8)
        for file in sorted([*self.directory.iterdir(), self.told]):
            content = file.read_bytes()
            of_reserve = file in (reserve.place(self.file), reserve.half_made(self.file))
            found.update(f"{file.name} {len(content)} {file.stat().st_mode}\n".encode())
            found.update(b"" if of_reserve else content)
        return found.hexdigest()

    def glance(self) -> tuple[object, ...]:
        """What changes when anything on the disk does; cheaper than its name."""
        with os.scandir(self.directory) as entries:
            stats = sorted((one.name, one.stat(follow_symlinks=False)) for one in entries)
        seen = [(name, one.st_ino, one.st_size, one.st_mode) for name, one in stats]
        return (*seen, self.told.stat().st_size)


@dataclass(frozen=True)
class Plan:
    """The rollout without a fault."""

    texts: Sequence[bytes]
    writing: Sequence[int]  # the looks that change anything on the disk, counted from 1
    edits: int


@dataclass(frozen=True)
class Case:
    """Boundaries from ``first`` to ``last`` of one look, counted from 1, with the same disk."""

    first: int
    last: int
    print: str
    where: str


@dataclass
class Report:
    """What was tried, and what did not come out as it should."""

    looks: int = 0
    boundaries: int = 0
    cases: int = 0
    kills: int = 0
    continued: int = 0
    failures: list[str] = field(default_factory=list)


# --- processes


def forked(act: Callable[[], object]) -> int:
    """Do it in a child; how that ended, as :func:`os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if not child:
        try:
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def traced(act: Callable[[], object], at_boundary: Callable[[int, FrameType], None]) -> None:
    """Do it, and call back before every bytecode of the traced modules."""
    counter = count(1)

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "call":
            if frame.f_code.co_filename not in TRACED:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            at_boundary(next(counter), frame)
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)


def kill_at(boundary: int) -> Callable[[int, FrameType], None]:
    def at_boundary(number: int, _frame: FrameType) -> None:
        if number == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    return at_boundary


# --- the undisturbed story, and where it can be killed


def rehearsed(story: Story, place: Path) -> Plan:
    """Until nothing more happens."""
    stage = Stage(story, place)
    texts, writing, quiet = [stage.file.read_bytes()], [], 0
    for number in range(1, MOST_LOOKS):
        before = stage.print()
        stage.serve()
        stage.look()
        if stage.print() != before:
            writing.append(number)
        content = stage.file.read_bytes()
        quiet = quiet + 1 if content == texts[-1] else 0
        if content != texts[-1]:
            texts.append(content)
        if quiet >= QUIET and len(texts) > 1 and over(stage):
            return Plan(texts, writing, len(texts) - 1)
    raise AssertionError(f"no end of it: {history.read(stage.file)}")


def over(stage: Stage) -> bool:
    """Whether the story has come to its end."""
    route = parse(stage.file.read_bytes()).route("iris")
    paused = any(rollout.paused for rollout in route.rollouts)
    return route.stable == "v2" or paused or not route.version("v2").weight


def cases_of(stage: Stage, place: Path, *, thorough: bool) -> list[Case]:
    """Of the next look. ``thorough``: everything is read at every boundary."""

    def scout() -> None:
        found: list[list[Any]] = []
        known: list[object] = [None]

        def at_boundary(number: int, frame: FrameType) -> None:
            seen = stage.print() if thorough else stage.glance()
            if seen != known[0]:
                known[0] = seen
                where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                found.append([number, number, stage.print(), where])
            found[-1][1] = number

        traced(stage.look, at_boundary)
        place.write_text(json.dumps(found))

    assert forked(scout) == 0
    return [Case(*one) for one in json.loads(place.read_text())]


# --- what is checked


def check_killed(stage: Stage, plan: Plan, allowed: Sequence[bytes]) -> None:
    """At the moment of the kill: the file is whole and one of those it may be, and explained."""
    content = stage.file.read_bytes()
    assert content in allowed, content.decode()
    route = parse(content).route("iris")
    assert sum(route.weight(version.name) for version in route.versions) == FULL_WEIGHT
    check_history(stage, plan)


def check_history(stage: Stage, plan: Plan) -> list[Entry]:
    """It leads from the first text to the present one, through all that were there in between, and
    nobody did anything by hand.
    """
    texts = {generation_of(text): number for number, text in enumerate(plan.texts)}
    entries = history.read(stage.file)
    known = generation_of(plan.texts[0])
    for entry in entries:
        assert entry.action != history.BY_HAND, entry
        assert entry.before_hash == known, entry
        assert texts[entry.after_hash] == texts[entry.before_hash] + 1, entry
        assert entry.status in (Status.DONE, Status.INTERRUPTED), entry
        known = entry.left
    assert known == generation_of(stage.file.read_bytes()), entries
    return entries


def check_goes_on(stage: Stage, plan: Plan) -> None:
    """Another controller brings the story to the same end, from text to text."""
    history.new_id = ids(from_=1 << 24)
    stage.start()
    at, quiet = plan.texts.index(stage.file.read_bytes()), 0
    for _ in range(MOST_LOOKS):
        stage.serve()
        stage.look()
        now = plan.texts.index(stage.file.read_bytes())
        assert now in (at, at + 1), f"from text {at} to text {now}"
        at, quiet = now, quiet + 1 if now == at else 0
        if at == plan.edits and quiet >= QUIET:
            break
    assert at == plan.edits, f"it stays at text {at} of {plan.edits}"
    entries = check_history(stage, plan)
    made = [entry for entry in entries if entry.status is Status.DONE]
    assert len(made) == plan.edits, entries
    check_replay(stage, len(entries))
    check_told(stage, made)
    check_no_litter(stage)


def check_replay(stage: Stage, edits: int) -> None:
    """Every decision comes out the same again, and follows from a verdict before it."""
    found = replay(journal.rows(stage.file))
    assert found.disagreements == []
    assert found.edits == edits
    assert found.verdicts


def check_told(stage: Stage, made: Sequence[Entry]) -> None:
    """At least once of each edit that people are told of, and of nothing else."""
    told = [json.loads(line) for line in stage.told.read_text().splitlines()]
    due = {entry.id: entry.action for entry in made if entry.action != "advance"}
    assert {one["id"]: one["event"] for one in told} == due, told
    assert len(told) <= len(due) + 1, told  # only who was killed before it said that it told


def check_no_litter(stage: Stage) -> None:
    """After the next edit, of whatever, by whomever."""
    change = SetWeight("spare", "v2", 100)
    editing.change(stage.file, change, by="cli:ana", reason="", action="set-weight")
    assert {file.name for file in stage.directory.iterdir()} <= STAYS


def ids(from_: int = 0) -> Callable[[], str]:
    """In place of random ones, so that a look writes the same each time."""
    numbers = count(from_)
    return lambda: f"{next(numbers):012x}"


# --- all of it


def tried(story: Story, place: Path, *, exhaustive: bool) -> Report:
    """Every look that writes, killed at the boundaries; then the undisturbed look."""
    report = Report()
    history.new_id = ids()
    plan = rehearsed(story, place / "rehearsal")
    history.new_id = ids()
    stage = Stage(story, place / "stage")
    for number in range(1, plan.writing[-1] + 1):
        stage.serve()
        saved, before = stage.saved(), stage.file.read_bytes()
        cases: list[Case] = []
        if number in plan.writing:
            cases = cases_of(stage, place / "cases.json", thorough=exhaustive)
            stage.restore(saved)
            report.looks += 1
            report.cases += len(cases)
            report.boundaries += cases[-1].last
        allowed = plan.texts[plan.texts.index(before) :][:2]
        for case in cases:
            try_case(stage, plan, number, case, saved, allowed, report, exhaustive=exhaustive)
        stage.look()
    assert stage.file.read_bytes() == plan.texts[-1]
    return report


def try_case(
    stage: Stage,
    plan: Plan,
    look: int,
    case: Case,
    saved: dict[Path, tuple[bytes, int]],
    allowed: Sequence[bytes],
    report: Report,
    *,
    exhaustive: bool,
) -> None:
    """Kill, look at what is left, and go on from there: once for each different disk."""
    every = range(case.first, case.last + 1)
    continued = set()
    for boundary in every if exhaustive else every[:1]:
        code = forked(lambda at=boundary: traced(stage.look, kill_at(at)))
        report.kills += 1
        try:
            assert code == -signal.SIGKILL, f"it ended with {code}"
            found = stage.print()
            assert found == case.print, "another disk than the scout's"
            if found not in continued:
                continued.add(found)
                report.continued += 1
                check_killed(stage, plan, allowed)
                ended = forked(lambda: check_goes_on(stage, plan))
                assert ended == 0, "see above"
        except AssertionError as error:
            report.failures.append(f"look {look}, boundary {boundary} at {case.where}: {error}")
        stage.restore(saved)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--story", choices=STORIES, action="append", default=[])
    parser.add_argument("--all", action="store_true", help="kill at every boundary: many minutes")
    return parser.parse_args()


def main() -> None:
    asked = options()
    os.fsync = lambda _descriptor: None  # the process ends, not the machine
    failed = False
    for name in asked.story or STORIES:
        began = monotonic()
        with tempfile.TemporaryDirectory() as place:
            report = tried(STORIES[name], Path(place), exhaustive=asked.all)
        for failure in report.failures:
            print(f"{name}: {failure}", file=sys.stderr)
        failed = failed or bool(report.failures)
        print(
            f"{name}: {report.boundaries} boundaries in {report.looks} looks that write, "
            f"{report.cases} cases; killed {report.kills} times, gone on from {report.continued} "
            f"disks; {len(report.failures)} failures; {monotonic() - began:.0f} s",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
