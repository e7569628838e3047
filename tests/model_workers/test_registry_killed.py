"""``register`` killed (SIGKILL) before each call that touches the disk, and several at a time.

``python -m tests.model_workers.test_registry_killed FOLDER`` does it in forked processes and prints
what came of it: one start of Python for all of them. FOLDER has ``iris/tree.skops``.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from model_workers.models.catalogue import find
from model_workers.registry import judging, versions
from model_workers.registry.candidates import Candidate, look
from model_workers.registry.files import CannotUse
from model_workers.training.train import write

ROOT = Path(__file__).parents[2]
TOUCHES = {
    *("mkdir", "open", "flock", "write", "flush", "fchmod", "fsync", "close", "chmod"),
    *("rename", "replace", "unlink", "rmdir"),
}
OLD, NEW = "2026-03-01", "2026-03-08"
NAMES = {"made": 0, "there": 1, "refused": 2}


def add(registry: Path, found: Candidate, version: str, why: str = "the first version") -> str:
    papers = judging.Papers(without_gate=why)
    try:
        new = judging.register(registry, found, "iris", version, papers, "ana")
    except CannotUse:
        return "refused"
    return "made" if new else "there"


def forked(work: Callable[[], str]) -> int:
    """The process id of a child that ends with what it found as its exit code."""
    child = os.fork()
    if not child:
        try:
            os._exit(NAMES[work()])
        finally:
            os._exit(9)
    return child


def ended(child: int) -> str:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "killed" if code == -signal.SIGKILL else [*NAMES, *["crashed"] * 9][code]


def killed_before(number: int, work: Callable[[], str]) -> Callable[[], str]:
    """The same work by a process that is killed before its so-many-th call of TOUCHES."""
    left = number

    def watch(_: FrameType, event: str, call: object) -> None:
        nonlocal left
        if event == "c_call" and getattr(call, "__name__", "") in TOUCHES:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched() -> str:
        sys.setprofile(watch)
        return work()

    return watched


def stand(registry: Path) -> list[str]:
    """The versions; each of them must be whole."""
    found = versions.names(registry, "iris")
    for name in found:
        versions.load(registry, "iris", name)
    return found


def each_kill(folder: Path, found: Candidate, begun: int | None) -> list[dict[str, object]]:
    """A kill before each call. ``begun``: by one that finds what another left that was killed."""
    told = []
    for number in range(1000):
        registry = folder / f"{begun}-{number}"
        if begun is not None:
            add(registry, found, OLD)
            ended(forked(killed_before(begun, partial(add, registry, found, NEW))))
        how = ended(forked(killed_before(number, partial(add, registry, found, NEW))))
        there = stand(registry)
        after = add(registry, found, NEW)
        litter = [one.name for one in registry.rglob(".*")]
        told.append(
            {"how": how, "there": there, "after": after, "stand": stand(registry), "litter": litter}
        )
        if how != "killed":
            return told
    raise AssertionError("it never ended")


def main(folder: Path) -> None:
    found = look("iris", folder / "iris/tree.skops")
    first = each_kill(folder, found, None)
    second = each_kill(folder, found, len(first) * 3 // 4)
    registry = folder / "together"
    children = [forked(partial(add, registry, found, NEW, why)) for why in ["one", "other"] * 4]
    together = sorted(map(ended, children))
    print(json.dumps([first, second, together, stand(registry)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    write(find("iris", "tree"), folder)
    said = subprocess.check_output(
        [sys.executable, "-m", __name__, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    return json.loads(said)


def test_wherever_it_is_killed_there_is_no_version_or_a_whole_one(told):
    first, _, _, _ = told
    assert len(first) > 25, "the calls that touch the disk were not seen"
    assert {(one["how"], *one["there"]) for one in first[:-1]} == {("killed",), ("killed", NEW)}
    assert (first[-1]["how"], first[-1]["there"]) == ("made", [NEW])


@pytest.mark.parametrize("which", [0, 1], ids=["at first", "while what another left is swept"])
def test_after_a_kill_the_same_is_registered_and_nothing_is_left_over(told, which):
    before = [OLD] if which else []
    for one in told[which]:
        assert one["after"] == ("there" if NEW in one["there"] else "made")
        assert one["stand"] == [*before, NEW]
        assert one["litter"] == []


def test_of_several_at_a_time_one_is_first_and_another_content_is_refused(told):
    _, _, together, stand = told
    assert together == ["made", *["refused"] * 4, *["there"] * 3]
    assert stand == [NEW]
