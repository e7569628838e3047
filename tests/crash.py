"""``python -m tests.crash``: a rollout whose controller is killed, wherever it can be killed.

A whole rollout on simulated gateways is watched once without a fault. Then each of its looks that
write anything is run again in a forked process that is killed (SIGKILL) between two bytecodes of
the modules that touch the disk, and another controller goes on from what lies there, to the end of
the story.

Boundaries between which nothing on the disk changes are one case, as only the disk survives a kill:
the first boundary of each case is tried. With ``--every N`` all that lies on the disk is read at
every boundary, which proves the cases, and the first, the last and every Nth boundary of each are
tried; ``--all`` is ``--every 1``. With ``--twice`` the next controller is killed, too, wherever the
first one left a temporary file behind.

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
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final, TypeAlias

from gateway.config import parse
from gateway.edit import SetWeight
from gateway.files import atomic, neighbour, reserve, routing_file
from gateway.model import FULL_WEIGHT, generation_of
from monitoring import editing
from monitoring.controller import herald, loop, witness
from monitoring.history import changes, chronicle, journal
from monitoring.history.changes import Entry, Status
from monitoring.judgement.replay import replay
from monitoring.notices.notice import Notice
from monitoring.notices.postman import OnOutcome, Outcome
from tests.simulation import Behaviour
from tests.stage import GOOD, Stage

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
        - {weight: 5, pause: 2s}
        - {weight: 25, pause: 2s}
        - {weight: 50, pause: 2s}
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
BAD: Final = Behaviour(bad=0.5)
TRACED: Final = {
    module.__file__
    for module in (
        *(atomic, neighbour, reserve, routing_file),
        *(chronicle, loop, editing, herald, changes, journal, witness),
    )
}
QUIET: Final = 3  # looks after the last edit
MOST_LOOKS: Final = 200
MOST_KILLS: Final = 2
STAYS: Final = {
    *("routing.yaml", "routing.history.jsonl"),
    *(".routing.yaml.lock", ".routing.yaml.reserve"),
}


@dataclass(frozen=True)
class Story:
    """A rollout: its file, and from which weight in percent on the candidate is bad."""

    text: str = TEXT
    bad_from: float = 101.0


STORIES: Final = {
    "promoted": Story(),
    "rolled back": Story(bad_from=25),
    "paused": Story(TEXT.replace("on_failure: rollback", "on_failure: pause"), bad_from=25),
}


Saved: TypeAlias = dict[Path, tuple[bytes, int]]


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


class Scene(Stage):
    """Of a story, in a directory of its own. The gateway outlives every controller."""

    def __init__(self, story: Story, place: Path) -> None:
        self.story = story
        self.directory = place
        self.diary = place.with_name("diary.jsonl")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        self.diary.write_bytes(b"")
        file = place / "routing.yaml"
        file.write_text(story.text)
        super().__init__(file, postman=lambda on_outcome: Diary(on_outcome, self.diary))

    def serve(self) -> None:
        """A second passes. The gateway takes the file as it is, and what it has counted by the end
        of that second stays counted, whoever is killed.
        """
        self.versions["v2"] = BAD if self.weight >= self.story.bad_from else GOOD
        self.source.evidence()
        self.clock.pass_(1.0)
        self.source.evidence()

    def tick(self) -> None:
        self.controller.tick()

    @property
    def over(self) -> bool:
        """Whether the story has come to its end."""
        paused = any(rollout.paused for rollout in self.route.rollouts)
        return self.stable == "v2" or paused or not self.weight

    @property
    def told(self) -> list[dict[str, str]]:
        """What people have heard."""
        return [json.loads(line) for line in self.diary.read_text().splitlines()]

    @property
    def litter(self) -> set[str]:
        """The names of what is not to stay."""
        return {file.name for file in self.directory.iterdir()} - STAYS

    def saved(self) -> Saved:
        """Everything on the disk."""
        files = sorted([*self.directory.iterdir(), self.diary])
        return {file: (file.read_bytes(), file.stat().st_mode) for file in files}

    def restore(self, saved: Saved) -> None:
        for file in [*self.directory.iterdir(), self.diary]:
            file.unlink()
        for file, (content, mode) in saved.items():
            file.write_bytes(content)
            file.chmod(mode)

    def print(self) -> str:
        """A name for all that lies on the disk. What is in a reserve means nothing."""
        found = blake2b(digest_size=8)
        for file in sorted([*self.directory.iterdir(), self.diary]):
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
        return (*seen, self.diary.stat().st_size)


@dataclass(frozen=True)
class Plan:
    """The rollout without a fault."""

    texts: Sequence[bytes]
    alerts: int  # notices of nothing that was done

    @property
    def edits(self) -> int:
        return len(self.texts) - 1

    def allowed(self, before: bytes) -> Sequence[bytes]:
        """What a look may leave that found this text."""
        return self.texts[self.texts.index(before) :][:2]


@dataclass(frozen=True)
class Case:
    """Boundaries from ``first`` to ``last`` of one look, counted from 1, with the same disk."""

    first: int
    last: int
    print: str
    where: str

    def tried(self, every: int) -> list[int]:
        """The boundaries to be killed at."""
        if not every:
            return [self.first]
        between = (one for one in range(self.first, self.last) if one % every == 0)
        return sorted({self.first, *between, self.last})


@dataclass
class Report:
    """What was tried, and what did not come out as it should."""

    looks: int = 0
    boundaries: int = 0
    cases: int = 0
    kills: int = 0
    continued: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)


# --- processes


def forked(act: Callable[[], object]) -> int:
    """Do it in a child; how that ended, as :func:`os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if not child:
        try:
            act()
            os._exit(0)
        except BaseException:
            print(traceback.format_exc(), flush=True)
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
    """Until it has come to its end."""
    scene = Scene(story, place)
    texts, quiet = [scene.file.read_bytes()], 0
    for _ in range(MOST_LOOKS):
        scene.serve()
        scene.tick()
        content = scene.file.read_bytes()
        if content != texts[-1]:
            texts.append(content)
        quiet = quiet + 1 if scene.over else 0
        if quiet == QUIET:
            return Plan(texts, len([one for one in scene.told if one["event"] == "error"]))
    raise AssertionError(f"no end of it: {changes.read(scene.file)}")


def cases_of(scene: Scene, *, thorough: bool) -> list[Case]:
    """Of the next look. ``thorough``: everything is read at every boundary."""
    place = scene.diary.with_name("cases.json")

    def scout() -> None:
        found: list[list[Any]] = []
        known: list[object] = [None]

        def at_boundary(number: int, frame: FrameType) -> None:
            seen = scene.print() if thorough else scene.glance()
            if seen != known[0]:
                known[0] = seen
                where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                found.append([number, number, scene.print(), where])
            found[-1][1] = number

        traced(scene.tick, at_boundary)
        place.write_text(json.dumps(found))

    assert forked(scout) == 0
    return [Case(*one) for one in json.loads(place.read_text())]


# --- what is checked


def check_killed(scene: Scene, plan: Plan, allowed: Sequence[bytes]) -> None:
    """At the moment of the kill: the file is whole and one of those it may be, and explained."""
    content = scene.file.read_bytes()
    assert content in allowed, content.decode()
    route = parse(content).route("iris")
    assert sum(route.weight(version.name) for version in route.versions) == FULL_WEIGHT
    check_history(scene, plan)


def check_history(scene: Scene, plan: Plan) -> list[Entry]:
    """It leads from the first text to the present one, through all that were there in between, and
    nobody did anything by hand.
    """
    texts = {generation_of(text): number for number, text in enumerate(plan.texts)}
    entries = changes.read(scene.file)
    known = generation_of(plan.texts[0])
    for entry in entries:
        assert entry.action != changes.BY_HAND, entry
        assert entry.before_hash == known, entry
        assert texts[entry.after_hash] == texts[entry.before_hash] + 1, entry
        assert entry.status in (Status.DONE, Status.INTERRUPTED), entry
        known = entry.left
    assert known == generation_of(scene.file.read_bytes()), entries
    return entries


def check_goes_on(scene: Scene, plan: Plan) -> None:
    """Another controller brings the story to the same end, from text to text."""
    another(scene)
    at, quiet = plan.texts.index(scene.file.read_bytes()), 0
    for _ in range(MOST_LOOKS):
        scene.serve()
        scene.tick()
        now = plan.texts.index(scene.file.read_bytes())
        assert now in (at, at + 1), f"from text {at} to text {now}"
        at, quiet = now, quiet + 1 if now == at else 0
        if at == plan.edits and quiet >= QUIET:
            break
    assert at == plan.edits, f"it stays at text {at} of {plan.edits}"
    entries = check_history(scene, plan)
    made = [entry for entry in entries if entry.status is Status.DONE]
    assert len(made) == plan.edits, entries
    check_replay(scene, len(entries))
    check_told(scene, plan, made)
    check_no_litter(scene)


def another(scene: Scene) -> None:
    """A controller, in another process: its ids are its own."""
    changes.new_id = ids(from_=int(changes.new_id(), 16) + 1000)
    scene.start()


def check_replay(scene: Scene, edits: int) -> None:
    """Every decision comes out the same again, and follows from a verdict before it."""
    found = replay(journal.rows(scene.file))
    assert found.disagreements == []
    assert found.edits == edits
    assert found.verdicts


def check_told(scene: Scene, plan: Plan, made: Sequence[Entry]) -> None:
    """At least once of each edit that people are told of, and of nothing that was not made. Alerts
    are told again by each controller.
    """
    alerts = [one for one in scene.told if one["event"] == "error"]
    told = [one for one in scene.told if one["event"] != "error"]
    due = {entry.id: entry.action for entry in made if entry.action != "advance"}
    assert {one["id"]: one["event"] for one in told} == due, told
    assert len(told) <= len(due) + MOST_KILLS, told  # who was killed before it said that it told
    assert bool(plan.alerts) <= len(alerts) <= plan.alerts * (1 + MOST_KILLS), alerts


def check_no_litter(scene: Scene) -> None:
    """After the next edit, of whatever, by whomever."""
    change = SetWeight("spare", "v2", 100)
    editing.change(scene.file, change, by="cli:ana", reason="", action="set-weight")
    assert not scene.litter


def ids(from_: int = 0) -> Callable[[], str]:
    """In place of random ones, so that a look writes the same each time."""
    numbers = count(from_)
    return lambda: f"{next(numbers):012x}"


# --- all of it


def tried(scene: Scene, plan: Plan, report: Report, *, after: int, every: int, twice: bool) -> None:
    """Every look to the end, killed where it writes once so many edits were made; and then the
    undisturbed look.
    """
    quiet = 0
    while quiet < QUIET:
        scene.serve()
        saved, allowed = scene.saved(), plan.allowed(scene.file.read_bytes())
        scene.restore(saved)  # directories are listed in the same order from here on
        begun = allowed[0] in plan.texts[after:]
        cases = cases_of(scene, thorough=every > 0) if begun else []
        scene.restore(saved)
        if len(cases) > 1:
            report.looks += 1
            report.cases += len(cases)
            report.boundaries += cases[-1].last
            for case in cases:
                try_case(scene, plan, case, saved, allowed, report, every, twice)
        scene.tick()
        quiet = quiet + 1 if scene.over else 0


def try_case(
    scene: Scene,
    plan: Plan,
    case: Case,
    saved: Saved,
    allowed: Sequence[bytes],
    report: Report,
    every: int,
    twice: bool,
) -> None:
    """Kill, look at what is left, and go on from there: once for each different disk."""
    continued = set()
    for boundary in case.tried(every):
        code = forked(lambda at=boundary: traced(scene.tick, kill_at(at)))
        report.kills += 1
        try:
            assert code == -signal.SIGKILL, f"it ended with {code}"
            found = scene.print()
            assert found == case.print, "another disk than the scout's"
            if found not in continued:
                continued.add(found)
                report.continued += 1
                check_killed(scene, plan, allowed)
                left = scene.saved()
                assert forked(lambda: check_goes_on(scene, plan)) == 0, "see above"
                scene.restore(left)
                if twice and scene.litter:
                    report.add(killed_again(scene, plan))
        except AssertionError as error:
            where = f"{scene.clock.now:.0f} s, boundary {boundary} at {case.where}"
            report.failures.append(f"{where}: {error}")
        scene.restore(saved)


def killed_again(scene: Scene, plan: Plan) -> Report:
    """The next controller as well, until it has come to the end of the story."""
    place = scene.diary.with_name("again.json")

    def again() -> None:
        found = Report()
        another(scene)
        tried(scene, plan, found, after=0, every=0, twice=False)
        place.write_text(json.dumps(asdict(found)))

    assert forked(again) == 0, "see above"
    return Report(**json.loads(place.read_text()))


def told(story: str, *, after: int, every: int, twice: bool) -> Report:
    """One story, from the beginning."""
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        changes.new_id = ids()
        plan = rehearsed(STORIES[story], Path(directory, "rehearsal"))
        changes.new_id = ids()
        scene = Scene(STORIES[story], Path(directory, "scene"))
        tried(scene, plan, report, after=after, every=every, twice=twice)
        assert scene.file.read_bytes() == plan.texts[-1]
    return report


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--story", choices=STORIES, action="append", default=[])
    parser.add_argument("--after", type=int, default=0, help="only once so many edits were made")
    parser.add_argument("--twice", action="store_true", help="and the next controller, too")
    parser.add_argument("--every", type=int, default=0, help="and at every Nth boundary: minutes")
    parser.add_argument(
        "--all", action="store_const", dest="every", const=1, help="at every boundary: hours"
    )
    return parser.parse_args()


def main() -> None:
    asked = options()
    os.fsync = lambda _descriptor: None  # the process ends, not the machine
    failed = False
    for name in asked.story or STORIES:
        began = monotonic()
        report = told(name, after=asked.after, every=asked.every, twice=asked.twice)
        for failure in report.failures:
            print(f"{name}: {failure}", flush=True)
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
