"""One controller acts, the others stand by; the tests start this same file as the other one."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitoring.controller.leader import Leadership, lock_path

DEADLINE = 60.0  # seconds until a process that should have ended is taken for hanging


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "routing.yaml"
    file.write_text("text")
    file.chmod(0o664)
    return file


class Another:
    """A controller in another process, which looks when told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def holds(self) -> bool:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return {"True": True, "False": False}[self.process.stdout.readline().strip()]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)


@contextmanager
def another(path: Path) -> Iterator[Another]:
    process = subprocess.Popen(
        [sys.executable, __file__, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    controller = Another(process)
    try:
        yield controller
    finally:
        controller.kill()


def test_the_second_stands_by_and_takes_over_at_its_next_look_after_a_kill(path: Path) -> None:
    with another(path) as first, another(path) as second:
        assert first.holds()
        assert [second.holds(), first.holds(), second.holds()] == [False, True, False]
        first.kill()
        assert second.holds()
        with Leadership(path) as third:
            assert not third.holds()


def test_whoever_stops_lets_another_act_and_may_come_back(path: Path) -> None:
    with another(path) as other, Leadership(path) as this:
        assert this.holds()
        assert this.holds()
        assert not other.holds()
        this.close()
        this.close()
        assert other.holds()
        assert not this.holds()
        other.kill()
        assert this.holds()


def test_the_lock_lies_beside_the_file_and_can_be_taken_by_whoever_may_edit_it(
    path: Path,
) -> None:
    link = path.parent / "elsewhere" / "link.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    with Leadership(link) as this, Leadership(path) as other:
        assert this.holds()
        assert not other.holds()
    lock = path.with_name(".routing.yaml.controller.lock")
    assert lock_path(link) == lock_path(path) == lock
    assert lock.stat().st_mode & 0o777 == 0o664
    assert [file.name for file in link.parent.iterdir()] == ["link.yaml"]


def test_the_lock_follows_a_link_that_is_swapped(path: Path) -> None:
    """As Kubernetes updates a ConfigMap: the file lies in another directory then."""
    later = path.parent / "later" / "routing.yaml"
    later.parent.mkdir()
    later.write_text("later text")
    link = path.with_name("link.yaml")
    link.symlink_to(path)
    with Leadership(link) as this, Leadership(link) as other, Leadership(path) as old:
        assert this.holds()
        assert not old.holds()
        link.unlink()
        link.symlink_to(later)
        assert other.holds()
        assert not this.holds()
        assert old.holds()  # it was let go
        other.close()
        assert this.holds()


def test_two_that_lock_two_files_of_the_same_name_do_not_both_act(path: Path) -> None:
    with Leadership(path) as this, Leadership(path) as other:
        assert this.holds()
        lock_path(path).unlink()
        assert other.holds()
        assert not this.holds()


def test_a_lock_that_is_removed_while_it_is_taken_is_not_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def removed(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        lock_path(path).unlink()

    with Leadership(path) as this:
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", removed)
            assert not this.holds()
        assert this.holds()


@pytest.mark.parametrize("call", ["open", "flock"])
def test_where_nothing_can_be_locked_everybody_acts_and_says_so_once(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: str,
) -> None:
    code = errno.EROFS if call == "open" else errno.ENOLCK

    def refused(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    open_before = set(os.listdir("/proc/self/fd"))
    with Leadership(path) as this, Leadership(path) as other:
        with monkeypatch.context() as patch:
            patch.setattr(os if call == "open" else fcntl, call, refused)
            assert [this.holds(), this.holds(), this.holds()] == [True, True, True]
            assert other.holds()
        said = capsys.readouterr().err
        assert said.count("another controller") == 2
        assert said.count(os.strerror(code)) == 2
        assert set(os.listdir("/proc/self/fd")) == open_before
        assert this.holds()
        assert not other.holds()


def test_without_a_file_there_is_nothing_to_stand_by_for(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.unlink()
    with Leadership(path) as this:
        assert this.holds()
        assert capsys.readouterr().err == ""
        path.write_text("text")
        assert this.holds()
        with Leadership(path) as other:
            assert not other.holds()


if __name__ == "__main__":
    with Leadership(Path(sys.argv[1])) as leadership:
        for _line in sys.stdin:
            print(leadership.holds(), flush=True)
