"""Edits by separate processes that get in each other's way, are killed, and crash at every line.

The tests start this same file as the other processes: see the roles at its end.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gateway.config import parse
from gateway.edit import SetWeight
from gateway.errors import ConfigError, StaleEdit
from gateway.files import atomic, neighbour, reserve, routing_file
from gateway.model import generation_of
from monitoring import editing
from monitoring.history import changes, journal
from monitoring.history.changes import BY_HAND, Entry, Status, history_path

TEXT = """\
# Who answers /predict - für alle

routes:
  iris:   # the flowers

    stable: v1   # tried
    versions:
      v1: {url: "http://127.0.0.1:8101"}

      v2: {url: "http://127.0.0.1:8102", weight: 0}   # one machine's
      v3:
        url: http://127.0.0.1:8103
        weight: 7   # the other's

# saves: 0
"""
DEADLINE = 60.0  # seconds until a process that should have ended is taken for hanging

EDITS, SAVES = 150, 300  # per process
KILLS = 45


def layout(text: str) -> str:
    """The text without what the processes may change."""
    return re.sub(r"(weight|saves): [\d.]+", r"\1:", text)


def has_layout(content: bytes) -> bool:
    return layout(content.decode()) == layout(TEXT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "live" / "routing.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    return file


class Processes:
    """Other processes running a role of this file; none outlives the test."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[str]] = []

    def start(self, *role: object) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, *map(str, role)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._all.append(process)
        return process

    def kill(self) -> None:
        for process in self._all:
            process.kill()
            process.communicate()


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.kill()


def told(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """The JSON lines a process has printed by its good end."""
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in output.splitlines()]


class Chain:
    """What happened to the file, from the history of the machines and the log of the editor.

    All contents differ: machines only ever set new weights, the editor counts its saves.
    """

    def __init__(
        self, entries: list[Entry], saves: list[dict[str, Any]], kept_aside: set[str]
    ) -> None:
        self.edits = [entry for entry in entries if entry.status is Status.DONE and entry.id]
        self.made = {entry.after_hash: entry for entry in self.edits}
        assert len(self.made) == len(self.edits)
        self.saves = {generation_of(TEXT.encode()): 0}
        self.saves |= {save["saved"]: index for index, save in enumerate(saves, 1)}
        # Seen for an instant, until the save that had come out was put back; or until the next
        # save of the same instant was, and the first one kept aside.
        self.passing = {entry.after_hash for entry in entries if entry.status is Status.CONFLICT}
        self.passing |= kept_aside

    def last_save(self, generation: str) -> int:
        """The number of the save this content goes back to, by machine edits alone."""
        while generation in self.made:
            generation = self.made[generation].before_hash
        return self.saves[generation]

    def check(self, entries: list[Entry], saves: list[dict[str, Any]], present: str) -> None:
        # No edit was made from a text that another edit was made from: none is lost to another.
        assert len({entry.before_hash for entry in self.edits}) == len(self.edits)
        # Each edit begins where the one before it ended, or at a save made since.
        known, number = generation_of(TEXT.encode()), 0
        for entry in self.edits:
            if entry.before_hash != known:
                assert self.saves[entry.before_hash] > number
            number = self.last_save(entry.before_hash)
            known = entry.after_hash
        # No edit took away a save: what the editor finds later goes back to its own last save.
        for index, save in enumerate(saves):
            assert save["read"] in self.passing or self.last_save(save["read"]) == index
        assert self.last_save(present) == len(saves)
        # The history explains the present.
        explained = [entry for entry in entries if entry.status is Status.DONE]
        assert explained[-1].after_hash == present
        for earlier, later in pairwise(explained):
            assert earlier.after_hash == later.before_hash


@pytest.mark.skipif(atomic._renameat2 is None, reason="files cannot change places here")
@pytest.mark.parametrize("editor", ["renames", "in-place"])
def test_no_edit_and_no_save_is_lost(path: Path, processes: Processes, editor: str) -> None:
    machines = [processes.start("machine", path, version, EDITS) for version in ("v2", "v3")]
    person = processes.start("editor", path, editor, SAVES)
    # In place, a reader naturally meets half-written text.
    reader = processes.start("reader", path) if editor == "renames" else None
    edits = [row for machine in machines for row in told(machine)]
    saves = told(person)
    if reader:
        # Closing its input ends it; it fails by itself at the first text that is not whole.
        assert told(reader)[0]["looks"] > 0

    entries = changes.read(path)
    kept = {name for name in neighbours(path) if name.startswith("routing.yaml.saved-")}
    chain = Chain(entries, saves, {name[-12:] for name in kept})
    chain.check(entries, saves, routing_file.read(path).generation)
    done = [entry for entry in entries if entry.status is Status.DONE and entry.action != BY_HAND]
    assert sorted(entry.after_hash for entry in done) == sorted(row["after"] for row in edits)
    assert has_layout(path.read_bytes())
    assert neighbours(path) - kept == {"routing.history.jsonl", ".routing.yaml.lock"}


@pytest.mark.parametrize(
    "role",
    [
        "kills",
        "crashes",
        "crashes-with-save",
        "crashes-without-swap",
        "crashes-on-a-full-disk",
        "crashes-unrecorded",
    ],
)
def test_whenever_an_edit_ends_the_file_is_whole_and_explained(
    path: Path, processes: Processes, role: str
) -> None:
    """By ``kill -9`` at random instants, and by ending at each line of the modules concerned: as it
    is, with a save at the worst moment, where files cannot change places, and on a full disk where
    the history finds room in the reserve, or none.
    """
    [report] = told(processes.start(role, path))
    assert report["ended"] >= (KILLS if role == "kills" else 40)
    if role != "kills":
        assert report["old"] > 0
        assert report["new"] > 0


def neighbours(path: Path) -> set[str]:
    return {file.name for file in path.parent.iterdir()} - {path.name}


# Roles of the other processes. They report by JSON lines and fail with a traceback.


def tell(**row: object) -> None:
    print(json.dumps(row), flush=True)


def set_weight(path: Path, version: str, weight: int, generation: str | None = None) -> str:
    made = editing.change(
        path,
        SetWeight("iris", version, weight),
        by=f"process:{version}",
        reason="",
        action="set-weight",
        if_generation=generation,
    )
    return made.generation


def machine(path: Path, version: str, edits: str) -> None:
    """Set ever new weights, each decided on what the file says at the time."""
    for weight in range(1, int(edits) + 1):
        try:
            seen = routing_file.read(path).generation
            tell(after=set_weight(path, version, weight, seen))
        except (StaleEdit, ConfigError):
            continue  # the second: half of an in-place save


def editor(path: Path, manner: str, saves: str) -> None:
    """A person: reads, thinks, changes a comment, saves. Knows of no lock."""
    thinking = random.Random(5)
    for number in range(1, int(saves) + 1):
        time.sleep(thinking.uniform(0.0002, 0.006))
        read = path.read_bytes()
        time.sleep(thinking.uniform(0, 0.001))
        text = re.sub(rb"saves: \d+", b"saves: %d" % number, read)
        if manner == "renames":
            copy = path.with_name("copy~")
            copy.write_bytes(text)
            copy.rename(path)
        else:
            with path.open("wb", buffering=0) as file:
                file.write(text[:-12])
                file.write(text[-12:])
        tell(read=generation_of(read), saved=generation_of(text))


def reader(path: Path) -> None:
    """Look at the file until standard input ends; every text must be whole."""
    os.set_blocking(sys.stdin.fileno(), False)
    looks = 0
    seen: set[bytes] = set()
    while sys.stdin.buffer.read(1) is None:
        looks += 1
        content = path.read_bytes()
        if content not in seen:
            parse(content)
            assert has_layout(content)
            seen.add(content)
    tell(looks=looks)


def forked(act: Callable[[], object]) -> int:
    """Do it in a child of this process."""
    child = os.fork()
    if child:
        return child
    try:
        act()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def kills(path: Path) -> None:
    """Fork editing processes one after the other and kill each at a random instant."""
    instants = random.Random(11)
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        weight = parse(path.read_bytes()).route("iris").version("v2").weight
        reading, writing = os.pipe()

        def edit_on(weight: int = weight, pipe: int = writing) -> None:
            while True:
                weight += 1
                os.write(pipe, set_weight(path, "v2", weight).encode())

        child = forked(edit_on)
        os.close(writing)
        answers = os.read(reading, 12)  # it is at work
        time.sleep(instants.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            answers += pipe.read()
        assert answers
        acknowledged |= {answers[i : i + 12].decode() for i in range(0, len(answers), 12)}

        content = path.read_bytes()
        assert has_layout(content)
        entries = changes.read(path)
        check_history(entries, generation_of(content))
        assert acknowledged <= {e.after_hash for e in entries if e.status is Status.DONE}
    set_weight(path, "v3", 1)
    assert neighbours(path) == {"routing.history.jsonl", ".routing.yaml.lock"}
    unfinished = sum(entry.status is Status.INTERRUPTED for entry in entries)
    tell(ended=KILLS, edits=len(acknowledged), unfinished=unfinished)


def check_history(entries: list[Entry], present: str) -> None:
    """Nobody edited by hand, so the entries alone must lead to the present."""
    known = generation_of(TEXT.encode())
    for entry in entries:
        assert entry.before_hash == known
        assert entry.status in (Status.DONE, Status.INTERRUPTED)
        known = entry.after_hash if entry.status is Status.DONE else known
    assert known == present


TRACED = {
    module.__file__
    for module in (atomic, neighbour, reserve, routing_file, editing, changes, journal)
}


def crash_at(line: int, edit: Callable[[], object]) -> None:
    """Edit, and end this process at the n-th line of the traced modules."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if event == "call":
            return trace if frame.f_code.co_filename in TRACED else None
        if event == "line":
            count += 1
            if count == line:
                os._exit(9)
        return trace

    sys.settrace(trace)
    with suppress(StaleEdit):
        edit()
    sys.settrace(None)


def crashes(
    path: Path,
    prepare: Callable[[], object] = lambda: None,
    edit: Callable[[Path], object] = lambda path: set_weight(path, "v2", 1),
    reserves: bool = False,
) -> None:
    """End an edit at its first line, at its second, and so on until it comes to its end; with
    ``reserves``, where there are many more and each takes longer, at every third.
    """
    os.fsync = lambda _descriptor: None  # the process ends, not the machine
    old = new = ended = 0
    code = 9
    while code == 9:
        ended += 3 if reserves else 1
        for name in neighbours(path):
            path.with_name(name).unlink()
        path.write_text(TEXT)
        if reserves:
            path.write_text(TEXT.replace("weight: 7", "weight: 6"))
            set_weight(path, "v3", 700)
            assert not editing.prepare(path)

        def crash(line: int = ended) -> None:
            prepare()
            crash_at(line, lambda: edit(path))

        code = os.waitstatus_to_exitcode(os.waitpid(forked(crash), 0)[1])
        assert code in (0, 9)
        check_crashed(path)
        old += path.read_text() == TEXT
        new += path.read_text() in (EDITED, ROLLED_BACK)
        if reserves:
            check_next_rollback(path)
        check_next_edit(path, {".routing.yaml.reserve"} if reserves else set())
    tell(ended=ended, old=old, new=new)


EDITED = TEXT.replace("weight: 0}", "weight: 0.01}")
SAVED = TEXT.replace("saves: 0", "saves: 1")
ROLLED_BACK = TEXT.replace("weight: 7", "weight: 0")


def check_crashed(path: Path) -> None:
    """The file is one of those that may be, and the history leads to it."""
    content = path.read_bytes()
    assert content.decode() in (TEXT, EDITED, SAVED, ROLLED_BACK)
    present = generation_of(content)
    entries = changes.read(path, present)
    assert len({entry.id for entry in entries}) == len(entries)
    done = [entry.after_hash for entry in entries if entry.status is Status.DONE]
    assert [generation_of(TEXT.encode()), *done][-1] == present


def check_next_rollback(path: Path) -> None:
    """While the disk is still full, it works, and the history still leads to the file."""
    child = forked(lambda: (fill_disk(path, hungry=False), roll_back(path)))
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_text() == ROLLED_BACK
    check_crashed(path)


def check_next_edit(path: Path, left: set[str]) -> None:
    """It works, brings back a save that lay in a dead process's hands, and leaves no litter."""
    files = (file for file in path.parent.iterdir() if file.suffix != ".jsonl")
    saved = any(b"saves: 1" in file.read_bytes() for file in files)
    set_weight(path, "v3", 500)
    content = path.read_bytes()
    assert has_layout(content)
    assert b"weight: 5 " in content
    assert (b"saves: 1" in content) == saved
    done = [entry for entry in changes.read(path) if entry.status is Status.DONE]
    assert done[-1].after_hash == generation_of(content)
    assert neighbours(path) - left == {"routing.history.jsonl", ".routing.yaml.lock"}


def roll_back(path: Path) -> None:
    editing.change(
        path,
        SetWeight("iris", "v3", 0),
        by="process",
        reason="",
        action="rollback",
        even_unrecorded=True,
    )


def fill_disk(path: Path, *, hungry: bool) -> None:
    """From now on this process can make no file, and write no row until the reserve gave blocks
    away; nor then, where somebody else is hungry.
    """
    real_open, real_write, real_truncate = os.open, os.write, os.ftruncate
    rows: set[int] = set()
    full = True

    def open_(file: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        descriptor = real_open(file, flags, *mode)
        rows.discard(descriptor)
        if str(file) == str(history_path(path)):
            rows.add(descriptor)
        return descriptor

    def write(descriptor: int, data: bytes) -> int:
        if descriptor in rows and full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(descriptor, data)

    def truncate(descriptor: int, size: int) -> None:
        nonlocal full
        full = hungry
        real_truncate(descriptor, size)

    os.open, os.write, os.ftruncate = open_, write, truncate  # type: ignore[assignment]


def crashes_on_a_full_disk(path: Path) -> None:
    """A rollback that lives on the reserve, and so does its row of the history."""
    crashes(path, lambda: fill_disk(path, hungry=False), roll_back, reserves=True)


def crashes_unrecorded(path: Path) -> None:
    """The same where somebody else takes what the reserve gives away."""
    crashes(path, lambda: fill_disk(path, hungry=True), roll_back, reserves=True)


def crashes_with_save(path: Path) -> None:
    """The same, with a person who saves between the last compare and the swap."""
    real = atomic._rename

    def rename(source: Path, target: Path, flags: int) -> bool:
        if target.read_text() == TEXT:
            copy = target.with_name("copy~")
            copy.write_text(SAVED)
            copy.rename(target)
        return real(source, target, flags)

    crashes(path, lambda: setattr(atomic, "_rename", rename))


def crashes_without_swap(path: Path) -> None:
    """The same where the kernel has no exchange."""
    atomic._renameat2 = None
    crashes(path)


ROLES: dict[str, Callable[..., None]] = {
    "machine": machine,
    "editor": editor,
    "reader": reader,
    "kills": kills,
    "crashes": crashes,
    "crashes-with-save": crashes_with_save,
    "crashes-without-swap": crashes_without_swap,
    "crashes-on-a-full-disk": crashes_on_a_full_disk,
    "crashes-unrecorded": crashes_unrecorded,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
