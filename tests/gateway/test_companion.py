"""A process beside the gateway: how it is kept alive, and how it is told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.machine.port import Address
from gateway.processes import companion as module
from gateway.processes.companion import GRACE, Companion, url_from_here

PATIENCE = 60.0  # seconds until something counts as hung


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.005)


class Clock:
    """Stands still, but for pauses: they pass at once. After ``lives`` of them it is enough."""

    def __init__(self, lives: int = 1) -> None:
        self.now = 1000.0
        self.lives = lives
        self.pauses: list[float] = []
        self.enough = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        if len(self.pauses) == self.lives:
            self.enough.set()
            await asyncio.Event().wait()


def beside(clock: Clock, *command: str) -> Companion:
    return Companion(command, os.environ, clock=clock, sleep=clock.sleep)


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", program)


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    async def within_reason() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await story()

    return asyncio.run(within_reason())


def told(capfd: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[:1] == "{"]
    return [line for line in lines if line["event"] == event]


def lives(number: int, *command: str) -> list[float]:
    """The pauses after so many lives of a command."""

    async def story() -> list[float]:
        clock = Clock(number)
        companion = beside(clock, *command)
        companion.start("http://127.0.0.1:1")
        await clock.enough.wait()
        await companion.gone()
        return clock.pauses

    return run(story)  # type: ignore[no-any-return]


def test_what_ends_at_once_is_started_again_after_ever_longer_pauses(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pauses = lives(8, *python("raise SystemExit(3)"))
    lines = told(capfd, "the companion ended")

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [line["next_in_seconds"] for line in lines] == pauses
    assert {(line["how"], line["level"]) for line in lines} == {("exit status 3", "error")}


def test_what_ran_for_a_minute_is_started_again_at_once(tmp_path: Path) -> None:
    async def story() -> list[float]:
        clock = Clock()
        end = tmp_path / "end"
        os.mkfifo(end)
        companion = beside(clock, *python(f"open({str(end)!r}).read()"))
        companion.start("http://127.0.0.1:1")
        with await asyncio.to_thread(end.open, "w"):  # it ends when somebody has written nothing
            clock.now += 60.0
        await clock.enough.wait()
        await companion.gone()
        return clock.pauses

    assert run(story) == [0.0]


@pytest.mark.parametrize(
    ("command", "how"),
    [
        (("/nowhere/at/all",), "exit status 127: there is no such program"),
        (("/",), "exit status 126: the program cannot be executed"),
        (python("import os; os.kill(os.getpid(), 9)"), "killed by SIGKILL"),
        (python("import os; os.kill(os.getpid(), 40)"), "killed by signal 40"),
        (python("pass"), "exit status 0"),
        (("a\0b",), "not started: embedded null byte"),
    ],
)
def test_the_log_says_how_it_ended(
    command: tuple[str, ...], how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lives(1, *command)

    assert [line["how"] for line in told(capfd, "the companion ended")] == [how]


def test_it_knows_where_the_admin_port_is(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    lives(1, *python(f"import os; open({str(seen)!r}, 'w').write(os.environ['CANARY_ADMIN'])"))

    assert seen.read_text() == "http://127.0.0.1:1"


def dismissed(program: str, tmp_path: Path, *, seconds: float) -> subprocess.Popen[bytes]:
    """A companion that runs, was told to end, and has been given so many seconds since."""

    async def story() -> subprocess.Popen[bytes]:
        clock = Clock()
        ready = tmp_path / "ready"
        os.mkfifo(ready)
        companion = beside(clock, *python(f"{program}; open({str(ready)!r}, 'w'); signal.pause()"))
        companion.start("http://127.0.0.1:1")
        (await asyncio.to_thread(ready.open)).close()
        companion.dismiss()
        clock.now += seconds
        await companion.gone()
        await companion.gone()
        assert companion._process is not None
        return companion._process

    return run(story)  # type: ignore[no-any-return]


def test_it_is_told_to_end_and_no_other_is_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = dismissed("import signal", tmp_path, seconds=0.0)

    assert ended.returncode == -signal.SIGTERM
    assert told(capfd, "the companion ended") == []


def test_what_does_not_heed_it_is_killed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN)"
    ended = dismissed(deaf, tmp_path, seconds=GRACE)

    assert ended.returncode == -signal.SIGKILL
    assert [line["pid"] for line in told(capfd, "the companion did not end and was killed")] == [
        ended.pid
    ]


def test_who_is_told_to_end_during_a_pause_does_not_begin_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lives(1, *python("raise SystemExit(3)"))  # it is told so in its first pause

    assert len(told(capfd, "the companion started")) == 1


def test_what_was_never_started_is_gone() -> None:
    async def story() -> None:
        await beside(Clock(), *python("pass")).gone()

    run(story)


def test_a_leash_without_its_holder_leads_nowhere(tmp_path: Path) -> None:
    """The gateway may end before it could be asked to tell of its end."""
    seen = tmp_path / "seen"
    command = python(f"open({str(seen)!r}, 'w')")
    somebody_else = str(os.getppid())
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.processes.leash", somebody_else, *command],
        timeout=PATIENCE,
        check=False,
    )

    assert ended.returncode == 1
    assert not seen.exists()


@pytest.mark.parametrize(
    ("scheme", "wanted", "bound", "url"),
    [
        ("http", "127.0.0.1", "127.0.0.1", "http://127.0.0.1:81"),
        ("http", "localhost", "127.0.0.1", "http://127.0.0.1:81"),
        ("http", "::1", "::1", "http://[::1]:81"),
        ("http", "0.0.0.0", "0.0.0.0", "http://127.0.0.1:81"),
        ("http", "", "0.0.0.0", "http://127.0.0.1:81"),
        ("https", "::", "::", "https://[::1]:81"),
        ("https", "0.0.0.0", "0.0.0.0", "https://127.0.0.1:81"),
        ("https", "gateway.internal", "10.0.0.5", "https://gateway.internal:81"),
    ],
)
def test_where_it_asks_us(scheme: str, wanted: str, bound: str, url: str) -> None:
    assert url_from_here(scheme, Address(wanted, 0), Address(bound, 81)) == url
