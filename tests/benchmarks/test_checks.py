"""What keeps a false figure out of the table."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.checks import check_processes, check_shares
from benchmarks.group import Group, Usage

SHARES = {"8101": 0.9, "8102": 0.1}


def test_shares_may_differ_as_much_as_draws_do() -> None:
    check_shares("it", {"8101": 9000, "8102": 1000}, SHARES)
    check_shares("it", {"8101": 8900, "8102": 1100}, SHARES)


@pytest.mark.parametrize("asked", [(10_000, 0), (8_000, 2_000), (0, 10_000), (9_300, 700)])
def test_a_version_asked_too_seldom_or_too_often_is_told(asked: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError, match="it sent"):
        check_shares("it", dict(zip(SHARES, asked, strict=True)), SHARES)


def test_processes_that_end_are_not_lost_silently() -> None:
    before, after = Usage(10.0, frozenset({1, 2})), Usage(30.0, frozenset({1, 3}))

    assert Usage(30.0, frozenset({1, 2, 3})).since(before) == 20.0
    with pytest.raises(RuntimeError, match=r"processes \[2\] ended"):
        after.since(before)


PROGRAM = """
import subprocess, sys, threading, time
def work():
    while time.process_time() < 0.05: pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
child = "import time\\nwhile time.process_time() < 0.1: pass"
subprocess.run([sys.executable, "-c", child])
print("done", time.process_time(), flush=True)
sys.stdin.read()
time.sleep(60)
"""


def test_threads_and_children_that_have_ended_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    group = Group([sys.executable, "-c", PROGRAM], cores="0", log=log)
    try:
        deadline = time.monotonic() + 20
        while b"done" not in log.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
        own = float(log.read_text().split()[1]) * 1e6
        usage = group.usage()
        check_processes("it", group, 1)
        with pytest.raises(RuntimeError, match="it has 1 processes in its session, not 2"):
            check_processes("it", group, 2)
    finally:
        group.stop()

    assert len(usage.processes) == 1
    assert usage.microseconds >= own + 80_000  # of the child, in ticks of 10 ms
    assert not group.running
