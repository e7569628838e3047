"""Rollbacks on a disk that is really full: a small file system in memory, filled to its last byte.

The tests start this same file as another process, which mounts it where nobody else sees it: see
the roles at its end.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import parse
from gateway.edit import Change, Promote, SetWeight
from gateway.errors import EditFailed
from gateway.files import reserve
from monitoring import editing
from monitoring.history import changes
from monitoring.history.changes import Entry, history_path
from monitoring.judgement.replay import replay
from tests.simulation import Behaviour
from tests.stage import Stage

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}
      v3: {url: "http://127.0.0.1:8103", weight: 20}
      v4: {url: "http://127.0.0.1:8104", weight: 30}
"""
WATCHED = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}
    rollout:
      candidate: v2
      steps: [{weight: 5, pause: 5s}, {weight: 50, pause: 5s}]
    analysis: {errors: {max_increase: 10%}}
notify:
  - {webhook: "https://chat.example/hook", events: [rollback, promote, pause, error]}
"""
ROOT = Path(__file__).parents[2]
DEADLINE = 60.0  # seconds until a process that should have ended is taken for hanging
MOUNT = ["mount", "-t", "tmpfs", "-o", "size=512k,nr_inodes=50", "tmpfs"]


@pytest.fixture(scope="module")
def unshared(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What to put before a command that mounts something for itself only."""
    directory = str(tmp_path_factory.mktemp("mounted"))
    complaint = ""
    for unshare in (["unshare", "-rm"], ["unshare", "-m"]):
        try:
            tried = subprocess.run(
                [*unshare, *MOUNT, directory], capture_output=True, text=True, timeout=DEADLINE
            )
        except FileNotFoundError as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        if not tried.returncode:
            return unshare
        complaint = tried.stderr.strip()
    pytest.skip(f"no file system can be mounted here: {complaint}")


def played(unshared: list[str], role: str, directory: Path) -> dict[str, Any]:
    """What a role reported."""
    command = [
        *unshared,
        sys.executable,
        "-m",
        "tests.sockets.test_full_disk",
        role,
        str(directory),
    ]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report


def test_on_a_full_disk_every_rollback_is_carried_out_and_explained_in_the_end(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "with-a-reserve", tmp_path)
    assert report["refused"].endswith("nothing was changed")
    assert "No space left on device" in report["refused"]
    # The first row found room in the reserve, the others none.
    assert report["unrecorded"] == [False, True, True]
    assert report["weights"] == [[0, 20, 30], [0, 0, 30], [0, 0, 0]]
    assert report["meanwhile"] == ["set-weight v4", "rollback v2", "edited by hand"]
    assert report["afterwards"] == ["set-weight v4", "rollback v2", "rollback v3", "rollback v4"]
    assert report["reserve"] == reserve.SIZE


def test_on_a_full_disk_the_command_takes_a_candidate_out_and_warns(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "by-the-command", tmp_path)
    assert report["weights"] == [0, 20, 30]


def test_on_a_full_disk_nobody_prepared_for_a_rollback_says_what_to_do(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "without-a-reserve", tmp_path)
    assert "No space left on device; an edit writes" in report["refused"]
    assert report["refused"].endswith("nothing was changed")
    assert report["weights"] == [10, 20, 30]
    assert report["names"] == [
        ".routing.yaml.lock",
        "filler",
        "routing.history.jsonl",  # empty
        "routing.yaml",
    ]


def test_without_an_inode_to_spare_a_rollback_is_carried_out(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "without-inodes", tmp_path)
    assert report["weights"] == [0, 20, 30]
    assert report["afterwards"] == ["rollback v2"]


def test_on_a_full_disk_a_controller_advances_nothing_says_so_and_rolls_back(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "watched-and-full", tmp_path)
    assert report["held"] == 5
    assert ["error", "recording"] in report["heard meanwhile"]
    assert report["out"] == 0
    assert ["rollback", "v2"] in report["heard when out"]
    assert report["told when out"] in ([], ["rollback v2"])  # as much as found room
    assert report["told afterwards"] == ["rollback v2"]
    assert report["heard"].count(["rollback", "v2"]) == 1


def test_in_a_directory_that_is_read_only_nothing_is_half_done_and_all_of_it_later(
    unshared: list[str], tmp_path: Path
) -> None:
    report = played(unshared, "watched-and-read-only", tmp_path)
    assert report["held"] == 5
    assert report["unchanged"]
    assert report["heard at once"] == [["error", "rollback of iris v2"]]
    assert report["out"] == 0
    assert report["told afterwards"] == ["rollback v2"]
    assert ["rollback", "v2"] in report["heard"]


# Roles of the other process.


def mounted(directory: Path) -> Path:
    subprocess.run([*MOUNT, str(directory)], check=True)
    path = directory / "routing.yaml"
    path.write_text(TEXT)
    return path


def fill(path: Path) -> None:
    """Until not one more byte fits, in any file."""
    with path.with_name("filler").open("ab", buffering=0) as filler:
        for size in (4096, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
    try:
        path.with_name("one byte more").write_bytes(b"x")
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017
        path.with_name("one byte more").unlink(missing_ok=True)
    else:
        raise AssertionError("it is not full")


def fill_history(path: Path) -> None:
    """The last block of the history, too: by rows of those who watch, down to the smallest."""
    for size in (1000, 100, 10, 1):
        try:
            while True:
                changes.append(path, {"row": "w", "id": "x" * size})
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


def change(path: Path, what: Change, action: str, *, rollback: bool = False) -> editing.Changed:
    return editing.change(
        path, what, by="controller", reason="", action=action, even_unrecorded=rollback
    )


def weights(path: Path) -> list[float]:
    route = parse(path.read_bytes()).route("iris")
    return [route.version(name).weight / 100 for name in ("v2", "v3", "v4")]


def told(path: Path) -> list[str]:
    return [f"{entry.action} {entry.version}".strip() for entry in changes.read(path)]


def refused(path: Path, what: Change, action: str, *, rollback: bool = False) -> str:
    """Why a change was not made."""
    try:
        change(path, what, action, rollback=rollback)
    except EditFailed as error:
        return str(error)
    raise AssertionError("it was made")


def with_a_reserve(directory: Path) -> dict[str, object]:
    path = mounted(directory)
    path.write_text(TEXT.replace("weight: 30", "weight: 29"))
    change(path, SetWeight("iris", "v4", 3000), "set-weight")
    assert editing.prepare(path) == ""
    fill(path)
    fill_history(path)
    report: dict[str, object] = {"refused": refused(path, Promote("iris", "v2"), "promote")}
    assert path.read_text() == TEXT
    owed: list[Entry | None] = []
    seen = []
    for version in ("v2", "v3", "v4"):
        made = change(path, SetWeight("iris", version, 0), "rollback", rollback=True)
        owed.append(made.unrecorded)
        seen.append(weights(path))
        assert editing.prepare(path)
        fill(path)
        fill_history(path)
    report |= {"unrecorded": [entry is not None for entry in owed], "weights": seen}
    report["meanwhile"] = told(path)
    path.with_name("filler").unlink()
    for entry in owed:
        if entry:
            changes.record_late(path, entry)
    assert editing.prepare(path) == ""
    return report | {
        "afterwards": told(path),
        "reserve": reserve.place(path).stat().st_size,
    }


def by_the_command(directory: Path) -> dict[str, object]:
    path = mounted(directory)
    assert editing.prepare(path) == ""
    history_path(path).touch()
    os.truncate(reserve.place(path), 4096)  # nothing to give away
    fill(path)
    fill_history(path)
    command = ["rollback", "iris", "v2", "--file", str(path)]
    ended = subprocess.run(
        [sys.executable, "-m", "monitoring", *command], capture_output=True, text=True, check=True
    )
    assert "+      v2:" in ended.stdout
    assert "routing.history.jsonl could not be written" in ended.stderr
    assert "v2 has weight 0" in ended.stderr
    return {"weights": weights(path)}


def without_a_reserve(directory: Path) -> dict[str, object]:
    path = mounted(directory)
    fill(path)
    why = refused(path, SetWeight("iris", "v2", 0), "rollback", rollback=True)
    names = sorted(file.name for file in directory.iterdir())
    return {"refused": why, "weights": weights(path), "names": names}


def without_inodes(directory: Path) -> dict[str, object]:
    path = mounted(directory)
    assert editing.prepare(path) == ""
    try:
        for number in range(100):
            path.with_name(f"file {number}").touch()
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017
    made = change(path, SetWeight("iris", "v2", 0), "rollback", rollback=True)
    assert made.unrecorded is not None
    path.with_name("file 0").unlink()
    changes.record_late(path, made.unrecorded)
    return {"weights": weights(path), "afterwards": told(path)}


def ready_to_advance(directory: Path) -> Stage:
    """A rollout that the next look would take to its second step."""
    mounted(directory).write_text(WATCHED)
    stage = Stage(directory / "routing.yaml")
    for _ in range(4):
        stage.look()
    return stage


def watched_and_full(directory: Path) -> dict[str, object]:
    stage = ready_to_advance(directory)
    fill(stage.file)
    fill_history(stage.file)
    for _ in range(40):
        stage.look()
    report: dict[str, object] = {"held": stage.weight, "heard meanwhile": stage.heard()}
    stage.versions["v2"] = Behaviour(bad=0.5)
    stage.until(lambda: stage.weight == 0, 60)
    report |= {
        "out": stage.weight,
        "heard when out": stage.heard(),
        "told when out": told(stage.file),
    }
    for _ in range(5):
        stage.look()
    stage.file.with_name("filler").unlink()
    stage.look()
    assert replay(changes.rows(stage.file)).disagreements == []
    return report | {"told afterwards": told(stage.file), "heard": stage.heard()}


def watched_and_read_only(directory: Path) -> dict[str, object]:
    stage = ready_to_advance(directory)
    before = {file.name: file.read_bytes() for file in directory.iterdir()}
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    for _ in range(10):
        stage.look()
    report: dict[str, object] = {"held": stage.weight}
    stage.versions["v2"] = Behaviour(bad=0.5)
    for _ in range(10):
        stage.look()
    after = {file.name: file.read_bytes() for file in directory.iterdir()}
    report |= {"unchanged": before == after, "heard at once": stage.heard()}
    subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)
    stage.look()
    report |= {"out": stage.weight, "told afterwards": told(stage.file), "heard": stage.heard()}
    assert replay(changes.rows(stage.file)).disagreements == []
    return report


ROLES: dict[str, Callable[[Path], dict[str, object]]] = {
    "with-a-reserve": with_a_reserve,
    "by-the-command": by_the_command,
    "without-a-reserve": without_a_reserve,
    "without-inodes": without_inodes,
    "watched-and-full": watched_and_full,
    "watched-and-read-only": watched_and_read_only,
}

if __name__ == "__main__":
    print(json.dumps(ROLES[sys.argv[1]](Path(sys.argv[2]))))
