"""Files of lines on a disk: how they grow and give way to others, and what may go wrong."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.counting.gauges import Sink
from gateway.model import Rotation
from gateway.writing.logbook import Lost
from gateway.writing.logfile import Files
from gateway.writing.scribe import STDOUT, Book

ROOT = Path(__file__).parents[2]
DAY = 86_400.0


@dataclass
class Folder:
    """A file in a directory of its own. ``now`` is Unix time."""

    path: Path
    rotation: Rotation = field(default_factory=Rotation)
    now: float = 1_770_000_000.0
    number: int | None = None
    files: Files = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.files = Files(lambda: self.now, self.number)

    def write(self, lines: bytes) -> Lost:
        return self.files.write(Book(Sink.PREDICTIONS, str(self.path), self.rotation), lines)

    def content(self) -> dict[str, str]:
        return {one.name: one.read_text() for one in sorted(self.path.parent.iterdir())}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "p.jsonl")


def test_lines_are_appended_to_a_file_that_only_its_owner_reads(folder: Folder) -> None:
    for line in (b"1\n", b"2\n3\n"):
        assert folder.write(line) == Lost()

    assert folder.content() == {"p.jsonl": "1\n2\n3\n"}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o600


def test_a_file_that_is_there_stays_as_its_owner_made_it(folder: Folder) -> None:
    folder.path.write_text("0\n")
    folder.path.chmod(0o640)
    folder.write(b"1\n")

    assert folder.content() == {"p.jsonl": "0\n1\n"}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o640


def test_each_of_several_processes_has_its_own(tmp_path: Path) -> None:
    for number in (0, 1):
        Folder(tmp_path / "p.jsonl", number=number).write(b"%d\n" % number)
        Folder(tmp_path / "plain", number=number).write(b"%d\n" % number)

    assert Folder(tmp_path / "p").content() == {
        "p.0.jsonl": "0\n",
        "p.1.jsonl": "1\n",
        "plain.0": "0\n",
        "plain.1": "1\n",
    }


# --- rotation


def test_a_file_gives_way_before_it_is_too_large_and_the_oldest_goes(folder: Folder) -> None:
    folder.rotation = Rotation(size=4, keep=2)
    for number in range(1, 9):
        assert folder.write(b"%d\n" % number) == Lost()

    assert folder.content() == {"p.jsonl": "7\n8\n", "p.jsonl.1": "5\n6\n", "p.jsonl.2": "3\n4\n"}


def test_none_is_kept_where_none_shall_be(folder: Folder) -> None:
    folder.rotation = Rotation(size=2, keep=0)
    for number in range(1, 4):
        folder.write(b"%d\n" % number)

    assert folder.content() == {"p.jsonl": "3\n"}


def test_a_page_larger_than_a_file_is_a_file_of_its_own(folder: Folder) -> None:
    folder.rotation = Rotation(size=2)
    for line in (b"1\n", b"22222\n", b"3\n"):
        assert folder.write(line) == Lost()

    assert folder.content() == {"p.jsonl": "3\n", "p.jsonl.1": "22222\n", "p.jsonl.2": "1\n"}


def test_a_file_gives_way_when_it_is_old(folder: Folder) -> None:
    folder.rotation = Rotation(age=DAY)
    folder.write(b"1\n")
    folder.write(b"2\n")  # as of which its age is known
    folder.now += DAY - 1
    folder.write(b"3\n")
    folder.now += 1
    folder.write(b"4\n")
    folder.now += DAY - 1
    folder.write(b"5\n")

    assert folder.content() == {"p.jsonl": "4\n5\n", "p.jsonl.1": "1\n2\n3\n"}


def test_the_age_of_a_file_outlives_a_restart(folder: Folder) -> None:
    """By its own first line."""
    folder.rotation = Rotation(age=DAY)
    folder.write(b'{"timestamp":"2026-02-02T02:40:00.5Z","x":1}\n')
    folder.restart()
    folder.now += DAY + 1
    folder.write(b"2\n")

    assert folder.content()["p.jsonl"] == "2\n"


def test_a_file_that_is_cut_off_is_as_good_as_new(folder: Folder) -> None:
    """As `copytruncate` of logrotate does."""
    folder.rotation = Rotation(age=DAY)
    folder.write(b"1\n")
    folder.write(b"2\n")
    folder.now += DAY
    os.truncate(folder.path, 0)
    folder.write(b"3\n")
    folder.write(b"4\n")

    assert folder.content() == {"p.jsonl": "3\n4\n"}


def test_a_file_that_was_moved_away_is_made_anew_at_once(folder: Folder) -> None:
    folder.write(b"1\n")
    folder.path.rename(folder.path.with_name("archived"))
    folder.write(b"2\n")

    assert folder.content() == {"archived": "1\n", "p.jsonl": "2\n"}


def test_no_descriptor_is_held_between_pages(folder: Folder) -> None:
    before = len(os.listdir("/proc/self/fd"))
    folder.rotation = Rotation(size=4)
    for number in range(5):
        folder.write(b"%d\n" % number)

    assert len(os.listdir("/proc/self/fd")) == before


# --- what goes wrong


def test_a_torn_line_is_ended_before_the_next_one(folder: Folder) -> None:
    folder.path.write_text('{"half": ')
    folder.write(b"1\n")

    assert folder.content() == {"p.jsonl": '{"half": \n1\n'}


def test_on_a_full_disk_whole_lines_stay_and_the_others_are_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(b"0\n")
    room, write = [7], os.write

    def full(descriptor: int, data: bytes) -> int:
        fits = min(room[0], len(data))
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= fits
        return write(descriptor, data[:fits])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert folder.write(b"111\n222\n333\n") == Lost(2, "No space left on device")
        assert folder.write(b"444\n") == Lost(1, "No space left on device")
    assert folder.write(b"555\n") == Lost()

    assert folder.content() == {"p.jsonl": "0\n111\n555\n"}


@pytest.mark.parametrize("what", ["no directory", "a directory", "a pipe", "a link", "a file"])
def test_where_nothing_can_be_written_that_is_said_and_nothing_raised(
    folder: Folder, what: str
) -> None:
    victim = folder.path.with_name("victim")
    victim.write_text("")
    match what:
        case "no directory":
            folder.path = folder.path / "deeper"
        case "a directory":
            folder.path.mkdir()
        case "a pipe":
            os.mkfifo(folder.path)
        case "a link":
            folder.path.symlink_to(victim)
        case "a file":
            folder.path = victim / "p.jsonl"
    lost = folder.write(b"1\n2\n")

    assert lost.lines == 2
    assert lost.why
    assert "symbolic link" in lost.why or what != "a link"
    assert victim.read_text() == ""


def test_a_file_that_cannot_give_way_does_not_grow(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rotation = Rotation(size=2)
    folder.write(b"1\n")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)

    assert folder.write(b"2\n") == Lost(1, "Permission denied")
    assert folder.content() == {"p.jsonl": "1\n"}


# --- stdout


PRINTS = """
import sys
from gateway.counting.gauges import Sink
from gateway.writing.logfile import Files
from gateway.writing.scribe import STDOUT, Book
line = b'{"timestamp":"2026","path":"%b"}\\n' % (sys.argv[1].encode() * 100)
for _ in range(5):
    Files(lambda: 0.0, 3).write(Book(Sink.ACCESS, STDOUT), line * 200)
"""


def test_lines_of_several_processes_on_one_pipe_stay_apart() -> None:
    reader, writer = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", PRINTS, name], stdout=writer, cwd=ROOT)
        for name in "abc"
    ]
    os.close(writer)
    with open(reader, "rb") as pipe:
        lines = pipe.read().splitlines()

    assert [one.wait() for one in writers] == [0, 0, 0]
    assert len(lines) == 3 * 5 * 200
    assert {json.loads(line)["path"] for line in lines} == {"a" * 100, "b" * 100, "c" * 100}


def test_on_a_terminal_a_person_reads_them() -> None:
    ours, theirs = os.openpty()
    line = r'{"timestamp":"2026","path":"/a\u001b[2J b","route":null,"status":200}'
    program = f"""
from gateway.counting.gauges import Sink
from gateway.writing.logfile import Files
from gateway.writing.scribe import STDOUT, Book
Files(lambda: 0.0).write(Book(Sink.ACCESS, STDOUT), {line!r}.encode() + b"\\n")
"""
    subprocess.run([sys.executable, "-c", program], stdout=theirs, cwd=ROOT, check=True)
    shown = os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)

    assert shown == b"2026 path='/a\\x1b[2J b' status=200\r\n"
    assert STDOUT == "-"
