"""`canary status -w` as somebody leaves it open: on a real terminal, into a pipe, for a program."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from gateway.edit import SetWeight
from monitoring import editing
from tests.sockets.peers import Worker, answering
from tests.system.conftest import PATIENCE, ROOT, Served, System, run_canary

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {{url: "{url}"}}
      v2: {{url: "{url}", weight: 10}}
    analysis: {{errors: {{max_increase: 1%}}}}
"""
WATCH = ("-m", "monitoring", "status", "-w", "--interval", "0.2")
RESTORED = "\x1b[?25h", "\x1b[?1049l"  # the cursor is shown, the screen is the ordinary one


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    system = System(tmp_path_factory.mktemp("watched"))
    with closing(Worker(answering(body=b'{"predictions": [1]}'))) as worker:
        try:
            yield system.gateway(TEXT.format(url=worker.url))
        finally:
            system.stop()


def set_weight(served: Served, percent: int) -> None:
    """As `canary set-weight` does."""
    weight = SetWeight("iris", "v2", 100 * percent)
    editing.change(served.file, weight, by="cli:ana", reason="as a test", action="set-weight")


def environment(**more: str) -> Mapping[str, str]:
    usual = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**usual, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **more}


class Terminal:
    """The command on a terminal of its own. ``text`` is all that it has written."""

    def __init__(self, served: Served, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(100, 40)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.process = subprocess.Popen(
            [sys.executable, *WATCH, "--file", str(served.file), "--admin", served.admin],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(**more),
            preexec_fn=_take_terminal,
            start_new_session=True,
        )

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def until(self, pattern: str, what: str) -> None:
        """Read on until this was written, after all that was found before."""
        begin, deadline = len(self.text), time.monotonic() + PATIENCE
        while not re.search(pattern, self.text[begin:], re.DOTALL):
            assert time.monotonic() < deadline, f"never shown: {what}\n{self.text[begin:]}"
            self._read()

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def ended(self) -> int:
        """Its exit code."""
        while self.process.poll() is None:
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.after = termios.tcgetattr(self._theirs)
        os.close(self._theirs)
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.05)[0]:
            return False
        self.text += self._decode(os.read(self._ours, 1 << 16))
        return True


def _take_terminal() -> None:
    """So that Ctrl-C and another size reach the command."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_it_shows_what_changes_follows_the_size_and_leaves_the_terminal_as_it_was(
    served: Served,
) -> None:
    with closing(Terminal(served)) as terminal:
        terminal.until(r"requests.*v2 .*candidate[^\n]* 10 %", "the present weights")
        set_weight(served, 25)
        terminal.until(r"v2 [^\n]*25 %.*set-weight iris v1 90 -> 75 %[^\n]*as a test", "25 %")
        terminal.resize(40, 20)
        terminal.until(r"v2 candidate +25 %", "the narrow form")
        terminal.press("\x03")

        assert terminal.ended() == 0
    assert "set-weight iris" in terminal.text.rpartition(RESTORED[1])[2]  # what was seen last stays
    assert all(one in terminal.text for one in RESTORED)
    assert "Traceback" not in terminal.text
    assert terminal.after == terminal.before
    set_weight(served, 10)


def test_who_ends_it_finds_the_terminal_as_it_was(served: Served) -> None:
    with closing(Terminal(served, NO_COLOR="1", PYTHONIOENCODING="ascii")) as terminal:
        terminal.until(r"\+ .*v2 .*candidate", "in ASCII")
        terminal.process.send_signal(signal.SIGTERM)

        assert terminal.ended() == 128 + signal.SIGTERM
    assert all(one in terminal.text for one in RESTORED)
    assert terminal.text.isascii()
    assert not re.search(r"\x1b\[(3|4|9)\d", terminal.text)  # no colours


def test_a_dumb_terminal_gets_lines(served: Served) -> None:
    with closing(Terminal(served, TERM="dumb")) as terminal:
        terminal.until(r"Z iris weights: v1 stable 90 %, v2 candidate 10 %", "a line")
        terminal.press("\x03")

        assert terminal.ended() == 0
    assert "\x1b" not in terminal.text


@contextmanager
def piped(file: Path, admin: str, *more: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The command with its output in a pipe; it must not complain."""
    command = [sys.executable, *WATCH, "--file", str(file), "--admin", admin, *more]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        try:
            yield process, process.stdout
            assert process.stderr.read() == ""
        finally:
            process.kill()


def line_with(text: str, lines: IO[str]) -> str:
    """The next one that has it; the test's time is the limit."""
    return next(line for line in lines if text in line)


def test_into_a_pipe_it_writes_a_line_a_change_at_once(served: Served) -> None:
    gateways = f"{served.admin},http://127.0.0.1:9"
    with piped(served.file, gateways) as (process, lines):
        assert "gateway silent: http://127.0.0.1:9: " in lines.readline()
        assert line_with("iris weights: v1 stable 90 %, v2 candidate 10 %", lines)
        set_weight(served, 30)
        changed = line_with("iris weights:", lines)
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE) == 0
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z iris weights: v1 stable 90 -> 70 %, "
        r"v2 candidate 10 -> 30 % \(by cli:ana, set-weight: as a test\); no traffic\n",
        changed,
    )
    set_weight(served, 10)


def test_for_programs_each_look_is_an_object_until_they_stop_reading(served: Served) -> None:
    options = ("--file", str(served.file), "--admin", served.admin, "--json")
    once = json.loads(run_canary("status", *options).stdout)
    with piped(served.file, served.admin, "--json") as (process, lines):
        first, second = (json.loads(lines.readline()) for _ in range(2))
        lines.close()

        assert process.wait(PATIENCE) == 0
    assert first.keys() == once.keys() | {"at", "live"}
    assert {name: type(first[name]) for name in once} == {name: type(once[name]) for name in once}
    assert first["rollouts"] == once["rollouts"]
    assert second["at"] > first["at"]
    (route,) = second["live"]["routes"]
    assert [one["weight"] for one in route["versions"]] == [90, 10]
    assert route["candidates"][0]["verdict"] == "Inconclusive"
