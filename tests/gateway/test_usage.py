"""What /proc says of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.machine.usage import Usage, parse, usage_of

# As proc_pid_stat(5) numbers them: 14 is user time, 15 system time, 24 resident pages.
FIELDS = ["S", *map(str, range(4, 53))]


def line(command: str) -> str:
    return f"4242 ({command}) {' '.join(FIELDS)}\n"


@pytest.mark.parametrize(
    "command", ["python", "a b", "a) S 1 (b", "(", ")", ") 1 2 3", "a\nb", "\udcff"]
)
def test_a_line_is_read_whatever_the_process_is_called(command: str) -> None:
    assert parse(line(command), ticks=100, page=4096) == ((14 + 15) / 100, 24 * 4096)


def test_a_process_has_what_its_folder_says(tmp_path: Path) -> None:
    folder = tmp_path / "4242" / "fd"
    folder.mkdir(parents=True)
    (tmp_path / "4242" / "stat").write_text(line("x"))
    found = usage_of(4242, tmp_path)

    assert found is not None
    assert found.cpu == 29 / os.sysconf("SC_CLK_TCK")
    assert found.memory == 24 * os.sysconf("SC_PAGE_SIZE")


def test_this_process_has_one_descriptor_more_after_it_opens_one() -> None:
    before = usage_of(os.getpid())
    with open(os.devnull, "rb"):
        after = usage_of(os.getpid())

    assert isinstance(before, Usage)
    assert isinstance(after, Usage)
    assert after.descriptors == before.descriptors + 1
    assert before.cpu <= after.cpu
    assert before.memory > 0


def test_a_process_that_is_gone_takes_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert usage_of(process.pid) is None
